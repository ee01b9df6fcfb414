"""Running git on a user's repository without changing anything in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from idealfit.spec import IdealfitError

TIMEOUT_S = 30.0

# The user's settings must not change a patch, and reading must start no program that a repository names.
_SETTINGS = (
    "core.fsmonitor=false",
    "core.quotePath=false",
    f"core.hooksPath={os.devnull}",
    "advice.graftFileDeprecated=0",
)
# Set inside git's own hooks, where they would point at another index or repository.
_FOREIGN = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
}


_OURS = {"system", "global", "command"}  # scopes of settings that the user made, not the repository


class GitError(IdealfitError):
    """Git is missing, refused, or took too long; the message is what it said."""


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN}


@dataclass(frozen=True)
class Git:
    """Git in one directory."""

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Standard output of `git ARGUMENTS`.

        Raises:
            GitError: It could not start or ended with an error.
        """
        settings = [word for setting in (*_SETTINGS, *self._filters()) for word in ("-c", setting)]
        own = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
        environment = _environment() | own | dict(self.variables)
        command = ["git", *settings, *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.directory, env=environment, input=stdin, capture_output=True, timeout=TIMEOUT_S
            )
        except FileNotFoundError as error:
            raise GitError("git is not installed") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitError(f"git {arguments[0]}: {error}") from error
        if done.returncode:
            lines = os.fsdecode(done.stderr).strip().splitlines()
            raise GitError(lines[0] if lines else f"git {arguments[0]} ended with {done.returncode}")
        return done.stdout

    def _filters(self) -> list[str]:
        """Settings that switch off the filters of the repository's own config: programs that whoever made it chose."""
        pattern = r"^filter\..*\.(clean|smudge|process|required)$"
        listing = ["git", "config", "--show-scope", "--includes", "--null", "--name-only", "--get-regexp", pattern]
        try:
            done = subprocess.run(
                listing, cwd=self.directory, env=_environment(), capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        words = os.fsdecode(done.stdout).split("\0")
        return [f"{name}=" for scope, name in zip(words[::2], words[1::2], strict=False) if scope not in _OURS]

    def text(self, *arguments: str) -> str:
        """Standard output as text, without the last newline."""
        return os.fsdecode(self.run(*arguments)).removesuffix("\n")
