"""A forked worker as its controller sees it: orders and answers, what the server says of its end, and timers."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait

from idealfit.engines.failures import died, failed
from idealfit.engines.forkserver import ForkServer
from idealfit.spec import FailureKind, TrialResult, TrialSpec


class WorkerLink:
    """The controller's ends of a socket to a worker and of a pipe on which the server tells what became of it.

    Raises:
        OSError: There are too many open files; then none of these is open.
    """

    def __init__(self) -> None:
        self.connection, self._theirs = socket.socketpair()
        try:
            self._status_fd, self._their_status_fd = os.pipe()
        except OSError:
            self.connection.close()
            self._theirs.close()
            raise
        self._has_theirs = True

    def fork(self, server: ForkServer, worker_id: int) -> None:
        """Have the server fork the worker."""
        with contextlib.suppress(OSError):  # the server has died: the end of the pipe says so
            server.fork(worker_id, self._theirs, self._their_status_fd)
        self._close_theirs()

    def send(self, order: bytes) -> None:
        """Tell the worker, unless it is dead already."""
        with contextlib.suppress(OSError):
            self.connection.sendall(order)

    def hear(
        self, on_answer: Callable[[bytes], None], on_status: Callable[[bytes], None] = lambda said: None
    ) -> list[bytes]:
        """Wait until the worker is gone.

        Args:
            on_answer: Given what it answers, piece by piece.
            on_status: Given all that the server has said of it, each time it says more.

        Returns:
            The words that the server said of it.
        """
        said, answers = b"", self.connection.fileno()
        is_open = {answers, self._status_fd}
        while self._status_fd in is_open:
            readable = set(wait(is_open))
            for fd in [fd for fd in is_open if fd in readable]:
                data = _read(fd)
                if not data:
                    is_open.discard(fd)
                elif fd == answers:
                    on_answer(data)
                else:
                    said += data
                    on_status(said)
        self.connection.setblocking(False)
        while data := _read(answers):
            on_answer(data)
        return said.split()

    def close(self) -> None:
        """Close what is open."""
        self._close_theirs()
        self.connection.close()
        os.close(self._status_fd)

    def _close_theirs(self) -> None:
        if self._has_theirs:
            self._has_theirs = False
            self._theirs.close()
            os.close(self._their_status_fd)


class Timers:
    """Timers that end with the work that they watch."""

    def __init__(self) -> None:
        self._started: list[threading.Timer] = []

    def start(self, seconds: float, function: Callable[[], None]) -> threading.Timer:
        """Call `function` after so many seconds."""
        timer = threading.Timer(seconds, function)
        timer.daemon = True
        self._started.append(timer)
        timer.start()
        return timer

    def cancel(self) -> None:
        """Call none of them any more."""
        for timer in self._started:
            timer.cancel()


def end_without_result(spec: TrialSpec, status: Sequence[bytes], server: ForkServer) -> TrialResult:
    """The result of an attempt whose worker is gone; `status` is what `WorkerLink.hear` returned."""
    if b"exit" in status:
        return died(spec, int(status[-1]))
    words = server.last_words()
    return failed(spec, FailureKind.KILLED, f"The server of workers could not start one, or died.\n{words}")


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except (ConnectionResetError, BlockingIOError):
        return b""
