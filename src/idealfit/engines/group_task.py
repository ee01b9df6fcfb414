"""A group on its way: one worker, and the trials that sit in it."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from idealfit.engines.failures import failed, interrupted, timed_out
from idealfit.engines.forkserver import ForkServer
from idealfit.engines.worker import STOP, name_of
from idealfit.engines.worker_link import Timers, WorkerLink, end_without_result
from idealfit.spec import JSON, FailureKind, TrialResult, TrialSpec, TrialState, Work

MAX_MOVES = 5  # how often a trial is taken into another group before it is trained alone
NOTHING = TrialResult(state=TrialState.COMPLETE)  # of a group itself; its trials have results of their own
Deal = Callable[[TrialSpec, int], tuple[TrialSpec, dict[str, str]]]


class Seat:
    """One trial that is to be trained in a group."""

    def __init__(self, seat_id: int, work: Work, spec: TrialSpec, timeout_s: float | None) -> None:
        self.id = seat_id
        self.work = work
        self.spec = spec
        self.timeout_s = timeout_s
        self.future: Future[TrialResult] = Future()
        self.is_late = False
        self.num_moves = 0
        self.timer: threading.Timer | None = None


class Host(Protocol):
    """What a group asks of its engine."""

    def gather(self, task: GroupTask) -> list[Seat]:
        """The trials to begin with; none where all have gone elsewhere."""
        ...

    def left(self, task: GroupTask) -> None:
        """It takes no more trials."""
        ...

    def refill(self, task: GroupTask) -> None:
        """Seat in it who waits for its shape."""
        ...

    def size_of(self, shape: str) -> int:
        """Trials in a group, at most."""
        ...

    def limit(self, shape: str, num_trials: int) -> None:
        """No more than so many fit the memory."""
        ...

    def move(self, seat: Seat, task: GroupTask) -> None:
        """Put a trial that was not trained here into another group."""
        ...

    def run_alone(self, seat: Seat, task: GroupTask, reason: str, *, is_shape: bool) -> None:
        """Train a trial as the local engine does; `is_shape`: and from now on all of its shape."""
        ...

    def has_died(self, seat: Seat) -> None:
        """The trial's group died under it."""
        ...


