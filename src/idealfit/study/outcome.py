"""What came out: one row a trial, the ranking, the result of a whole study; read from records, never from memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import stdev
from typing import Literal

from idealfit.objective import dominates, measure_text, measured
from idealfit.protocol import rounds_text
from idealfit.record import Record, find_record, iter_records
from idealfit.spec import FailureKind, Objective, Params, StudyError, TrialResult, TrialSpec, TrialState, nearest

BEST_TRIAL = "best"  # `STUDY/best` is a name for the winner
Ending = Literal["done", "interrupted", "failed"]


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial as a leaderboard shows it.

    Attributes:
        gap, onset_epoch: None where a curve has none.
        replicate_of: The first trial of the same point, where this one repeats it with another seed.
        violations: The constraints that it breaks, in words.
        scores: Of its folds or seeds, where the protocol has several: `value` is their mean.
        rounds: What the scores are of: `5 folds`.
    """

    study: str
    number: int
    state: TrialState
    value: float | None
    params: Params
    gap: float | None = None
    onset_epoch: int | None = None
    best_epoch: int | None = None
    num_epochs: int = 0
    seconds: float = 0.0
    failure: FailureKind | None = None
    message: str = ""
    record_dir: str = ""
    summaries: dict[str, float] = field(default_factory=dict)
    replicate_of: int | None = None
    scores: tuple[float, ...] = ()
    rounds: str = ""
    violations: tuple[str, ...] = ()

    @property
    def is_feasible(self) -> bool:
        """Whether the trial keeps every constraint of its objective."""
        return not self.violations

    @property
    def std(self) -> float | None:
        """Standard deviation of the scores of its rounds; None from fewer than two."""
        return stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def label(self) -> str:
        """`STUDY/NUMBER`, the name users type."""
        return f"{self.study}/{self.number}"

    @classmethod
    def of(cls, spec: TrialSpec, result: TrialResult | None) -> TrialRow:
        """The row of a trial; without a result it is still running."""
        result = result or TrialResult(state=TrialState.RUNNING)
        summaries = result.summaries
        onset, best = summaries.get("overfit/onset_epoch"), summaries.get("best/epoch")
        return cls(
            study=spec.study,
            number=spec.number,
            state=result.state,
            value=result.value,
            params=spec.params,
            gap=summaries.get("overfit/gap_at_best"),
            onset_epoch=None if onset is None else int(onset),
            best_epoch=None if best is None else int(best),
            num_epochs=result.num_epochs,
            seconds=result.fit_seconds,
            failure=result.failure,
            message=result.message,
            record_dir=spec.record_dir,
            summaries=dict(summaries),
            replicate_of=spec.replicate_of,
            violations=spec.objective.violations(summaries) if result.value is not None else (),
            scores=tuple(result.scores),
            rounds=rounds_text(spec.config, len(result.scores)),
        )


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """How a study stands when its controller stops.

    Attributes:
        ending: `done`: the budget is used up; `interrupted`: on request, resumable; `failed`: too often in a row.
        reason: What ended it, in words.
        rows: All trials, best first.
        command: What to type to go on.
        num_new_trials: Trials finished in this session.
        seconds: Wall-clock seconds of this session.
        not_tracked: What could not be mirrored to MLflow, in words.
        where: What to type or open to see its runs in MLflow; "" without tracking.
    """

    name: str
    ending: Ending
    reason: str
    objective: Objective
    rows: list[TrialRow]
    study_dir: Path
    question: str = ""
    command: str = ""
    num_new_trials: int = 0
    seconds: float = 0.0
    not_tracked: list[str] = field(default_factory=list)
    where: str = ""

    @property
    def best(self) -> TrialRow | None:
        """The winner: the best complete trial, or the best pruned one where none is complete."""
        return winner(self.rows)

    @property
    def front(self) -> list[TrialRow]:
        """Of several metrics, the trials that no other beats in all; of one, the winner."""
        return pareto_front(self.rows, self.objective)

    @property
    def no_winner(self) -> str:
        """Why there is none, in words."""
        first = self.rows[0] if self.rows else None
        if first is None or first.value is None or first.is_feasible:
            return "no trial has a score"
        constraints = ", ".join(map(str, self.objective.constraints))
        return f"no trial keeps {constraints}; the nearest is trial {first.number}: {'; '.join(first.violations)}"

    def count(self, state: TrialState) -> int:
        """How many trials are in a state."""
        return sum(row.state is state for row in self.rows)


