"""What an engine puts on another machine: it runs what its controller asks for, most often one attempt at a time.

The controller says `run` (with an id), `stop` and `kill`; the host answers `started` and then either `result`, or
`paused` where the machine is taken away and the attempt has left a checkpoint to go on from elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

from idealfit.engines.failures import failed, interrupted
from idealfit.engines.hardware import usable_cores
from idealfit.engines.local import LocalEngine
from idealfit.engines.worker import NamedWork
from idealfit.spec import JSON, FailureKind, TrialResult, TrialSpec, TrialState

MAX_FRUITLESS_PAUSES = 2
"""An attempt that was paused more often than this without one more epoch will never get through one."""


class Host:
    """Runs attempts in fresh processes of this machine.

    Args:
        say: Takes an event to the controller; called by several threads.
        num_cpus: CPU cores granted here.
        has_gpus: Whether GPUs are granted here; else none is visible to an attempt.
        preload: Modules that attempts find imported.
        stop_grace_s: Seconds that a stopped attempt gets for its checkpoint.
        slots: Attempts at once. They are stopped and killed together.
    """

    def __init__(
        self,
        say: Callable[[JSON], None],
        *,
        num_cpus: int,
        has_gpus: bool,
        preload: Sequence[str],
        stop_grace_s: float,
        slots: int = 1,
    ) -> None:
        if not has_gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._say = say
        self._num_threads = min(num_cpus, usable_cores())
        self._engine = LocalEngine(slots=slots, preload=preload, stop_grace_s=stop_grace_s)
        self._running: dict[int, threading.Event] = {}  # by id; set when it ended
        self._is_pausing = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs."""
        return not self._running

    def take(self, message: JSON, *, pauses: Sequence[int] = ()) -> None:
        """Do what the controller asks; `pauses` tells of those that a `run` has behind it."""
        if message["do"] == "run":
            self._run(message, pauses)
        elif message["id"] in self._running:
            self._engine.stop() if message["do"] == "stop" else self._engine.kill()

    def pause(self) -> None:
        """The machine is taken away: let attempts write their checkpoints, and wait until they have."""
        self._is_pausing = True
        self._engine.stop()
        for ended in list(self._running.values()):
            ended.wait()

    def close(self) -> None:
        """Kill what runs."""
        self._engine.close()

    def _run(self, message: JSON, pauses: Sequence[int]) -> None:
        spec = TrialSpec.from_json(message["spec"])
        if spec.num_threads is None:
            spec = spec.with_(num_threads=max(1, self._num_threads // spec.num_ranks))
        run_id = message["id"]
        ended = self._running[run_id] = threading.Event()
        self._say({"event": "started", "id": run_id})
        future = self._engine.submit(NamedWork(message["work"]), spec, timeout_s=message["timeout_s"])

        def end(done: Future[TrialResult]) -> None:
            result = interrupted(spec) if done.cancelled() else done.result()
            try:
                self._say({"id": run_id} | self._event_of(spec, result, pauses))
            finally:
                self._running.pop(run_id, None)
                ended.set()

        future.add_done_callback(end)

    def _event_of(self, spec: TrialSpec, result: TrialResult, pauses: Sequence[int]) -> JSON:
        if not self._is_pausing or result.state is not TrialState.INTERRUPTED:
            return {"event": "result", "result": result.to_json()}
        if list(pauses[-MAX_FRUITLESS_PAUSES:]) == [result.num_epochs] * MAX_FRUITLESS_PAUSES:
            words = (
                f"The machine was taken away {len(pauses) + 1} times, and never for long enough to finish epoch "
                f"{result.num_epochs + 1}. Give trials more time, e.g. by engine.time_min."
            )
            result = replace(failed(spec, FailureKind.TIMEOUT, words), num_epochs=result.num_epochs)
            return {"event": "result", "result": result.to_json()}
        return {"event": "paused", "num_epochs": result.num_epochs}


def pauses_of(run_id: int, events: Sequence[Mapping[str, object]]) -> list[int]:
    """The epochs that attempt `run_id` had each time it was paused, from all events of a host."""
    return [int(str(e["num_epochs"])) for e in events if e["event"] == "paused" and e["id"] == run_id]
