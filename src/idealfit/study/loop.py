"""The loop: a freed slot asks for the next trial at once; whatever comes back is told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import Protocol, TypeVar

from idealfit.config import Composer
from idealfit.pruning import StorageLostError
from idealfit.record import Record
from idealfit.space import to_overrides
from idealfit.spec import Engine, FailureKind, TrialResult, TrialSpec, TrialState, Work, record_path
from idealfit.study.device_time import attempt_device_seconds
from idealfit.study.drawing import NoPointError
from idealfit.study.ledger import Ledger
from idealfit.study.making import Point
from idealfit.study.outcome import Ending, TrialRow
from idealfit.study.plan import StudyPlan
from idealfit.study.progress import Display, Progress
from idealfit.study.retry import next_attempt

T = TypeVar("T")
POLL_S = 0.2  # how long a stop request may wait for the loop's attention


class Listener(Protocol):
    """Hears when a trial starts and ends; must return at once."""

    def trial_started(self, record: Record, spec: TrialSpec) -> None:
        """The record exists, the trial is about to run."""
        ...

    def trial_ended(self, record: Record, spec: TrialSpec, result: TrialResult) -> None:
        """The trial is told."""
        ...


class FailureStreak:
    """Counts failures of the same cause in a row; `nan` is a bad point of the space, no fault of the set-up."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kind: FailureKind | None = None
        self._length = 0

    def add(self, result: TrialResult) -> bool:
        """Count one result; True: enough is enough."""
        if result.state is not TrialState.FAILED or result.failure is FailureKind.NAN:
            self._kind, self._length = None, 0
            return False
        self._length = self._length + 1 if result.failure is self._kind else 1
        self._kind = result.failure
        return 0 < self._limit <= self._length


