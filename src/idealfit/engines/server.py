"""The fork server: a small process that imports the heavy libraries once and then forks one worker for each attempt.

Why not `multiprocessing`'s: that one imports the user's `__main__` again in each child, runs beside a resource tracker,
stays until the interpreter ends, and when the controller dies it leaves behind a child that hangs with the interpreter
lock held. Here the server is the parent of all workers and shares the controller's fate: when the control socket ends,
it kills them all.

Protocol: the controller sends `REQUEST` structs (task id, signal). Signal 0 means fork, with two file descriptors: the
worker's end of its connection, and a pipe on which the server says `pid N` and then `exit CODE`. Any other signal goes
to the worker of that task.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from idealfit.collector import collector_paused
from idealfit.engines import worker

REQUEST = struct.Struct("!qi")
FORK = 0


def main(control_fd: int, preload: Sequence[str]) -> None:
    """Import `preload`, then serve until the controller goes. Nothing preloaded may start threads or CUDA."""
    with collector_paused():
        for name in preload:
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - the first trial that needs it says so in its own log
                traceback.print_exc()
    # The collector of a worker leaves these objects alone, so their pages stay shared. What little of them is garbage
    # may stay: to look for it would keep the first trial waiting for a third of a second.
    gc.freeze()
    try:
        _Server(socket.socket(fileno=control_fd)).serve()
    except Exception:  # noqa: BLE001 - our own fault: its text reaches the user as the server's last words
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)  # no teardown of the interpreter: with torch loaded it takes half a second


@dataclass(frozen=True)
class _Child:
    task: int
    status_fd: int


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}  # by process id
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def serve(self) -> None:
        """Fork, signal and reap until the control socket ends or SIGTERM comes."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, for only then the wake-up pipe gets a byte
        signal.set_wakeup_fd(self._wake_write)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._control, selectors.EVENT_READ)
                selector.register(self._wake_read, selectors.EVENT_READ)
                while self._serve_once(selector):
                    pass
        finally:
            self._kill_all()

    def _serve_once(self, selector: selectors.BaseSelector) -> bool:
        for key, _ in selector.select():
            if key.fileobj is not self._control:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
                continue
            message, fds, _, _ = socket.recv_fds(self._control, REQUEST.size, 2)
            if len(message) < REQUEST.size:
                return False  # the controller is gone
            task, signal_number = REQUEST.unpack(message)
            if signal_number == FORK:
                self._fork(task, selector, *fds)
            else:
                self._signal(task, signal_number)
        self._reap()
        return True

    def _fork(self, task: int, selector: selectors.BaseSelector, connection_fd: int, status_fd: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            print(f"idealfit: cannot start a worker: {error}", file=sys.stderr, flush=True)
            os.close(connection_fd)
            os.close(status_fd)
            return
        if pid == 0:
            self._become_worker(selector, connection_fd, status_fd)
        with contextlib.suppress(OSError):  # the child does the same; whoever comes first
            os.setpgid(pid, pid)
        os.close(connection_fd)
        self._children[pid] = _Child(task, status_fd)
        _say(status_fd, f"pid {pid}")

    def _become_worker(self, selector: selectors.BaseSelector, connection_fd: int, status_fd: int) -> NoReturn:
        code = 1
        try:
            os.setpgid(0, 0)  # a group of its own: what the worker starts ends with it
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            selector.close()
            self._control.close()
            for fd in (self._wake_read, self._wake_write, status_fd, *(c.status_fd for c in self._children.values())):
                os.close(fd)
            worker.run(socket.socket(fileno=connection_fd))
            code = 0
        except BaseException:  # noqa: BLE001 - never return into the server's loop
            traceback.print_exc()
        finally:
            os._exit(code)  # no teardown either

    def _signal(self, task: int, signal_number: int) -> None:
        for pid, child in self._children.items():
            if child.task == task:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal_number) if signal_number == signal.SIGKILL else os.kill(pid, signal_number)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._end(pid, os.waitstatus_to_exitcode(status))

    def _end(self, pid: int, exit_code: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # what it left behind: loader processes, ranks
        child = self._children.pop(pid, None)
        if child is not None:
            _say(child.status_fd, f"exit {exit_code}")
            os.close(child.status_fd)

    def _kill_all(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                _, status = os.waitpid(pid, 0)
                self._end(pid, os.waitstatus_to_exitcode(status))


def _say(status_fd: int, text: str) -> None:
    with contextlib.suppress(OSError):  # the controller may be gone
        os.write(status_fd, text.encode() + b"\n")
