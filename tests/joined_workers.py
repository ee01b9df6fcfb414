"""Workers of one's own: real `idealfit worker` processes, gone with the block that asked for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

END_S = 60
COMMAND = (sys.executable, "-m", "idealfit", "worker")


class JoinedWorker:
    """A worker and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        """All of it."""
        return self._log.read_text(errors="replace")

    def wait_until_said(self, words: str, count: int = 1) -> None:
        """Until it says something."""
        wait_until(lambda: self.said.count(words) >= count, lambda: f"it never said {words!r}:\n{self.said}")

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send it a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(END_S)


@contextmanager
def joined_worker(url: str, *options: str, log: Path, prefix: Sequence[str] = ()) -> Iterator[JoinedWorker]:
    """Start a worker.

    Args:
        url: Of the study.
        options: Of `idealfit worker`.
        log: Where its words go.
        prefix: What goes before the command.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*prefix, *COMMAND, url, *options], stdout=file, stderr=file, env=os.environ, start_new_session=True
        )
    try:
        yield JoinedWorker(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until(holds: Callable[[], bool], otherwise: Callable[[], str], seconds: float = 120) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)
