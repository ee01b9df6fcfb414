"""Which files are somebody's source, and how much of them is worth keeping."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CODE = {".py", ".pyi", ".pyx", ".pxd", ".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp", ".rs"}
SOURCE = CODE | {".yaml", ".yml", ".toml", ".cfg", ".ini", ".json", ".txt", ".md", ".rst", ".sh", ".ipynb", ".lock"}
SOURCE_NAMES = {"Makefile", "Dockerfile", "LICENSE", ".gitignore", ".gitattributes"}
_SECRET_WORDS = ("secret", "credential", "password", "token", "id_rsa")
_FOREIGN_FOLDERS = {
    ".git",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    ".eggs",
    "site-packages",
    "node_modules",
    "__pycache__",
} | {
    ".ipynb_checkpoints",
    ".idealfit-cache",
    ".hydra",
    "outputs",
    "multirun",
    "mlruns",
    "mlartifacts",
}

MAX_FILE_BYTES = 1 << 20
MAX_PATCH_BYTES = 16 << 20
MAX_CODE_FILES = 5_000
MAX_VISITED = 200_000


def is_code(path: str) -> bool:
    """Whether the file can change what a run computes (configs are recorded resolved, whatever their files say)."""
    return os.path.splitext(path)[1] in CODE  # noqa: PTH122 (a hundred thousand names: pathlib takes ten times as long)


def is_source(path: str) -> bool:
    """Whether an untracked file looks written by a person."""
    return PurePosixPath(path).suffix in SOURCE or PurePosixPath(path).name in SOURCE_NAMES


def is_secret(path: str) -> bool:
    """Whether an untracked file is better not copied anywhere."""
    return not is_code(path) and any(word in PurePosixPath(path).name.lower() for word in _SECRET_WORDS)


def is_foreign(path: str) -> bool:
    """Whether the file lies in an environment or cache that tools made."""
    return not _FOREIGN_FOLDERS.isdisjoint(PurePosixPath(path).parts[:-1])


def blob_id(content: bytes) -> str:
    """The name that git gives to `content`, so that code in and out of a repository compares."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def code_files(root: Path, excluded: tuple[str, ...] = ()) -> tuple[dict[str, str], bool]:
    """Blob id of every code file under `root`, by path; and whether the walk ended before its limits."""
    files: dict[str, str] = {}
    num_visited = 0
    for folder, names in _walk(root, excluded):
        num_visited += len(names)
        for name in filter(is_code, names):
            path = Path(folder, name)
            try:
                if path.stat().st_size <= MAX_FILE_BYTES:
                    files[path.relative_to(root).as_posix()] = blob_id(path.read_bytes())
            except OSError:
                continue  # unreadable, or gone meanwhile: nothing that a run could have imported
        if num_visited > MAX_VISITED or len(files) > MAX_CODE_FILES:
            return files, False
    return files, True


def _walk(root: Path, excluded: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Each folder that a person made, with the names of its files."""
    for folder, subfolders, names in os.walk(root):
        if "pyvenv.cfg" in names:
            subfolders.clear()
            continue
        here = Path(folder).relative_to(root)
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".")
            and name not in _FOREIGN_FOLDERS
            and not is_under((here / name).as_posix(), excluded)
        )
        yield folder, sorted(names)


def is_under(path: str, folders: tuple[str, ...]) -> bool:
    """Whether `path` is one of `folders` or lies in one."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
