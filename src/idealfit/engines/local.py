"""The local engine: each attempt in a fresh process of this machine."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Literal

from idealfit.engines import hardware
from idealfit.engines.failures import failed, interrupted, timed_out
from idealfit.engines.forkserver import ForkServer, claimed, start_ahead
from idealfit.engines.pool import SlotPool, Task, checked_slots, checked_timeout
from idealfit.engines.worker import DUMP_SIGNAL, STOP, name_of, request_of
from idealfit.engines.worker_link import Timers, WorkerLink, end_without_result
from idealfit.spec import FailureKind, TrialResult, TrialSpec, Work

PRELOAD = (
    "torch",
    "idealfit.data",
    "idealfit.models",
    "idealfit.train",
    "optuna",
    "idealfit.pruning",
    "idealfit.trial",
)
GROUP_MODULE = "idealfit.group"  # what a group of fused trials needs, too
DUMP_S = 1.0  # time for a hung worker to write down where it hangs


class LocalEngine:
    """Runs each attempt in a fresh process, forked in milliseconds from a server that has torch and Lightning imported.

    A crash, a leak or a hang costs its own attempt only, and no process outlives the controller, however that ends. A
    worker's output goes to the attempt's log. Each slot gets cores // slots threads, at least one. CUDA devices are
    dealt out by slot; where there are too few for all slots, slots have them in common.

    Args:
        slots: Attempts at once. 0: as many as the CUDA devices go round; without one, as the cores do, at most 8.
        timeout_s: Seconds after which an attempt is killed; None for no limit.
        devices_per_trial: Devices that train one trial together, `trainer.devices`; None deals each slot its share.
        stop_grace_s: Seconds that a stopped attempt gets to write its checkpoint before it is killed.
        preload: Modules that workers find imported already.

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
    ) -> None:
        self._timeout_s = checked_timeout(timeout_s)
        self._stop_grace_s = stop_grace_s
        self._devices = hardware.device_ids()
        cores = hardware.usable_cores()
        num_slots = checked_slots(slots) or hardware.default_slots(len(self._devices), cores, devices_per_trial or 1)
        self._devices_per_trial = devices_per_trial or max(1, len(self._devices) // num_slots)
        self._num_threads = max(1, cores // num_slots)
        self._ids = itertools.count()
        self._pool: SlotPool[Task] = SlotPool(num_slots)
        self._server = claimed(preload, _environment(self._num_threads))

    @property
    def num_slots(self) -> int:
        """How many attempts run at once."""
        return self._pool.num_slots

    @property
    def num_threads(self) -> int:
        """CPU threads of each attempt."""
        return self._num_threads

    def submit(self, work: Work, spec: TrialSpec, *, timeout_s: float | None = None) -> Future[TrialResult]:
        """Run `work(spec, stop)` in a worker as soon as a slot is free.

        Raises:
            TypeError: `work` is no function at the top level of a module.
        """
        name_of(work)
        timeout_s = checked_timeout(timeout_s) or self._timeout_s
        task = _LocalTask(next(self._ids), self._server, work, spec, timeout_s, self._stop_grace_s, self._dealt)
        return self._pool.submit(task)

    def stop(self) -> None:
        """Ask running attempts to checkpoint and stop, kill them after the grace; cancel the waiting ones' futures."""
        self._pool.stop()

    def kill(self) -> None:
        """Kill running attempts, their results are INTERRUPTED; cancel the waiting ones' futures."""
        self._pool.kill()

    def close(self) -> None:
        """Kill what runs and end the server."""
        self._pool.kill()
        self._server.close()
        self._pool.close()
        self._server.discard()

    def _dealt(self, spec: TrialSpec, slot: int) -> tuple[TrialSpec, dict[str, str]]:
        """`spec` with the slot's share of the machine, and the environment that grants it."""
        if spec.num_threads is None:
            spec = spec.with_(num_threads=max(1, self._num_threads // spec.num_ranks))
        positions = spec.device_indices
        if positions is None:
            positions = hardware.devices_of_slot(slot, len(self._devices), self._devices_per_trial)
        if positions is None:
            return spec, {}
        return spec.with_(device_indices=positions), {
            "CUDA_VISIBLE_DEVICES": hardware.visible_devices(positions, self._devices)
        }


class _LocalTask:
    def __init__(
        self,
        task_id: int,
        server: ForkServer,
        work: Work,
        spec: TrialSpec,
        timeout_s: float | None,
        stop_grace_s: float,
        deal: Callable[[TrialSpec, int], tuple[TrialSpec, dict[str, str]]],
    ) -> None:
        self._id = task_id
        self._server = server
        self._work = work
        self._spec = spec
        self._timeout_s = timeout_s
        self._stop_grace_s = stop_grace_s
        self._deal = deal
        self._lock = threading.Lock()
        self._link: WorkerLink | None = None  # while the worker lives
        self._ended_by: Literal["", "request", "timeout"] = ""
        self._timers = Timers()

    def run(self, slot: int) -> TrialResult:
        try:
            link = WorkerLink()
        except OSError as error:  # too many open files
            return failed(self._spec, FailureKind.KILLED, f"No worker could be started: {error}.")
        try:
            if not self._launch(slot, link):
                return interrupted(self._spec)
            return self._result(*self._await_end(link))
        finally:
            with self._lock:
                self._link = None
            self._timers.cancel()
            link.close()

    def stop(self) -> None:
        with self._lock:
            if self._link is None:
                self._ended_by = self._ended_by or "request"
                return
            self._link.send(STOP)
            self._timers.start(self._stop_grace_s, self.kill)

    def kill(self, why: Literal["request", "timeout"] = "request") -> None:
        with self._lock:
            self._ended_by = self._ended_by or why
            if self._link is not None:
                self._server.signal(self._id, signal.SIGKILL)

    def _launch(self, slot: int, link: WorkerLink) -> bool:
        spec, env = self._deal(self._spec, slot)
        with self._lock:
            if self._ended_by:
                return False
            link.fork(self._server, self._id)
            self._link = link
            link.send(request_of(self._work, spec, env))
        return True

    def _await_end(self, link: WorkerLink) -> tuple[bytes, list[bytes]]:
        """All that the worker answered, and what the server said of it until it was gone."""
        reply: list[bytes] = []
        is_timed = False

        def watch(said: bytes) -> None:
            nonlocal is_timed
            if not is_timed and self._timeout_s and b"\n" in said:  # it lives: waiting did not count
                is_timed = True
                self._timers.start(self._timeout_s, self._expire)

        status = link.hear(reply.append, watch)
        return b"".join(reply), status

    def _result(self, reply: bytes, status: list[bytes]) -> TrialResult:
        if reply.endswith(b"\n"):  # even where it was about to be killed: it had come to its end
            return TrialResult.from_json(json.loads(reply))
        if self._timeout_s and self._ended_by == "timeout":
            return timed_out(self._spec, self._timeout_s)
        if self._ended_by == "request":
            return interrupted(self._spec)
        return end_without_result(self._spec, status, self._server)

    def _expire(self) -> None:
        self._server.signal(self._id, DUMP_SIGNAL)
        time.sleep(DUMP_S)
        self.kill("timeout")


def _environment(num_threads: int) -> dict[str, str]:
    """What the libraries read when they are loaded: too late for a worker to set."""
    return {
        "OMP_NUM_THREADS": str(num_threads),
        "MKL_NUM_THREADS": str(num_threads),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", hardware.WAIT_POLICY),
        # NumPy's and SciPy's BLAS starts its threads while it is imported, and a process with threads must not fork.
        "OPENBLAS_NUM_THREADS": "1",
    }


def warm_up(overrides: Sequence[str]) -> None:
    """Begin the imports of a study's workers while its command line is still being read.

    By a guess at its engine; an engine that turns out another one starts its workers as ever.
    """
    given = dict(override.partition("=")[::2] for override in overrides)
    if given.get("engine", "local") not in ("local", "fused"):
        return
    cores, slots = hardware.usable_cores(), given.get("engine.slots", "")
    num_slots = int(slots) if slots.isdecimal() else 0
    num_slots = num_slots or hardware.default_slots(len(hardware.device_ids()), cores)
    start_ahead((*PRELOAD, GROUP_MODULE), _environment(max(1, cores // num_slots)))
