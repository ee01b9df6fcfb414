"""A study at work, seen from outside: its records, its lock and its launch tell all that a display needs."""

from __future__ import annotations

import time
from pathlib import Path

from idealfit.protocol import num_rounds
from idealfit.record import Record, iter_records
from idealfit.spec import Objective, StudyError, TrialResult, TrialSpec
from idealfit.study.launch import Asked, launched_at
from idealfit.study.lock import is_driven
from idealfit.study.outcome import StudyResult, TrialRow, rank
from idealfit.study.progress import Progress, RunningTrial
from idealfit.tracking.study_run import STATE_FILE


class Watch:
    """Reads a study again and again; a record that has not changed is not read twice.

    Attributes:
        progress: What a display shows.
        is_over: Whether no controller is at work; as of the last `poll`.

    Raises:
        StudyError: The study's folder contradicts itself.
    """

    def __init__(self, study_dir: Path) -> None:
        self._dir = study_dir
        self._asked = Asked.read(study_dir)
        self._started = launched_at(study_dir)  # by the clock of the controller's machine
        self._rows: dict[int, TrialRow] = {}
        self._seen: dict[int, tuple[float, float]] = {}
        self._objective = self._asked.objective or Objective()
        self._last_result = self._started
        self.is_over = False
        self.progress = Progress(
            name=study_dir.name,
            question=self._asked.question,
            objective=self._objective,
            budget_trials=self._asked.num_planned or 0,
            num_slots=0,
        )
        self.poll()
        finished = [row for row in self._rows.values() if row.state.is_finished]
        num_new = sum(self._seen[row.number][1] > self._started for row in finished)
        self.progress.begin(finished, num_new=num_new, seconds=max(time.time() - self._started, 0.0))

    def poll(self) -> list[TrialRow]:
        """Look again; returns the trials that ended since."""
        self.is_over = not is_driven(self._dir)  # first: what ended before the lock was freed is read below
        ended, running = [], {}
        for record in iter_records(self._dir.parent, self._dir.name):
            try:
                row, trial = self._look(record)
            except StudyError:  # damaged: `idealfit report` names it
                continue
            if trial and not self.is_over:
                running[trial.number] = trial
            if row and row.state.is_finished:
                self.progress.add(row)
                ended.append(row)
        self.progress.running = running
        self.progress.num_slots = len(running)
        self.progress.budget_trials = max(self._asked.num_planned or 0, len(self._rows))
        return ended

    def result(self) -> StudyResult:
        """How the study stands now."""
        rows = rank(self._rows.values(), self._objective)
        is_whole = all(row.state.is_finished for row in rows) and len(rows) >= (self._asked.num_planned or 0)
        return StudyResult(
            name=self._dir.name,
            ending="done" if is_whole else "interrupted",
            reason="it has ended" if is_whole else "it has stopped before all trials of its budget were finished",
            objective=self._objective,
            rows=rows,
            study_dir=self._dir,
            question=self._asked.question,
            command=f"idealfit resume {self._dir.name}",
            where=f"idealfit ui {self._dir.name}" if (self._dir / STATE_FILE).exists() else "",
            seconds=max(self._last_result - self._started, 0.0),
        )

    def _look(self, record: Record) -> tuple[TrialRow | None, RunningTrial | None]:
        """The trial's row if it is a new one, and the trial if it may be at work."""
        number = int(record.path.name)
        times = (_changed_at(record.spec_path), _changed_at(record.result_path))
        if self._seen.get(number) == times and self._rows[number].state.is_finished:
            return None, None
        spec, result = record.read_spec(), record.read_result()
        is_new = self._seen.get(number) != times
        self._seen[number] = times
        self._objective = self.progress.objective = spec.objective
        self._rows[number] = TrialRow.of(spec.with_(number=number), result)
        self._last_result = max(self._last_result, times[1])
        return (self._rows[number] if is_new else None), _running(record, spec, result, times[0])


def _running(record: Record, spec: TrialSpec, result: TrialResult | None, started: float) -> RunningTrial | None:
    if result and (result.state.is_finished or result.attempt >= spec.attempt):
        return None
    trainer = spec.config.get("trainer")
    return RunningTrial(
        number=int(record.path.name),
        slot=None,
        params=spec.params,
        record=record,
        max_epochs=num_rounds(spec.config) * trainer.get("max_epochs", 0) if isinstance(trainer, dict) else 0,
        started=time.monotonic() - max(time.time() - started, 0.0),
    )


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
