"""The controller's handle on its fork server (`idealfit.engines.server`)."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from idealfit.engines.failures import TAIL_BYTES
from idealfit.engines.server import FORK, REQUEST

EXIT_TIMEOUT_S = 5.0


class ForkServer:
    """Starts the server at once, so that its imports run while the controller gets ready; requests wait until it is.

    Args:
        preload: Modules that every worker finds imported already.
        env: Environment variables of the server and so of all workers.
    """

    def __init__(self, preload: Sequence[str], env: Mapping[str, str]) -> None:
        self._preload = frozenset(preload)
        self._circumstances = environment, path, _ = _circumstances(env)
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        code = f"import sys; sys.path[:] = {path!r}; from idealfit.engines.server import main"
        code += f"; main({theirs.fileno()}, {list(preload)!r})"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,  # the terminal's Ctrl-C is for the controller alone
            )

    def serves(self, preload: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether it is as good as a new one with these arguments."""
        return self._preload.issuperset(preload) and self._circumstances == _circumstances(env)

    def fork(self, task: int, connection: socket.socket, status_fd: int) -> None:
        """Start a worker that talks on `connection`; its process id and exit code come on `status_fd`.

        Raises:
            OSError: The server has died.
        """
        with self._lock:
            socket.send_fds(self._control, [REQUEST.pack(task, FORK)], [connection.fileno(), status_fd])

    def signal(self, task: int, signal_number: int) -> None:
        """Send a signal to the worker of `task`, SIGKILL to all that it has started; nothing where it has ended."""
        with self._lock, contextlib.suppress(OSError):
            self._control.sendall(REQUEST.pack(task, signal_number))

    def last_words(self) -> str:
        """The end of what the server itself wrote: why it could not import or fork."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace").strip()

    def close(self) -> None:
        """End the server and all workers, at once even while it imports."""
        with contextlib.suppress(OSError), self._lock:
            self._control.shutdown(socket.SHUT_RDWR)  # ends it too, where SIGTERM is blocked as in a Slurm job
        self._process.terminate()
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        with self._lock:
            self._control.close()

    def discard(self) -> None:
        """Free the output, when nobody asks for last words any more."""
        self._output.close()


def _circumstances(env: Mapping[str, str]) -> tuple[dict[str, str], list[str], str]:
    """What a server started now would find: environment, import path, working directory."""
    return {**os.environ, **env}, [str(entry) for entry in sys.path], str(Path.cwd())


_ahead: list[ForkServer] = []


def start_ahead(preload: Sequence[str], env: Mapping[str, str]) -> None:
    """Start the server that `claimed` will be asked for, by a guess: its imports take seconds."""
    _ahead.append(ForkServer(preload, env))


def claimed(preload: Sequence[str], env: Mapping[str, str]) -> ForkServer:
    """The server that was started ahead, if it will do, else a new one."""
    if _ahead and _ahead[0].serves(preload, env):
        return _ahead.pop()
    close_ahead()
    return ForkServer(preload, env)


@atexit.register
def close_ahead() -> None:
    """End a server that was started ahead and that nobody has claimed."""
    while _ahead:
        server = _ahead.pop()
        server.close()
        server.discard()