class GroupTask:
    """Carries a group from its first trials to the end of its last. Others may join while it runs."""

    def __init__(
        self, task_id: int, host: Host, shape: str, work: str, server: ForkServer, stop_grace_s: float, deal: Deal
    ) -> None:
        self.shape = shape
        self.work = work
        self._id = task_id
        self._host = host
        self._server = server
        self._stop_grace_s = stop_grace_s
        self._deal = deal
        self._slot = 0
        self._lock = threading.RLock()
        self._seats: dict[int, Seat] = {}
        self._link: WorkerLink | None = None  # while the worker takes trials
        self._is_ended = False
        self._is_closed = False  # it said so itself
        self._timers = Timers()
        self._line = b""  # what the worker has answered of a line

    @property
    def num_seated(self) -> int:
        """Trials in it now."""
        return len(self._seats)

    def run(self, slot: int) -> TrialResult:
        """Gather trials, start the worker, pass on what it answers, see to those that it did not answer."""
        self._slot = slot
        seats = self._host.gather(self)
        if not seats:
            return NOTHING
        self._seats = {seat.id: seat for seat in seats}
        status: list[bytes] = []
        problem = ""
        try:
            status = self._carry(seats)
        except OSError as error:  # too many open files
            problem = f"No worker could be started: {error}."
        finally:
            self._host.left(self)
            self._timers.cancel()
        for seat in list(self._seats.values()):
            self._part(seat, status, problem)
        return NOTHING

    def add(self, seat: Seat) -> bool:
        """Let one more trial join; False: the group takes none any more."""
        with self._lock:
            if self._link is None or self._is_ended or self._is_closed:
                return False
            if seat.future.set_running_or_notify_cancel():
                self._seats[seat.id] = seat
                self._send(seat)
            return True

    def stop(self) -> None:
        """Ask all its trials to stop, kill the worker after the grace."""
        with self._lock:
            if self._link is None:
                self._is_ended = True
                return
            self._link.send(STOP)
            self._timers.start(self._stop_grace_s, self.kill)

    def kill(self) -> None:
        """Kill the worker; its trials are interrupted."""
        with self._lock:
            self._is_ended = True
            if self._link is not None:
                self._server.signal(self._id, signal.SIGKILL)

    def _carry(self, seats: Sequence[Seat]) -> list[bytes]:
        """Start the worker and hear it out; what the server said of it."""
        link = WorkerLink()
        try:
            return link.hear(self._take_lines) if self._launch(seats, link) else []
        finally:
            with self._lock:
                self._link = None
            link.close()

    def _launch(self, seats: Sequence[Seat], link: WorkerLink) -> bool:
        _, env = self._deal(seats[0].spec, self._slot)
        request: JSON = {"group": self.work, "work": name_of(seats[0].work), "env": env}
        request["num_trials"] = len(seats)
        request["max_trials"] = self._host.size_of(self.shape)
        with self._lock:
            if self._is_ended:
                return False
            link.fork(self._server, self._id)
            self._link = link
            link.send(_line(request))
            for seat in seats:
                self._send(seat)
        return True

    def _send(self, seat: Seat) -> None:
        spec, _ = self._deal(seat.spec, self._slot)
        if self._link:
            self._link.send(_line({"id": seat.id, "spec": spec.to_json()}))
        if seat.timeout_s:
            seat.timer = self._timers.start(seat.timeout_s, lambda: self._expire(seat))

    def _take_lines(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, message: JSON) -> None:
        """Do as one line of the worker says."""
        if message.get("closed"):
            with self._lock:
                self._is_closed = True
            return
        if "room" in message:
            self._host.limit(self.shape, message["room"])
            return
        with self._lock:
            seat = self._seats.pop(message["id"])
        if seat.timer:
            seat.timer.cancel()
        self._host.refill(self)
        if "refused" in message:
            self._host.run_alone(seat, self, message["refused"], is_shape=message["is_shape"])
            return
        result = TrialResult.from_json(message["result"])
        if seat.timeout_s and seat.is_late and result.state is TrialState.INTERRUPTED:
            result = timed_out(seat.spec, seat.timeout_s)
        seat.future.set_result(result)

    def _part(self, seat: Seat, status: Sequence[bytes], problem: str) -> None:
        """See to a trial that the worker left unanswered."""
        with self._lock:
            del self._seats[seat.id]
        if self._is_ended and not seat.is_late:
            seat.future.set_result(interrupted(seat.spec))
        elif seat.timeout_s and seat.is_late:
            seat.future.set_result(timed_out(seat.spec, seat.timeout_s))
        elif self._is_closed and seat.num_moves < MAX_MOVES:
            seat.num_moves += 1
            self._host.move(seat, self)
        elif self._is_closed:
            self._host.run_alone(seat, self, "no group could take it", is_shape=False)
        else:
            self._host.has_died(seat)
            seat.future.set_result(
                failed(seat.spec, FailureKind.KILLED, problem)
                if problem
                else end_without_result(seat.spec, status, self._server)
            )

    def _expire(self, seat: Seat) -> None:
        """A trial has taken too long: ask it to stop; if the worker does not hear, end all of it."""
        with self._lock:
            if seat.id not in self._seats or self._link is None:
                return
            seat.is_late = True
            self._link.send(_line({"end": seat.id}))
            seat.timer = self._timers.start(self._stop_grace_s, lambda: self._end_for(seat))

    def _end_for(self, seat: Seat) -> None:
        with self._lock:
            if seat.id in self._seats and self._link is not None:
                self._server.signal(self._id, signal.SIGKILL)


def _line(message: JSON) -> bytes:
    return json.dumps(message).encode() + b"\n"
