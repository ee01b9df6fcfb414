"""The user's own code: commit, branch, and the uncommitted difference as a patch. Nothing in the repository changes.

The difference is made in a temporary index, with a temporary store for new objects: the user's index, objects and files
stay as they are, even when the study is killed in the middle.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from idealfit.provenance.document import Code
from idealfit.provenance.git import Git, GitError
from idealfit.provenance.sources import (
    MAX_CODE_FILES,
    MAX_FILE_BYTES,
    MAX_PATCH_BYTES,
    code_files,
    is_code,
    is_foreign,
    is_secret,
    is_source,
    is_under,
)
from idealfit.spec import redacted

MAX_LEFT_OUT = 100
_LITERAL = ("--binary", "--full-index", "--no-renames", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/")
_PLAIN = ("--no-color", "--no-ext-diff", "--no-textconv")


@dataclass
class _Status:
    commit: str | None = None
    branch: str | None = None
    changed: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)


def code(working_dir: Path, *, excluded: Sequence[Path] = ()) -> Code:
    """The state of the code around `working_dir`; files under `excluded` (what idealfit writes) never count."""
    working_dir = working_dir.resolve()
    try:
        return _in_repository(working_dir, excluded)
    except GitError as error:
        files, complete = code_files(working_dir, _relative(excluded, working_dir))
        note = "not a git repository" if "not a git repository" in str(error) else str(error)
        return Code(state="none", note=note, files=files, complete=complete)


def _in_repository(working_dir: Path, excluded: Sequence[Path]) -> Code:
    git = Git(working_dir)
    shallow, _, top = git.text("rev-parse", "--is-shallow-repository", "--show-toplevel").partition("\n")
    objects = (working_dir / git.text("rev-parse", "--git-path", "objects")).resolve()
    root = Path(top).resolve()
    status = _status(
        Git(root).run("status", "--porcelain=v2", "--branch", "--untracked-files=all", "--no-renames", "-z")
    )
    wanted, left_out = _select(root, status, _relative(excluded, root))
    patch, files = _difference(root, objects, status.commit, wanted)
    prefix = working_dir.relative_to(root).as_posix().removeprefix(".")
    files, complete = _bounded(files, prefix, wanted)
    found = Code(
        state="git" if status.commit else "no_commits",
        commit=status.commit,
        branch=status.branch,
        remote=_remote(root),
        prefix=prefix,
        shallow=shallow == "true",
        dirty=bool(patch or left_out),
        files=files,
        complete=complete,
        left_out=left_out,
    )
    return replace(found, patch=patch, patch_sha256=hashlib.sha256(patch).hexdigest()) if patch else found


def _status(output: bytes) -> _Status:
    status = _Status()
    for entry in os.fsdecode(output).split("\0"):
        kind, _, rest = entry.partition(" ")
        if entry.startswith("# branch.oid ") and not entry.endswith("(initial)"):
            status.commit = entry.split()[2]
        elif entry.startswith("# branch.head ") and not entry.endswith("(detached)"):
            status.branch = entry.split()[2]
        elif kind in "1u" and rest:
            # "1 XY sub mH mI mW hH hI path" and "u XY sub m1 m2 m3 mW h1 h2 h3 path"
            status.changed.append(rest.split(" ", 7 if kind == "1" else 9)[-1])
        elif kind == "?":
            status.untracked.append(rest)
    return status


def _select(root: Path, status: _Status, excluded: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """The files whose difference is kept, and why others are not."""
    environments = tuple(path.rpartition("/")[0] for path in status.untracked if path.endswith("/pyvenv.cfg"))
    ours = [path for path in status.untracked if not is_foreign(path) and not is_under(path, excluded + environments)]
    left_out = {path: "named like a secret" for path in ours if is_source(path) and is_secret(path)}
    wanted: list[str] = []
    room = MAX_PATCH_BYTES
    for path in [*status.changed, *(path for path in ours if is_source(path) and not is_secret(path))]:
        size = _size(root / path)
        if size is None:
            left_out[path] = "not a readable file"
        elif size > min(MAX_FILE_BYTES, room):
            left_out[path] = f"too large: {size:,} bytes"
        else:
            wanted.append(path)
            room -= size
    if len(left_out) > MAX_LEFT_OUT:
        kept = dict(sorted(left_out.items())[:MAX_LEFT_OUT])
        left_out = kept | {"...": f"{len(left_out) - MAX_LEFT_OUT:,} more"}
    return wanted, left_out


def _size(path: Path) -> int | None:
    """Bytes; 0 for one that was deleted, None for what a patch cannot hold (a submodule, a socket)."""
    try:
        if path.is_symlink():
            return 0
        if not path.exists():
            return 0
        return path.stat().st_size if path.is_file() and os.access(path, os.R_OK) else None
    except OSError:
        return None


def _difference(root: Path, objects: Path, commit: str | None, wanted: list[str]) -> tuple[bytes, dict[str, str]]:
    """The patch from `commit` to the working tree in the files `wanted`, and the blob id of every code file."""
    with tempfile.TemporaryDirectory(prefix="idealfit-") as scratch:
        (Path(scratch) / "objects").mkdir()
        git = Git(
            root,
            {
                "GIT_INDEX_FILE": f"{scratch}/index",
                "GIT_OBJECT_DIRECTORY": f"{scratch}/objects",
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects),
            },
        )
        git.run("read-tree", commit or "--empty")
        patch = b""
        if wanted:
            names = b"".join(os.fsencode(path) + b"\0" for path in wanted)
            git.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=names)
            base = commit or git.text("hash-object", "-t", "tree", "--stdin")
            patch = git.run("diff", "--cached", *_LITERAL, *_PLAIN, base)
        return patch, _blobs(git.run("ls-files", "--stage", "-z"))


def _blobs(output: bytes) -> dict[str, str]:
    # "MODE BLOB STAGE\tPATH"
    pairs = (entry.partition("\t") for entry in os.fsdecode(output).split("\0") if entry)
    return {path: head.split()[1] for head, _, path in pairs if is_code(path)}


def _bounded(files: dict[str, str], prefix: str, wanted: list[str]) -> tuple[dict[str, str], bool]:
    if len(files) <= MAX_CODE_FILES:
        return files, True
    here = {path: blob for path, blob in files.items() if is_under(path, (prefix,))}
    if prefix and len(here) <= MAX_CODE_FILES:
        return here, False
    return {path: files[path] for path in wanted if path in files}, False


def _relative(paths: Sequence[Path], root: Path) -> tuple[str, ...]:
    absolute = (path.resolve() for path in paths)
    return tuple(path.relative_to(root).as_posix() for path in absolute if path != root and path.is_relative_to(root))


def _remote(root: Path) -> str | None:
    try:
        return redacted(Git(root).text("remote", "get-url", "origin")) or None
    except GitError:
        return None
