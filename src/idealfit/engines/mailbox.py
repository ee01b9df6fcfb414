"""Messages through files: a job on a cluster and its controller need nothing in common but a folder.

One file for each direction, JSON lines, appended to. Each look opens the file anew: that is what makes a network file
system show what another host has written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from idealfit.spec import JSON

T = TypeVar("T")
PATIENCE_S = 60.0  # how long a shared folder may be out of reach


class Mailbox:
    """One direction. Who reads remembers how far; a line that is not whole yet is left for the next look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def create(self) -> None:
        """Make the file, before anybody looks: a network file system remembers for a while that there was none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))

    def append(self, message: JSON) -> None:
        """Add a message, in one write."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, json.dumps(message).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def read(self) -> list[JSON]:
        """The messages that came since the last call.

        Raises:
            OSError: The file cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


def patiently(call: Callable[[], T]) -> T:
    """What `call` gets from a shared folder that may be out of reach for a while.

    Raises:
        OSError: It stays so.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
