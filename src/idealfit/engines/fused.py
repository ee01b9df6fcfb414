"""The fused engine: trials of one shape as one program, in one process for each group of them."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from idealfit.engines import hardware
from idealfit.engines.failures import interrupted
from idealfit.engines.group_task import GroupTask, Seat
from idealfit.engines.local import GROUP_MODULE, PRELOAD, LocalEngine
from idealfit.engines.pool import checked_slots, checked_timeout
from idealfit.engines.shapes import shape_of
from idealfit.engines.worker import name_of
from idealfit.protocol import num_rounds
from idealfit.spec import TrialResult, TrialSpec, Work

FUSES = {"idealfit.trial:run_trial": f"{GROUP_MODULE}:run_group"}
"""Works that several trials can do together, and the work that does it for a group, by name."""
MIN_GROUP = 4  # below that, groups are not worth a worker of their own
CPU_GROUP = 8  # more trials in a group are hardly faster, and teach the sampler less
GPU_GROUP = 32
LINGER_S = 0.2  # the controller asks for one trial after the other


class FusedEngine(LocalEngine):
    """Trains trials that differ in nothing but learning rate, dropout, seed and the like as one program.

    There is a worker for each CUDA device, without one for each core; each trains a group. Trials that are submitted
    together begin together, later ones join a group of their shape when it has room and begins an epoch. What cannot be
    fused, and whatever is no training, runs as in the local engine; so does a trial whose group died.

    Args:
        slots: Trials at once, over all groups. 0: 8 for each core or 32 for each device, or as many as fit the memory.
        timeout_s: Seconds after which a trial is ended; None for no limit.
        devices_per_trial: Devices that train one trial together; more than one trains no group.
        stop_grace_s: Seconds that stopped trials get to write their checkpoints before the worker is killed.
        preload: Modules that workers find imported already.
        say: Told once why a trial is not fused.
        fuses: Works that can be done for a group, and by what.
        linger_s: Seconds that a group waits for one more trial before it begins.

    Raises:
        ConfigError: `slots` is negative, or a time is no positive number.
    """

    def __init__(
        self,
        slots: int = 0,
        timeout_s: float | None = None,
        *,
        devices_per_trial: int | None = None,
        stop_grace_s: float = 60.0,
        preload: Sequence[str] = PRELOAD,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
        fuses: Mapping[str, str] = FUSES,
        linger_s: float = LINGER_S,
    ) -> None:
        self._slots = checked_slots(slots)
        num_devices = len(hardware.device_ids())
        num_workers = hardware.default_slots(num_devices, hardware.usable_cores(), devices_per_trial or 1)
        is_alone = (devices_per_trial or 1) > 1
        if slots:
            num_workers = slots if is_alone else min(num_workers, max(1, slots // MIN_GROUP))
        super().__init__(
            num_workers,
            timeout_s,
            devices_per_trial=devices_per_trial,
            stop_grace_s=stop_grace_s,
            preload=(*preload, *(name.partition(":")[0] for name in fuses.values())),
        )
        self._size = -(-slots // num_workers) if slots else GPU_GROUP if num_devices else CPU_GROUP
        if is_alone:
            self._size = 1
        self._say = say
        self._fuses = dict(fuses)
        self._linger_s = linger_s
        self._seat_ids = itertools.count()
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Seat]] = {}  # by shape: in no group yet
        self._gathering: list[GroupTask] = []  # groups that wait for a worker, or for one more trial
        self._running: list[GroupTask] = []
        self._rooms: dict[str, int] = {}  # by shape, where the memory holds fewer
        self._refused: set[str] = set()  # shapes that cannot be fused
        self._said: set[str] = set()  # reasons why not
        self._died: set[str] = set()  # records whose group died: they go on alone

    @property
    def num_slots(self) -> int:
        """How many trials run at once."""
        size = min([self._size, *self._rooms.values()])
        return min(self._slots or size * self._pool.num_slots, size * self._pool.num_slots)

    def submit(self, work: Work, spec: TrialSpec, *, timeout_s: float | None = None) -> Future[TrialResult]:
        """Run `work(spec, stop)`, in a group where that can be."""
        name = name_of(work)
        if reason := _alone(spec):
            self._say_once(reason)
            return super().submit(work, spec, timeout_s=timeout_s)
        group_work, shape = self._fuses.get(name), f"{name} {shape_of(spec)}"
        if group_work is None or shape in self._refused or spec.record_dir in self._died:
            return super().submit(work, spec, timeout_s=timeout_s)
        seat = Seat(next(self._seat_ids), work, spec, checked_timeout(timeout_s) or self._timeout_s)
        self._seat(seat, shape, group_work)
        return seat.future

    def stop(self) -> None:
        """Ask running trials to checkpoint and stop; cancel the waiting ones' futures."""
        self._forget_waiting()
        super().stop()

    def kill(self) -> None:
        """Kill what runs, results are INTERRUPTED; cancel the waiting ones' futures."""
        self._forget_waiting()
        super().kill()

    def close(self) -> None:
        """Kill what runs and end the server."""
        self._forget_waiting()
        super().close()

    def _seat(self, seat: Seat, shape: str, group_work: str, *, first: bool = False) -> None:
        """Put a trial into a group that is to begin, or, where no worker is idle, into the emptiest that has room."""
        with self._changed:
            size, waiting = self.size_of(shape), self._waiting.setdefault(shape, deque())
            is_idle = len(self._running) + len(self._gathering) < self._pool.num_slots
            if not is_idle and not waiting:
                groups = sorted((g for g in self._running if g.shape == shape), key=lambda g: g.num_seated)
                if any(group.num_seated < size and group.add(seat) for group in groups):
                    return
            if len(waiting) + 1 > size * sum(group.shape == shape for group in self._gathering):
                task = GroupTask(
                    next(self._ids), self, shape, group_work, self._server, self._stop_grace_s, self._dealt
                )
                self._pool.submit(task)
                self._gathering.append(task)
            waiting.appendleft(seat) if first else waiting.append(seat)
            self._changed.notify_all()

    def gather(self, task: GroupTask) -> list[Seat]:
        """The trials that a group begins with; waits a moment for more of them."""
        with self._changed:
            waiting, size = self._waiting.setdefault(task.shape, deque()), self.size_of(task.shape)
            deadline = time.monotonic() + self._linger_s
            num_there = len(waiting)
            while task in self._gathering and len(waiting) < size and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
                if len(waiting) > num_there:
                    deadline = time.monotonic() + self._linger_s
                num_there = len(waiting)
            if task not in self._gathering:
                return []
            self._gathering.remove(task)
            seats = [waiting.popleft() for _ in range(min(size, len(waiting)))]
            if seats:
                self._running.append(task)
            return [seat for seat in seats if seat.future.set_running_or_notify_cancel()]

    def left(self, task: GroupTask) -> None:
        """See `Host`."""
        with self._changed:
            self._running.remove(task)

    def refill(self, task: GroupTask) -> None:
        """See `Host`."""
        with self._changed:
            waiting = self._waiting.get(task.shape)
            while waiting and task.num_seated < self.size_of(task.shape) and task.add(waiting[0]):
                waiting.popleft()

    def size_of(self, shape: str) -> int:
        """See `Host`."""
        return min(self._size, self._rooms.get(shape, self._size))

    def limit(self, shape: str, num_trials: int) -> None:
        """See `Host`."""
        with self._changed:
            self._rooms[shape] = max(1, min(num_trials, self.size_of(shape)))

    def move(self, seat: Seat, task: GroupTask) -> None:
        """See `Host`."""
        spec = seat.spec
        again = Seat(next(self._seat_ids), seat.work, spec, seat.timeout_s)
        again.num_moves = seat.num_moves
        self._follow(seat, again.future)
        try:
            self._seat(again, task.shape, task.work, first=True)
        except RuntimeError:  # the engine was closed meanwhile
            again.future.set_result(interrupted(spec))

    def run_alone(self, seat: Seat, task: GroupTask, reason: str, *, is_shape: bool) -> None:
        """See `Host`."""
        with self._changed:
            if is_shape:
                self._refused.add(task.shape)
        self._say_once(reason)
        try:
            self._follow(seat, super().submit(seat.work, seat.spec, timeout_s=seat.timeout_s))
        except RuntimeError:  # the engine was closed meanwhile
            seat.future.set_result(interrupted(seat.spec))

    def has_died(self, seat: Seat) -> None:
        """See `Host`."""
        with self._changed:
            self._died.add(seat.spec.record_dir)

    def _say_once(self, reason: str) -> None:
        with self._changed:
            is_new = reason not in self._said
            self._said.add(reason)
        if is_new:
            self._say(f"engine=fused cannot train {reason} with others: such trials run alone, as with engine=local")

    @staticmethod
    def _follow(seat: Seat, future: Future[TrialResult]) -> None:
        """Let the trial end as `future` does."""

        def pass_on(done: Future[TrialResult]) -> None:
            seat.future.set_result(interrupted(seat.spec) if done.cancelled() else done.result())

        future.add_done_callback(pass_on)

    def _forget_waiting(self) -> None:
        with self._changed:
            waiting = [seat for seats in self._waiting.values() for seat in seats]
            self._waiting.clear()
            self._gathering.clear()
            self._changed.notify_all()
        for seat in waiting:
            seat.future.cancel()
            seat.future.set_running_or_notify_cancel()  # wakes those who wait for it


def _alone(spec: TrialSpec) -> str:
    """Why a trial trains with no others, as its spec alone tells; "": nothing speaks against it."""
    if spec.num_ranks > 1:
        return "trainer.devices"
    return f"protocol={spec.config['protocol']['name']}" if num_rounds(spec.config) > 1 else ""