class StudyLoop:
    """Drives one study with one engine until the budget, a stop request or a streak of failures ends it."""

    def __init__(
        self,
        *,
        plan: StudyPlan,
        composer: Composer,
        ledger: Ledger,
        engine: Engine,
        work: Work,
        progress: Progress,
        display: Display,
        listener: Listener,
        working_dir: str,
        provenance: str = "",
        stop_requested: Callable[[], bool],
    ) -> None:
        self._plan = plan
        self._composer = composer
        self._ledger = ledger
        self._engine = engine
        self._work = work
        self._progress = progress
        self._display = display
        self._listener = listener
        self._working_dir = working_dir
        self._provenance = provenance
        self._stop_requested = stop_requested
        self._streak = FailureStreak(plan.max_failures)
        self._pending: dict[Future[TrialResult], tuple[TrialSpec, Record]] = {}
        self._restarts: dict[int, int] = {}  # by trial
        self._failure = ""
        self._stopped = False

    def run(self) -> tuple[Ending, str]:
        """Run to the end; returns how it ended and why, in words."""
        self._ledger.count_gpu_seconds()  # again: what an earlier controller left running has ended since
        while True:
            reason = self._kept(self._fill_slots)
            if not self._pending:
                break
            if not self._stopped and (self._stop_requested() or self._failure):
                self._stopped = True  # nothing is submitted from now on
                self._engine.stop()
            done, _ = wait(self._pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                self._settle(*self._pending.pop(future), future)
        self._kept(self._ledger.save_seconds)
        if self._failure:
            return "failed", self._failure
        if self._stop_requested():
            return "interrupted", "stopped on request"
        return "done", reason or ""

    def _kept(self, step: Callable[[], T]) -> T | None:
        """Do what writes to the disk or the storage; where that fails, the study stops, and nothing that ended is lost.

        Its trials stay open, and the next session takes what came out of them from their records.
        """
        try:
            return step()
        except StorageLostError as error:
            self._stop_because(str(error))
        except OSError as error:
            self._stop_because(f"{self._plan.study_dir}: {error.strerror or error}")
        return None

    def _stop_because(self, reason: str) -> None:
        self._failure = self._failure or f"{reason}\nOnce that is mended, go on with: {self._plan.command}"

    def _fill_slots(self) -> str:
        """Start trials while slots are free; returns why no more may start, or ''."""
        while len(self._pending) < self._engine.num_slots:
            if self._stop_requested() or self._failure:
                return ""
            if not self._ledger.num_unfinished and (
                reason := self._plan.ended_by(self._ledger.spent, self._progress.rows)
            ):
                return reason
            try:
                point = self._ledger.ask()
            except NoPointError as error:
                self._stop_because(str(error))
                return ""
            self._start(point)
        return ""

    def _start(self, point: Point) -> None:
        number = point.number
        record_dir = record_path(self._plan.runs_dir, self._plan.name, number)
        record = Record(record_dir)
        before = record.read_result() if record.spec_path.exists() else None
        spec = self._spec(point, record)
        if before is not None and before.state.is_finished:  # a controller died between the result and the tell
            self._end_attempt(spec, record, before)
            return
        self._restarts[number] = before.num_restarts if before is not None else 0
        self._submit(spec, record)

    def _submit(self, spec: TrialSpec, record: Record) -> None:
        Record.create(spec)
        self._progress.start(spec, record)
        self._listener.trial_started(record, spec)
        self._pending[self._engine.submit(self._work, spec)] = (spec, record)

    def _spec(self, point: Point, record: Record) -> TrialSpec:
        made = self._plan.make(self._composer, point)
        config, params = made.config, point.params
        return TrialSpec(
            study=self._plan.name,
            number=point.number,
            config=config,
            record_dir=str(record.path),
            attempt=num_attempts(record),
            seed=config["seed"],
            objective=self._plan.objective,
            params=params,
            overrides=[*self._plan.overrides, *to_overrides({**params, **made.extra})],
            derived=made.extra,
            replicate_of=point.replicates[0] if point.replicates else None,
            tags={"replicate_of": str(point.replicates[0])} if point.replicates else {},
            storage=self._plan.storage,
            pruner=self._plan.pruner,
            trusted_packages=list(self._plan.root["trusted_packages"]),
            working_dir=self._working_dir,
            num_ranks=config["trainer"]["devices"],
            provenance=self._provenance,
        )

    def _settle(self, spec: TrialSpec, record: Record, future: Future[TrialResult]) -> None:
        if future.cancelled():  # it waited for a slot when the stop came
            result = TrialResult(state=TrialState.INTERRUPTED, attempt=spec.attempt)
        else:
            result = replace(future.result(), num_restarts=self._restarts.get(spec.number, 0))
            self._ledger.add_gpu_seconds(attempt_device_seconds(spec.config, result))
        self._end_attempt(spec, record, result)

    def _end_attempt(self, spec: TrialSpec, record: Record, result: TrialResult) -> None:
        """Close the trial, or make another attempt where that may help."""
        again = next_attempt(spec, result, max_restarts=self._plan.max_restarts)
        if again is None:
            self._close(spec, record, result)
            return
        self._progress.running.pop(spec.number, None)
        self._restarts[spec.number] = result.num_restarts + 1
        # Not a final state: should this controller die now, the next one goes on with the trial.
        waiting = replace(result, state=TrialState.INTERRUPTED, num_restarts=result.num_restarts + 1)
        self._kept(lambda: record.write_result(waiting))
        if self._stop_requested() or self._failure:
            self._close(spec, record, waiting)
            return
        self._display.say(
            f"trial {spec.number}: {result.failure}, restart {waiting.num_restarts} of {self._plan.max_restarts}"
        )
        self._kept(lambda: self._submit(again, record))

    def _keep(self, spec: TrialSpec, record: Record, result: TrialResult) -> None:
        if record.read_result() != result:  # a process that died left none, or that of an earlier attempt
            record.write_result(result)
        self._ledger.tell(spec.number, result)

    def _close(self, spec: TrialSpec, record: Record, result: TrialResult) -> None:
        self._kept(lambda: self._keep(spec, record, result))
        self._progress.running.pop(spec.number, None)
        self._listener.trial_ended(record, spec, result)
        if not result.state.is_finished:
            if not self._stop_requested():  # nobody asked it to stop: it could not go on
                self._stop_because(result.message)
            return
        row = TrialRow.of(spec, result)
        self._progress.add(row)
        self._display.finished(row, self._progress)
        if self._streak.add(result):
            tail = "\n".join(result.message.strip().splitlines()[-15:])
            self._failure = f"{self._plan.max_failures} trials in a row failed with {result.failure}, the last:\n{tail}"


def num_attempts(record: Record) -> int:
    """How many attempts have left a log or a metric in the record."""
    attempts = [row.attempt for each in (record, *record.rounds()) for row in each.read_metrics()]
    logs = record.log_path(0).parent.glob("*.log")
    attempts += [int(log.stem) for log in logs if log.stem.isdigit()]
    return max(attempts, default=-1) + 1
