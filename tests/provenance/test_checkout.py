"""The code of then, in a worktree of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from idealfit.provenance import Code, checkout
from idealfit.provenance.code import code
from idealfit.spec import StudyError

Git = Callable[..., str]


def test_commit_and_uncommitted_changes_come_back(repo: Path, git: Git) -> None:
    (repo / "net.py").write_text("depth = 2\n")
    (repo / "new file.py").write_bytes(b"x = '\xe9'\r\n")
    (repo / "weights.bin").write_bytes(b"\0" * 9)
    (repo / "conf" / "train.yaml").unlink()
    then = code(repo)
    git("add", ".")
    git("commit", "-m", "second")
    (repo / "net.py").write_text("depth = 3\n")
    with checkout(then, repo) as folder:
        assert (folder / "net.py").read_text() == "depth = 2\n"
        assert (folder / "new file.py").read_bytes() == b"x = '\xe9'\r\n"
        assert (folder / "weights.bin").read_bytes() == b"\0" * 9
        assert not (folder / "conf" / "train.yaml").exists()
        assert code(folder).files == then.files
    assert (repo / "net.py").read_text() == "depth = 3\n"
    assert not folder.exists()
    assert len(git("worktree", "list").splitlines()) == 1


def test_it_stands_in_the_folder_that_the_study_ran_in(repo: Path) -> None:
    with checkout(code(repo / "conf"), repo) as folder:
        assert (folder / "train.yaml").exists()


def test_it_is_removed_when_the_work_fails(repo: Path, git: Git) -> None:
    with pytest.raises(ZeroDivisionError), checkout(code(repo), repo) as folder:
        raise ZeroDivisionError
    assert not folder.exists()
    assert len(git("worktree", "list").splitlines()) == 1


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (Code(state="none", note="not a git repository"), "recorded without a commit .not a git"),
        (Code(state="no_commits"), "no commit yet"),
        (Code(state="git", commit="--upload-pack=touch x"), "not the name of a commit"),
        (Code(state="git", commit="1" * 40, branch="topic"), "branch topic.*git fetch"),
    ],
)
def test_what_cannot_be_checked_out_is_told(repo: Path, state: Code, message: str) -> None:
    with pytest.raises(StudyError, match=message), checkout(state, repo):
        pass


def test_a_shallow_clone_is_told_how_to_get_the_commit(repo: Path, git: Git, tmp_path: Path) -> None:
    then = code(repo)
    (repo / "net.py").write_text("depth = 2\n")
    git("commit", "-am", "second")
    git("clone", "--depth", "1", repo.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(StudyError, match="unshallow"), checkout(then, tmp_path / "shallow"):
        pass


def test_outside_a_repository_it_says_so(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="not a git repository"), checkout(code(repo), tmp_path):
        pass


def test_a_patch_that_does_not_fit_is_told(repo: Path) -> None:
    (repo / "net.py").write_text("depth = 2\n")
    then = code(repo)
    other = replace(then, patch=then.patch.replace(b"-depth = 1", b"-depth = 7"))
    with pytest.raises(StudyError, match="do not apply"), checkout(other, repo):
        pass


@pytest.mark.parametrize("path", ["../escaped.py", ".git/hooks/post-checkout", "/tmp/escaped.py"])
def test_a_patch_cannot_leave_its_folder(repo: Path, path: str) -> None:
    patch = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
    then = replace(code(repo), patch=patch.encode(), patch_sha256="x")
    with pytest.raises(StudyError, match="do not apply"), checkout(then, repo):
        pass
