"""Records of machines that share no folder with the controller: their files travel, as they grow.

Files are sent as changes: what was appended to a log or to the metrics, or all of a file that was replaced, as
checkpoints are. So the controller has at any time what an attempt has written, and another machine can go on with it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

APPENDED = (".jsonl", ".log")
PART = 1 << 26  # bytes of one file in one change


@dataclass(frozen=True)
class Change:
    """Bytes of one file of a record: from `offset` on, or all of it (`offset` None)."""

    path: str
    data: bytes
    offset: int | None = None


class Luggage:
    """A record's folder, watched for what changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sent: dict[str, tuple[int, int]] = {}  # by path: size, modification time

    def changes(self) -> list[Change]:
        """What is new since the last call; at first everything."""
        found = []
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            try:
                if path.is_file() and not path.is_symlink() and not name.endswith(".tmp"):
                    found += self._changes_of(path, name)
            except FileNotFoundError:  # it was replaced while we looked
                continue
        return found

    def _changes_of(self, path: Path, name: str) -> list[Change]:
        before = self._sent.get(name, (0, -1))
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            now = (stat.st_size, stat.st_mtime_ns)
            if now == before:
                return []
            if path.suffix in APPENDED and now[0] >= before[0]:
                file.seek(before[0])
                data = file.read(min(now[0] - before[0], PART))
                self._sent[name] = (before[0] + len(data), now[1] if before[0] + len(data) == now[0] else -1)
                return [Change(name, data, before[0])]
            self._sent[name] = now
            return [Change(name, file.read())]


def unpack(changes: list[Change], folder: Path) -> None:
    """Make the changes to a record's folder.

    Raises:
        ValueError: A path leads out of it.
    """
    for change in changes:
        path = folder / change.path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{change.path!r} leads out of the record")
        path.parent.mkdir(parents=True, exist_ok=True)
        if change.offset is None:
            temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
            temporary.write_bytes(change.data)
            temporary.replace(path)
        else:
            with path.open("r+b" if path.exists() else "wb") as file:
                file.seek(change.offset)
                file.write(change.data)
