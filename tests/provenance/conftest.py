"""A real git repository to look at."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def own_git_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git as on a fresh machine: no settings but a name, no repository above the temporary folders."""
    settings = tmp_path_factory.mktemp("git") / "config"
    settings.write_text("[user]\n\tname = A\n\temail = a@example.org\n[init]\n\tdefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path_factory.getbasetemp()))


@pytest.fixture
def git(tmp_path: Path) -> Run:
    """`git("add", "x")` in the repository of the test."""

    def run(*arguments: str, cwd: Path | None = None) -> str:
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=cwd or tmp_path / "my repo", check=True, capture_output=True, text=True
        ).stdout

    return run


@pytest.fixture
def repo(tmp_path: Path, git: Run) -> Path:
    """One commit: net.py, conf/train.yaml, a binary file, an ignore file."""
    root = tmp_path / "my repo"
    (root / "conf").mkdir(parents=True)
    (root / "net.py").write_text("depth = 1\n")
    (root / "conf" / "train.yaml").write_text("seed: 0\n")
    (root / "weights.bin").write_bytes(bytes(range(256)))
    (root / ".gitignore").write_text("ignored.py\n/data/\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    return root
