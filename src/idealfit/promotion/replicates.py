"""Training many records to their end: a freed slot takes the next one, and what is finished is not trained again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path

from idealfit.record import PROMOTED, Record, iter_records
from idealfit.spec import (
    Engine,
    FailureKind,
    StudyError,
    TrialResult,
    TrialSpec,
    TrialState,
    Work,
    record_path,
    sha256_of,
)
from idealfit.study.loop import POLL_S, Listener, num_attempts
from idealfit.study.outcome import TrialRow
from idealfit.study.progress import Display, Progress
from idealfit.study.question import asked_of
from idealfit.study.retry import next_attempt


class Shelf:
    """The records under `STUDY/promote`: the same training finds its record again, another one gets the next number."""

    def __init__(self, runs_dir: Path, study: str) -> None:
        self._runs_dir = runs_dir
        self.study = f"{study}/{PROMOTED}"
        self._numbers: dict[str, int] = {}
        for record in iter_records(runs_dir, self.study):
            self._numbers.setdefault(_identity(record.read_spec()), int(record.path.name))
        self._next = max(self._numbers.values(), default=-1) + 1

    def place(self, spec: TrialSpec) -> TrialSpec:
        """`spec` with the number and folder of its record."""
        key = _identity(spec)
        if key not in self._numbers:
            self._numbers[key] = self._next
            self._next += 1
        number = self._numbers[key]
        path = record_path(self._runs_dir, self.study, number)
        return spec.with_(study=self.study, number=number, record_dir=str(path))


def _identity(spec: TrialSpec) -> str:
    config = asked_of(spec.config, without=("trainer.accumulate_grad_batches",))  # in parts after it ran out of memory
    return sha256_of([config, spec.objective.to_json(), spec.refit, spec.stop_after])


def is_settled(record: Record) -> bool:
    """Whether training it again would bring nothing: it is complete, or it diverges."""
    result = record.read_result() if record.spec_path.exists() else None
    if result is None:
        return False
    return result.state in (TrialState.COMPLETE, TrialState.PRUNED) or result.failure is FailureKind.NAN


class Trainings:
    """Trains specs in the slots of an engine.

    Args:
        engine: With the slots.
        work: `trial.run_trial`, or what stands for it.
        listener: Told of each start and end.
        display: Shown each end.
        progress: What the display shows.
        max_restarts: Of one training, after a passing failure.
        stop_requested: Asked between two looks.
    """

    def __init__(
        self,
        engine: Engine,
        work: Work,
        *,
        listener: Listener,
        display: Display,
        progress: Progress,
        max_restarts: int,
        stop_requested: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._work = work
        self._listener = listener
        self._display = display
        self._progress = progress
        self._max_restarts = max_restarts
        self._stop_requested = stop_requested
        self._pending: dict[Future[TrialResult], TrialSpec] = {}

    def run(self, specs: Sequence[TrialSpec]) -> bool:
        """Train what is not settled yet; whether all is.

        Raises:
            StudyError: A training could not go on, for a full disk perhaps.
        """
        waiting = iter([spec for spec in specs if not is_settled(Record(spec.record_dir))])
        has_stopped = False
        while True:
            self._fill(waiting)
            if not self._pending:
                return not self._stop_requested()
            if self._stop_requested() and not has_stopped:
                has_stopped = True
                self._engine.stop()
            done, _ = wait(self._pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                self._settle(self._pending.pop(future), future)

    def _fill(self, waiting: Iterator[TrialSpec]) -> None:
        while len(self._pending) < self._engine.num_slots and not self._stop_requested():
            spec = next(waiting, None)
            if spec is None:
                return
            self._start(spec.with_(attempt=num_attempts(Record(spec.record_dir))))

    def _start(self, spec: TrialSpec) -> None:
        record = Record.create(spec)
        self._progress.start(spec, record)
        self._listener.trial_started(record, spec)
        self._pending[self._engine.submit(self._work, spec)] = spec

    def _settle(self, spec: TrialSpec, future: Future[TrialResult]) -> None:
        record = Record(spec.record_dir)
        if future.cancelled():
            result = TrialResult(state=TrialState.INTERRUPTED, attempt=spec.attempt)
        else:
            before = record.read_result()
            result = replace(future.result(), num_restarts=before.num_restarts if before else 0)
        self._progress.running.pop(spec.number, None)
        again = next_attempt(spec, result, max_restarts=self._max_restarts)
        if again is not None:
            # Not a final state: the next start goes on with it.
            result = replace(result, state=TrialState.INTERRUPTED, num_restarts=result.num_restarts + 1)
        if record.read_result() != result:
            record.write_result(result)
        if again is not None and not self._stop_requested():
            self._start(again)
            return
        self._listener.trial_ended(record, spec, result)
        if result.state.is_finished:
            row = TrialRow.of(spec, result)
            self._progress.add(row)
            self._display.finished(row, self._progress)
        elif not self._stop_requested():
            raise StudyError(f"{spec.label} could not go on: {result.message}")
