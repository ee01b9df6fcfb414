"""The dispatcher: gives attempts to the seats of a cluster.

Waiting attempts are kept here and go to whichever seat is ready first, so a cluster that grants one seat of eight still
does all the work. A single thread owns all state; everybody else sends it orders.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Literal

from idealfit.engines.failures import failed, interrupted
from idealfit.engines.seats import Cluster, Loss, Seat
from idealfit.engines.worker import name_of
from idealfit.spec import JSON, FailureKind, TrialResult, TrialSpec, UserError, Work

KILL_S = 10.0  # what a seat gets to answer a kill before it is given up as a whole
TROUBLE_S = 60.0  # how long a cluster may refuse and a folder be out of reach before those who wait are told
TROUBLE_POLL_S = 2.0
GATHER_S = 0.05  # attempts that come this close to each other ask for their seats together
MAX_RETURNS = 3  # how often an attempt that never began goes back to the queue


@dataclass(eq=False)
class _Errand:
    """One attempt on its way."""

    id: int
    work: str
    spec: TrialSpec
    timeout_s: float | None
    future: Future[TrialResult]
    progress: Literal["given", "started", "paused"] = "given"
    is_ended_by_request: bool = False
    num_returns: int = 0

    def drop(self) -> None:
        """Nobody wants it any more."""
        if self.future.cancel():
            self.future.set_running_or_notify_cancel()  # wakes those who wait for it
        elif not self.future.done():
            self.future.set_result(interrupted(self.spec))

    def fail(self, failure: FailureKind, message: str) -> None:
        """It comes to a bad end."""
        if self.future.running() or self.future.set_running_or_notify_cancel():
            self.future.set_result(failed(self.spec, failure, message))


@dataclass(eq=False)
class _Place:
    """A seat and what it does."""

    seat: Seat
    is_ready: bool = False
    has_greeted: bool = False
    is_leaving: bool = False
    num_given: int = 0
    errand: _Errand | None = None
    give_up_at: float = float("inf")


Order = tuple[Literal["run", "stop", "kill", "close"], _Errand | threading.Event]


class Dispatcher:
    """Runs attempts on the seats of a cluster.

    Args:
        num_seats: Seats at once, at most.
        poll_s: Seconds between two looks at the seats.
        runs_per_seat: Attempts that a seat is given before it is let go; 0: as many as come.
    """

    def __init__(self, cluster: Cluster, *, num_seats: int, poll_s: float, runs_per_seat: int = 0) -> None:
        self.num_seats = num_seats
        self._cluster = cluster
        self._poll_s = poll_s
        self._runs_per_seat = runs_per_seat
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._waiting: deque[_Errand] = deque()
        self._places: list[_Place] = []
        self._trouble_since: float | None = None
        self._num_errands = 0
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="idealfit-dispatcher", daemon=True)
        self._thread.start()

    def submit(self, work: Work, spec: TrialSpec, timeout_s: float | None) -> Future[TrialResult]:
        """Queue an attempt.

        Raises:
            TypeError: `work` is no function at the top level of a module.
            RuntimeError: Closed.
        """
        name = name_of(work)
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the engine is closed")
            errand = _Errand(self._num_errands, name, spec, timeout_s, Future())
            self._num_errands += 1
            self._orders.put(("run", errand))
        return errand.future

    def stop(self) -> None:
        """Cancel the waiting attempts and ask the running ones to end."""
        self._order("stop")

    def kill(self) -> None:
        """Cancel the waiting attempts and end the running ones."""
        self._order("kill")

    def close(self) -> None:
        """Kill, and give all seats back."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._order("close")
        self._thread.join()

    def _order(self, what: Literal["stop", "kill", "close"]) -> None:
        """Returns once the seats have been told: who ends this process next leaves nothing undone."""
        told = threading.Event()
        self._orders.put((what, told))
        while self._thread.is_alive() and not told.wait(0.1):
            pass

    # What follows runs in the dispatcher's own thread.

    def _serve(self) -> None:
        try:
            while self._take_orders():
                self._look_patiently()
        finally:
            self._cluster.close()
            for place in self._places:
                if place.errand:
                    place.errand.drop()

    def _take_orders(self) -> bool:
        """Whether to go on."""
        timeout: float | None = None
        if self._waiting or self._places:
            timeout = self._poll_s if self._trouble_since is None else TROUBLE_POLL_S
        while True:
            try:
                what, subject = self._orders.get(timeout=timeout)
            except queue.Empty:
                return True
            timeout = GATHER_S
            if isinstance(subject, _Errand):
                self._waiting.append(subject)
                continue
            while self._waiting:
                self._waiting.popleft().drop()
            try:
                for place in [place for place in self._places if place.errand]:
                    self._end_errand(place, kill=what != "stop")
            except OSError as error:
                self._bear(error)
            subject.set()
            if what == "close":
                return False

    def _end_errand(self, place: _Place, *, kill: bool) -> None:
        errand = place.errand
        assert errand is not None  # noqa: S101
        errand.is_ended_by_request = True
        if not place.is_ready or not place.seat.is_running:  # it waits for a machine: nobody would hear
            self._give_up(place)
            return
        place.seat.send({"do": "kill" if kill else "stop", "id": errand.id})
        if kill:
            place.give_up_at = time.monotonic() + KILL_S

    def _look_patiently(self) -> None:
        try:
            self._look()
            self._trouble_since = None
        except (UserError, OSError) as error:
            self._bear(error)

    def _bear(self, error: Exception) -> None:
        """A refusal or a lost folder may pass; who waits is told when it does not."""
        if self._trouble_since is None:
            self._trouble_since = time.monotonic()
        if time.monotonic() - self._trouble_since < TROUBLE_S and (self._places or isinstance(error, OSError)):
            return
        kind = FailureKind.INPUT if isinstance(error, UserError) else FailureKind.KILLED
        for errand in [*self._waiting, *(place.errand for place in self._places if place.errand)]:
            errand.fail(kind, str(error))
        self._waiting.clear()
        for place in list(self._places):
            self._give_up(place)
        self._trouble_since = None

    def _look(self) -> None:
        self._cluster.look()
        for place in list(self._places):
            loss = place.seat.loss()  # first: whatever it said, it said before
            for event in place.seat.events():
                self._hear(place, event)
            if loss:
                self._lose(place, loss)
            elif time.monotonic() > place.give_up_at:
                self._give_up(place)
        self._assign()
        self._open()

    def _hear(self, place: _Place, event: JSON) -> None:
        if event["event"] == "hello":
            place.is_ready = place.has_greeted = True
        elif event["event"] == "bye":
            place.is_leaving = True
        elif place.errand and event["id"] == place.errand.id:
            if event["event"] == "result":
                self._settle(place, place.errand, TrialResult.from_json(event["result"]))
            else:
                place.errand.progress = event["event"]
                place.is_ready = event["event"] != "paused"

    def _settle(self, place: _Place, errand: _Errand, result: TrialResult) -> None:
        place.errand = None
        place.give_up_at = float("inf")
        if place.num_given == self._runs_per_seat:  # never with 0: one was given
            place.seat.send({"do": "end"})
            place.is_leaving = True
        errand.future.set_result(replace(result, facts=result.facts | place.seat.facts()))

    def _lose(self, place: _Place, loss: Loss) -> None:
        self._places.remove(place)
        errand = place.errand
        if errand is None:
            if not place.has_greeted and self._waiting:  # asking again and again would not help
                self._waiting.popleft().fail(loss.failure, loss.message)
        elif errand.is_ended_by_request:
            errand.drop()
        elif errand.progress == "paused" and not loss.is_final:
            self._waiting.appendleft(errand)
        elif errand.progress == "given" and errand.num_returns < MAX_RETURNS and not loss.is_final:
            errand.num_returns += 1
            self._waiting.appendleft(errand)
        else:
            errand.fail(loss.failure, loss.message)

    def _give_up(self, place: _Place) -> None:
        self._places.remove(place)
        place.seat.give_up()
        if place.errand:
            place.errand.drop()

    def _assign(self) -> None:
        for place in self._places:
            while self._waiting and place.is_ready and not place.is_leaving and place.errand is None:
                errand = self._waiting.popleft()
                if not (errand.future.running() or errand.future.set_running_or_notify_cancel()):
                    continue
                errand.progress = "given"
                place.errand = errand
                place.num_given += 1
                order = {"do": "run", "id": errand.id, "work": errand.work, "timeout_s": errand.timeout_s}
                place.seat.send(order | {"spec": errand.spec.to_json()})

    def _open(self) -> None:
        staying = [place for place in self._places if not place.is_leaving]
        num_free = sum(place.errand is None for place in staying)
        missing = min(self.num_seats - len(staying), len(self._waiting) - num_free)
        if missing > 0:
            self._places += [_Place(seat) for seat in self._cluster.open_seats(missing)]
