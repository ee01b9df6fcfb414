"""The code of a run, as it was then, in a temporary git worktree."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from idealfit.provenance.document import Code
from idealfit.provenance.git import Git, GitError
from idealfit.spec import StudyError


@contextmanager
def checkout(code: Code, working_dir: Path) -> Iterator[Path]:
    """A copy of `working_dir` as it was when `code` was recorded; it is removed at the end.

    The commit comes from the repository of `working_dir`, the uncommitted changes from the record: to run them is to
    trust whoever made it.

    Raises:
        StudyError: The code was recorded without git, the commit is not here, or the patch does not fit.
    """
    if code.state != "git" or not code.commit:
        reason = "the repository had no commit yet" if code.state == "no_commits" else code.note
        raise StudyError(f"The code of this run cannot be checked out: it was recorded without a commit ({reason}).")
    if not re.fullmatch(r"[0-9a-f]{40,64}", code.commit):
        raise StudyError(f"The code of this run cannot be checked out: {code.commit!r} is not the name of a commit.")
    git = Git(working_dir)
    _require(git, code)
    with tempfile.TemporaryDirectory(prefix="idealfit-checkout-") as scratch:
        tree = Path(scratch).resolve() / "code"
        try:
            git.run("worktree", "add", "--detach", "--quiet", str(tree), code.commit)
            _apply(Git(tree), code)
            folder = tree / code.prefix
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
        finally:
            with suppress(GitError):
                git.run("worktree", "remove", "--force", str(tree))


def _require(git: Git, code: Code) -> None:
    try:
        git.run("cat-file", "-e", f"{code.commit}^{{commit}}")
    except GitError as error:
        if "not a git repository" in str(error) or "not installed" in str(error):
            raise StudyError(f"The code of this run cannot be checked out: {error}.") from error
        shallow = git.text("rev-parse", "--is-shallow-repository") == "true"
        cure = "`git fetch --unshallow`" if shallow else f"`git fetch {code.remote or 'REMOTE'}`"
        raise StudyError(
            f"The commit {code.commit} of this run (branch {code.branch or 'none'}) is not in this repository. "
            f"Get it with {cure}, or run inside the repository that it came from."
        ) from error


def _apply(git: Git, code: Code) -> None:
    if not code.patch_sha256:
        return
    try:
        git.run("apply", "--whitespace=nowarn", "-p1", "-", stdin=code.patch)
    except GitError as error:
        raise StudyError(f"The uncommitted changes of this run do not apply to {code.commit}: {error}.") from error
