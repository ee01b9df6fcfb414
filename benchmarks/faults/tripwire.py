"""Notices whatever a hostile input would make a program do, by Python's own audit events, and stops it before it happens.

Unlike a list of patched functions an audit hook misses no alias: `os.system` raises its event by whatever name it was
called. The hook stays in the process once it is there; it looks away while nothing is armed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CANARY = "canary"  # the name of the file that hostile code makes
STRANGER = "stranger"  # modules whose name begins so are a stranger's code

EXECUTES = frozenset(
    {
        *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile", "pty.spawn"),
        *("subprocess.Popen", "pickle.find_class", "code.__new__", "webbrowser.open"),
        *("socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request", "ftplib.connect", "smtplib.connect"),
    }
)
CHANGES = frozenset(
    {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate"}
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


class TrippedError(Exception):
    """Stands in the way of what was noticed."""


@dataclass
class Tripwire:
    """Armed for one folder: what happens inside it is fine, unless it is the canary.

    Attributes:
        trips: What was noticed, one line each.
    """

    folder: Path
    trips: list[str] = field(default_factory=list)

    def look(self, event: str, args: tuple[Any, ...]) -> None:
        """Judge one audit event.

        Raises:
            TrippedError: It must not happen.
        """
        if (
            event in EXECUTES
            or (event == "import" and str(args[0]).startswith(STRANGER))
            or (event == "ctypes.dlopen" and os.sep in str(args[0]))
        ):
            self._trip(event, args)
        elif (event == "open" and isinstance(args[0], str | bytes | os.PathLike) and _writes(args)) or (
            event in CHANGES and isinstance(args[0], str | bytes | os.PathLike)
        ):
            self._look_at_path(event, os.fsdecode(args[0]))

    def _look_at_path(self, event: str, name: str) -> None:
        path = os.path.abspath(name)  # noqa: PTH100 - resolve() would ask the disk, which raises events
        outside = not f"{path}{os.sep}".startswith((f"{self.folder}{os.sep}", "/dev/"))
        if os.path.basename(path).startswith(CANARY) or outside:  # noqa: PTH119
            self._trip(event, (name,))

    def _trip(self, event: str, args: tuple[Any, ...]) -> None:
        self.trips.append(f"{event} {', '.join(map(repr, args))}"[:200])
        raise TrippedError(self.trips[-1])


_armed: list[Tripwire] = []
_is_installed = False


@contextlib.contextmanager
def armed(folder: Path) -> Iterator[Tripwire]:
    """Notice what happens from here on, in all threads; temporary files go into `folder`."""
    global _is_installed
    if not _is_installed:
        sys.addaudithook(_hook)
        _is_installed = True
    wire = Tripwire(folder.resolve())
    before, dont_write = tempfile.tempdir, sys.dont_write_bytecode
    tempfile.tempdir, sys.dont_write_bytecode = str(folder), True
    _armed.append(wire)
    try:
        yield wire
    finally:
        _armed.remove(wire)
        tempfile.tempdir, sys.dont_write_bytecode = before, dont_write


def _hook(event: str, args: tuple[Any, ...]) -> None:
    for wire in _armed:
        wire.look(event, args)


def _writes(args: tuple[Any, ...]) -> bool:
    """Whether an `open` event asks for more than reading: by mode (`open`) or by flags (`os.open`)."""
    mode, flags = args[1], args[2]
    return bool(set(mode) & set("wax+")) if isinstance(mode, str) else bool(flags & WRITING)