def rank(rows: Iterable[TrialRow], objective: Objective) -> list[TrialRow]:
    """Best first: complete trials by value, then pruned ones by value, then the rest by number.

    Trials that keep every constraint stand before those that do not, and these by how far they miss. Of several
    metrics the front comes first, each part by the first metric. Of equal values the later trial comes first, as in
    MLflow's tables: there the first row is the winner too.
    """
    order = {TrialState.COMPLETE: 0, TrialState.PRUNED: 1, TrialState.RUNNING: 2, TrialState.INTERRUPTED: 2}
    worst = (math.inf,) * len(objective.goals)

    def key(row: TrialRow) -> tuple[bool, float, int, tuple[float, ...], int]:
        place = order.get(row.state, 3)
        misses = place < 2 and not row.is_feasible
        excess = sum(max(0.0, each) for each in objective.excesses(row.summaries).values()) if misses else 0.0
        losses = objective.losses(row.value, row.summaries) if row.value is not None else None
        return place >= 2 or row.value is None, excess, place, losses or worst, -row.number if losses else row.number

    ranked = sorted(rows, key=key)
    if not objective.others:
        return ranked
    front = {row.number for row in pareto_front(ranked, objective)}
    return sorted(ranked, key=lambda row: row.number not in front)


def winner(ranked: Sequence[TrialRow]) -> TrialRow | None:
    """The first row that has a score, complete or pruned, and keeps every constraint; None where there is none."""
    first = ranked[0] if ranked else None
    return first if first and first.value is not None and first.state.is_finished and first.is_feasible else None


def pareto_front(ranked: Sequence[TrialRow], objective: Objective) -> list[TrialRow]:
    """The complete, feasible trials that none beats in one metric without losing in another, as they are ranked."""
    if not objective.others:
        return [best] if (best := winner(ranked)) else []
    front: list[tuple[TrialRow, tuple[float, ...]]] = []
    for row in ranked:  # by the first metric, ties by the next: only an earlier one can beat a later one
        if row.state is not TrialState.COMPLETE or not row.is_feasible:
            continue
        losses = objective.losses(row.value, row.summaries)
        if losses and not any(dominates(other, losses) for _, other in front):
            front.append((row, losses))
    return [row for row, _ in front]


def measures_text(row: TrialRow, objective: Objective) -> str:
    """`gap 0.0123, params 12,345`: what the objective looked at beside the score."""
    return ", ".join(f"{name} {measure_text(measured(name, row.summaries))}" for name in objective.looked_at)


def read_rows(runs_dir: Path, study: str) -> tuple[list[TrialRow], Objective]:
    """All trials of a study from their records, best first, and the objective that they were run for."""
    objective = Objective()
    rows: list[TrialRow] = []
    for record in iter_records(runs_dir, study):
        row, objective = _read_row(record)
        rows.append(row)
    return rank(rows, objective), objective


def _read_row(record: Record) -> tuple[TrialRow, Objective]:
    spec = record.read_spec()
    return TrialRow.of(spec, record.read_result()), spec.objective


def best_record(runs_dir: Path, study: str) -> Record:
    """The record of `STUDY/best`, the best complete trial.

    Raises:
        StudyError: None is complete, or none keeps the constraints; or there is no such study.
    """
    rows, objective = read_rows(runs_dir, study)
    complete = [row for row in rows if row.state is TrialState.COMPLETE]
    if best := winner(complete):
        return find_record(runs_dir, best.label)
    if complete:
        raise StudyError(
            f"No trial of {study!r} is the best one: none keeps {', '.join(map(str, objective.constraints))}."
        )
    if rows:
        raise StudyError(f"Study {study!r} has no complete trial yet, so there is no best one.")
    raise no_such_study(runs_dir, study)


def no_such_study(runs_dir: Path, name: str, *, what: str = "no study", otherwise: str = "") -> StudyError:
    """The error that says so, with the nearest names, or else `otherwise`."""
    hint = nearest(name, list_studies(runs_dir)) or otherwise
    return StudyError(f"{what} {name!r} under {runs_dir}. {hint}".strip())


def list_studies(runs_dir: Path) -> list[str]:
    """Names of all studies that have a record under `runs_dir`."""
    folders = (path for path in runs_dir.iterdir() if path.is_dir()) if runs_dir.is_dir() else ()
    return sorted(path.name for path in folders if next(iter_records(runs_dir, path.name), None))
