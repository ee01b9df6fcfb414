"""What a study's records say, by point: one number a seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idealfit.record import Record, iter_records
from idealfit.spec import FailureKind, StudyError, TrialState

SEED, FOLD = "seed", "fold"
REPEATS = (FOLD, SEED)
"""What tells trials of one point apart: the fold of a cross-validation, or the seed that a study searches."""
Point = tuple[tuple[str, Any], ...]
"""The searched values but the seed, in the order of the space."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of a claim's study, or one fold of it.

    Attributes:
        params: The searched values; of a fold its number too.
        curves: By metric one value an epoch; empty where the loss ran away in the first.
        has_diverged: Whether it failed because its loss was no number any more.
    """

    params: Mapping[str, Any]
    summaries: Mapping[str, float]
    curves: Mapping[str, list[float]]
    num_params: int | None
    seconds: float
    has_diverged: bool

    @property
    def point(self) -> Point:
        """Equal for trials that differ by their seed or fold alone."""
        return tuple((key, value) for key, value in self.params.items() if key not in REPEATS)

    def matches(self, values: Mapping[str, Any]) -> bool:
        """Whether all of `values` are its own."""
        return all(self.params.get(key) == value for key, value in values.items())

    def measure(self, metric: str) -> float:
        """A summary (`overfit/gap_final`), or a metric after so many epochs (`val/loss@3`); NaN if it diverged before.

        Raises:
            StudyError: The study has no such metric.
        """
        name, _, epoch = metric.partition("@")
        if self.has_diverged:
            return math.nan
        if epoch and len(self.curves.get(name, [])) >= int(epoch):
            return self.curves[name][int(epoch) - 1]
        if epoch or name not in self.summaries:
            raise StudyError(f"no {metric} among what the trial {dict(self.params)} recorded: {', '.join(self.curves)}")
        return self.summaries[name]


def metric_words(metric: str) -> str:
    """A metric for readers: `val/loss@3` is "val/loss after 3 epochs"."""
    name, _, epoch = metric.partition("@")
    return f"{name} after {epoch} epoch{'' if epoch == '1' else 's'}" if epoch else name


def repeat_of(params: Mapping[str, Any]) -> tuple[str, int]:
    """What tells a trial from others of its point: `("seed", 2)`, `("fold", 0)`."""
    kind = next(name for name in REPEATS if name in params)
    return kind, int(params[kind])


def read_trials(runs_dir: Path, study: str) -> list[Trial]:
    """All trials of a finished study, in the order of their points; of a cross-validation all folds.

    Raises:
        StudyError: A trial has no result, or failed for another cause than a loss that ran away.
    """
    trials = [_read(part) for record in iter_records(runs_dir, study) for part in record.rounds() or [record]]
    if not trials:
        raise StudyError(f"no record of the study {study} under {runs_dir}")
    return sorted(trials, key=lambda trial: [_order(value) for value in trial.params.values()])


def _read(record: Record) -> Trial:
    spec, result = record.read_spec(), record.read_result()
    has_diverged = result is not None and result.failure is FailureKind.NAN
    if result is None or not (has_diverged or result.state is TrialState.COMPLETE):
        raise StudyError(f"trial {spec.label} is not complete: {result.message if result else 'no result yet'}")
    fold = {FOLD: int(spec.tags[FOLD])} if FOLD in spec.tags else {}
    return Trial(
        params={**spec.params, **fold},
        summaries=result.summaries,
        curves=record.curves(),
        num_params=result.facts.get("num_params"),
        seconds=result.fit_seconds,
        has_diverged=has_diverged,
    )


def by_point(trials: Iterable[Trial]) -> dict[Point, list[Trial]]:
    """Trials that differ by their seed or fold alone, together."""
    groups: dict[Point, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.point, []).append(trial)
    return groups


def by_repeat(trials: Iterable[Trial], metric: str) -> dict[int, float]:
    """The mean of `metric` for each seed or fold; NaN where a trial of it diverged."""
    values: dict[int, list[float]] = {}
    for trial in trials:
        values.setdefault(repeat_of(trial.params)[1], []).append(trial.measure(metric))
    return {repeat: statistics.fmean(found) for repeat, found in values.items()}


def _order(value: Any) -> tuple[int, float, str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, float(value), "") if is_number else (1, 0.0, str(value))
