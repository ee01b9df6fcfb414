"""What happens in a worker that is forked for a group of trials.

The controller writes lines of JSON: first `{"group": WORK, "env": ..., "max_trials": N, "num_trials": N}`, then
`{"id": N, "spec": ...}` for each of the `num_trials` that it begins with and for each that joins later, and
`{"end": N}` for one that is to stop; `stop` alone is for all. The worker answers `{"id": N, "result": ...}` when one
has ended, `{"id": N, "refused": WHY}` for one that it cannot train with others, `{"room": N}` where the memory holds no
more at once, and `{"closed": true}` as its last line: whoever joins later, or was answered nothing, is to be trained by
another worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from idealfit.engines.worker import STOP, make_importable, redirect_output, resolve
from idealfit.spec import JSON, TrialResult, TrialSpec, attempt_log_path, redacted


@dataclass
class Guest:
    """A trial in this worker."""

    id: int
    spec: TrialSpec
    stop: threading.Event = field(default_factory=threading.Event)


class Group:
    """The controller, as the work of a group sees it."""

    def __init__(self, connection: socket.socket, request: JSON) -> None:
        self._connection = connection
        self._waiting: queue.SimpleQueue[Guest] = queue.SimpleQueue()
        self._guests: dict[int, Guest] = {}
        self._lock = threading.Lock()
        self._log: Path | None = None
        self._num_threads: int | None = None
        self.max_trials = int(request["max_trials"])
        self.work = str(request["work"])

    def take(self, at_most: int) -> list[Guest]:
        """Trials that wait, in order; each is answered once, by `tell` or `refuse`."""
        taken: list[Guest] = []
        with contextlib.suppress(queue.Empty):
            while len(taken) < at_most:
                taken.append(self._waiting.get_nowait())
        return taken

    @property
    def num_threads(self) -> int | None:
        """CPU threads of this worker."""
        return self._num_threads

    def tell(self, guest: Guest, result: TrialResult) -> None:
        """The trial has ended."""
        self._say({"id": guest.id, "result": result.to_json()})

    def refuse(self, guest: Guest, reason: str, *, is_shape: bool = True) -> None:
        """The trial must be trained alone; `is_shape`: so must all of its shape."""
        self._say({"id": guest.id, "refused": redacted(reason), "is_shape": is_shape})

    def refuse_all(self, reason: str) -> None:
        """Whoever was not answered must be trained alone."""
        for guest in list(self._guests.values()):
            self.refuse(guest, reason)

    def prepare(self, env: dict[str, str]) -> None:
        """Make this process that of the first trial: its output, its environment, its modules."""
        first = next(iter(self._guests.values()))
        redirect_output(attempt_log_path(first.spec.record_dir, first.spec.attempt))
        os.environ.update(env)
        self._num_threads = first.spec.num_threads
        make_importable(first.spec)

    def limit(self, num_trials: int) -> None:
        """No more trials of this shape fit at once."""
        self._say({"room": num_trials})

    def close(self) -> None:
        """The last word."""
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        self._say({"closed": True})

    def hear(self, incoming: BufferedReader[Any]) -> None:
        """Take in what the controller says until it is gone; then nobody would hear a result."""
        for line in incoming:
            self.obey(line)
        os.killpg(0, signal.SIGKILL)

    def obey(self, line: bytes) -> None:
        """Do what one line of the controller says."""
        message: JSON = json.loads(line) if line != STOP else {}
        guest: Guest | None
        if "spec" in message:
            guest = Guest(message["id"], TrialSpec.from_json(message["spec"]))
            self._guests[guest.id] = guest
            self._note_log(guest)
            self._waiting.put(guest)
        elif "end" in message:
            guest = self._guests.get(message["end"])  # None: it has just ended
            if guest:
                guest.stop.set()
        else:
            for guest in list(self._guests.values()):
                guest.stop.set()

    def _note_log(self, guest: Guest) -> None:
        """The group's output goes to the log of its first trial; the others' say so."""
        log = attempt_log_path(guest.spec.record_dir, guest.spec.attempt)
        if self._log is None:
            self._log = log
            return
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                file.write(f"Trained in a group. What its process says is in {self._log}\n")

    def _say(self, message: JSON) -> None:
        with self._lock, contextlib.suppress(OSError):
            if "id" in message and self._guests.pop(message["id"], None) is None:
                return  # it was answered
            self._connection.sendall(json.dumps(message).encode() + b"\n")


GroupWork = Callable[[Group], None]
"""What is executed for a group: takes its trials, and answers each."""


def run(connection: socket.socket, incoming: BufferedReader[Any], request: JSON) -> None:
    """Carry a group to its end; it begins when all of its first trials are known."""
    group = Group(connection, request)
    for _ in range(request["num_trials"]):
        line = incoming.readline()
        if not line.endswith(b"\n"):
            return  # the controller died
        group.obey(line)
    threading.Thread(target=group.hear, args=(incoming,), name="idealfit-controller", daemon=True).start()
    try:
        group.prepare(request["env"])
        work: GroupWork = resolve(request["group"])
        work(group)
    except BaseException as error:  # noqa: BLE001 - each trial will show alone whether it is to blame
        traceback.print_exception(error)
        group.refuse_all(f"trials whose group failed ({type(error).__name__}: {error})")
    group.close()
