"""A study as its records tell it: every file is read once, into values that the rest of the report only looks at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from idealfit.overfit import summarize
from idealfit.protocol import num_rounds
from idealfit.record import MetricRow
from idealfit.report.html.attempts import attempts_of, file_times_hold
from idealfit.report.html.dimensions import Dimension, read_dimensions
from idealfit.report.html.records import RecordFiles, read_records
from idealfit.report.html.timeline import Attempt
from idealfit.spec import Objective, StudyError, TrialSpec, TrialState
from idealfit.study.outcome import TrialRow, pareto_front, rank
from idealfit.study.promotion import Promotion

Curves = dict[str, list[float]]
LARGEST = 1e300  # beyond it, a whole number need not even fit a float


@dataclass(frozen=True, kw_only=True)
class TrialData:
    """One trial: its row of the leaderboard, its curves and its times.

    Attributes:
        row: As the leaderboard shows it; of a trial without a result, what its curve tells so far.
        curves: Metric -> value after each epoch, from epoch 0; NaN where an epoch lacks the metric.
        log_path: The log of the last attempt, relative to the study's directory.
    """

    row: TrialRow
    spec: TrialSpec
    curves: Curves
    attempts: tuple[Attempt, ...]
    facts: Mapping[str, Any]
    config_path: Path
    log_path: str

    @property
    def number(self) -> int:
        """The trial's number, from 0."""
        return self.row.number

    @property
    def state(self) -> TrialState:
        """Where the trial stands."""
        return self.row.state

    @cached_property
    def max_epochs(self) -> int:
        """How many epochs the trial would train if nothing stopped it."""
        trainer = self.spec.config.get("trainer")
        planned = trainer.get("max_epochs") if isinstance(trainer, Mapping) else None
        planned = planned * num_rounds(self.spec.config) if isinstance(planned, int) else 0
        return max(planned, self.row.num_epochs)

    @property
    def num_curve_epochs(self) -> int:
        """How long its curves are; of several rounds they are the mean."""
        return max(map(len, self.curves.values()), default=0)

    def at(self, metric: str, epoch: int | None) -> float | None:
        """A metric's finite value after `epoch`, if there is one."""
        curve = self.curves.get(metric, [])
        if epoch is None or not 0 <= epoch < len(curve) or not math.isfinite(curve[epoch]):
            return None
        return curve[epoch]

    def last(self, metric: str) -> float | None:
        """A metric's last finite value."""
        return next((v for v in reversed(self.curves.get(metric, [])) if math.isfinite(v)), None)


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """All trials of a study, best first, and what was asked.

    Attributes:
        num_planned: Trials in the study's budget; None where nobody said.
        rules: Points that are forbidden and values that are derived: (kind, in words).
        damaged: What was wrong with each record that could not be read.
        promotion: The best on fresh seeds; None where the study was never promoted.
    """

    name: str
    question: str
    objective: Objective
    dimensions: tuple[Dimension, ...]
    trials: tuple[TrialData, ...]
    num_planned: int | None = None
    rules: tuple[tuple[str, str], ...] = ()
    damaged: tuple[str, ...] = ()
    promotion: Promotion | None = None

    @property
    def train_metric(self) -> str:
        """The training counterpart of the objective's metric."""
        return "train/" + self.objective.metric.rpartition("/")[2]

    @cached_property
    def scored(self) -> list[TrialData]:
        """Complete and pruned trials that have a score, best first."""
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        return [t for t in self.trials if t.state in states and _is_finite(t.row.value)]

    @cached_property
    def complete(self) -> list[TrialData]:
        """Trials that ran to their end, best first; only these are compared at full length."""
        return [t for t in self.scored if t.state is TrialState.COMPLETE]

    @cached_property
    def front(self) -> list[TrialRow]:
        """Of several metrics, the trials that none beats in all of them."""
        return pareto_front([trial.row for trial in self.trials], self.objective)

    @property
    def compared(self) -> list[TrialData]:
        """The complete trials; where there are none, the pruned ones; in a young study, those still running."""
        return self.complete or self.scored or [t for t in self.trials if _is_finite(t.row.value)]

    @property
    def best(self) -> TrialData | None:
        """The winner so far."""
        return next(iter(self.compared), None)

    @property
    def median(self) -> TrialData | None:
        """The trial in the middle of the ranking."""
        return self.compared[len(self.compared) // 2] if self.compared else None

    @property
    def most_overfit(self) -> TrialData | None:
        """The trial whose training score is furthest above its validation score at the end."""
        gaps = [(gap, t) for t in self.compared if (gap := self.final_gap(t)) is not None and gap > 0]
        return max(gaps, key=lambda pair: (pair[0], -pair[1].number))[1] if gaps else None

    def count(self, state: TrialState) -> int:
        """How many trials are in a state."""
        return sum(t.state is state for t in self.trials)

    def gap(self, trial: TrialData) -> float | None:
        """How much better training is than validation at the trial's best epoch; positive: it overfits."""
        epoch = trial.row.best_epoch
        return self._advantage(trial.at(self.train_metric, epoch), trial.at(self.objective.metric, epoch))

    def final_gap(self, trial: TrialData) -> float | None:
        """The same after the last epoch."""
        return self._advantage(trial.last(self.train_metric), trial.last(self.objective.metric))

    def _advantage(self, train: float | None, val: float | None) -> float | None:
        if train is None or val is None:
            return None
        return train - val if self.objective.direction == "maximize" else val - train


def read_study(
    study_dir: Path,
    *,
    question: str = "",
    objective: Objective | None = None,
    space: Mapping[str, Any] | None = None,
    rules: Sequence[tuple[str, str]] = (),
    num_planned: int | None = None,
) -> StudyData:
    """Read all records of a study, each file once. A damaged record is named in `damaged` and left out.

    Args:
        study_dir: `RUNS_DIR/STUDY`.
        question: What the study asks.
        objective: What it optimises; None: what its trials recorded.
        space: The search space as a sweep file writes it; None: no statement about bounds is made.
        rules: What else decides on a point, as (kind, in words).
        num_planned: Trials in the budget.

    Raises:
        StudyError: There is no record, or none that can be read.
        SpaceError: `space` cannot be parsed.
    """
    parts, damaged = read_records(study_dir)
    if not parts:
        raise StudyError(f"No trial to report on in {study_dir}: " + (" ".join(damaged) or "it holds no record."))
    objective = objective or parts[0].spec.objective
    use_file_times = file_times_hold([part.times for part in parts])
    trials = {}
    for part in parts:
        try:
            trials[part.number] = _trial(part, objective, use_file_times)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            damaged.append(f"trial {part.number}: {error!r}")
    promotion = _read_promotion(study_dir, damaged)
    return StudyData(
        name=parts[0].spec.study,
        question=question,
        objective=objective,
        dimensions=tuple(read_dimensions(space, [t.row.params for t in trials.values()])),
        trials=tuple(trials[row.number] for row in rank([t.row for t in trials.values()], objective)),
        num_planned=num_planned,
        rules=tuple(rules),
        damaged=tuple(damaged),
        promotion=promotion,
    )


def _read_promotion(study_dir: Path, damaged: list[str]) -> Promotion | None:
    try:
        return Promotion.read(study_dir)
    except StudyError as error:
        damaged.append(str(error))
        return None


def _trial(parts: RecordFiles, objective: Objective, use_file_times: bool) -> TrialData:
    curves = _curves(parts.rows)
    attempt = parts.result.attempt if parts.result else parts.spec.attempt
    return TrialData(
        row=_row(parts, curves, objective),
        spec=parts.spec,
        curves=curves,
        attempts=attempts_of(parts.times, use_file_times=use_file_times),
        facts=parts.result.facts if parts.result else {},
        config_path=parts.record.config_path,
        log_path=str(parts.record.log_path(attempt).relative_to(parts.record.path.parent)),
    )


def _row(parts: RecordFiles, curves: Curves, objective: Objective) -> TrialRow:
    """The leaderboard's row; what a running or interrupted trial has reached so far is computed from its curve."""
    params = {str(key): _scalar(value) for key, value in parts.spec.params.items()}
    row = replace(TrialRow.of(parts.spec, parts.result), number=parts.number, params=params)
    curve = objective.curve(curves)
    if row.state.is_finished or not any(map(math.isfinite, curve)):
        return row
    summaries = summarize(curves, objective)
    onset = summaries.get("overfit/onset_epoch")
    best = objective.best_epoch(curve)
    return replace(
        row,
        value=curve[best],
        best_epoch=best,
        onset_epoch=None if onset is None else int(onset),
        num_epochs=len(parts.rows),
        summaries=summaries,
    )


def _curves(rows: Sequence[MetricRow]) -> Curves:
    names = dict.fromkeys(name for row in rows for name in row.metrics)
    return {name: [row.metrics.get(name, math.nan) for row in rows] for name in names}


def _scalar(value: Any) -> bool | int | float | str | None:
    """A searched value; what cannot be one is shown as text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and abs(value) < LARGEST:
        return value
    return str(value)[:200]


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
