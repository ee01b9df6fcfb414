"""Which configuration wins where: studies and trials side by side, with uncertainty where seeds were repeated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from idealfit.record import PROMOTED, Record, find_record, iter_records
from idealfit.report.leaderboard import onset_text
from idealfit.selection import LEVEL, mean_interval
from idealfit.spec import Objective, TrialState, sha256_of
from idealfit.study.outcome import BEST_TRIAL, TrialRow, best_record, list_studies, no_such_study
from idealfit.study.question import asked_of
from idealfit.text import counted

CHANCE = ("seed", "data.split_seed")
"""What makes a replicate: trials that differ in nothing else measure the same thing again."""
SHOWN = 5e-5  # a smaller lead is 0.0000


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One trial: its row, its score and its whole config as dotted keys, without what only says where it ran."""

    row: TrialRow
    score: float
    config: Mapping[str, Any]
    scores: tuple[float, ...] = ()  # of its own seeds, where the protocol has several

    @cached_property
    def seed(self) -> str:
        """What chance made of it: trials of equal seeds are the same trial twice."""
        return sha256_of([self.config.get(key) for key in CHANCE])

    @cached_property
    def key(self) -> str:
        """Equal for replicates."""
        return sha256_of({key: value for key, value in self.config.items() if key not in CHANCE})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One configuration in one study: all its replicates, the best first."""

    trials: tuple[Compared, ...]

    @property
    def study(self) -> str:
        """Where."""
        return self.trials[0].row.study

    @property
    def label(self) -> str:
        """What a user types to see it."""
        return self.trials[0].row.label

    @property
    def place(self) -> tuple[bool, bool]:
        """Before any score, as in a leaderboard: what keeps its constraints is first, then what was not pruned."""
        rows = [trial.row for trial in self.trials]
        return not all(row.is_feasible for row in rows), rows[0].state is TrialState.PRUNED

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """One for each seed."""
        seeds = {trial.seed: trial.scores or (trial.score,) for trial in self.trials}
        return tuple(score for scores in seeds.values() for score in scores)

    @property
    def mean(self) -> float:
        """Over seeds."""
        return sum(self.scores) / len(self.scores)

    @property
    def variance_of_mean(self) -> float | None:
        """Sample variance over number of seeds; None from a single one."""
        n = len(self.scores)
        return sum((score - self.mean) ** 2 for score in self.scores) / (n - 1) / n if n > 1 else None

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % confidence interval of the mean, by Student's t; None from a single seed."""
        if len(self.scores) < 2:
            return None
        low, high = mean_interval(self.scores)
        return (high - low) / 2


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Configurations, best mean first.

    Attributes:
        keys: Config keys in which they differ, searched ones first.
        num_without_score: Trials that failed, run or never came to a score.
        promoted: Compared studies whose best were trained again on fresh seeds.
    """

    objective: Objective
    metric: str
    entries: tuple[Entry, ...]
    keys: tuple[str, ...]
    num_without_score: int = 0
    promoted: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """The finding, and how sure it is."""
        if not self.entries:
            return ["No trial has a score yet."]
        first = self.entries[0]
        told = [f"Best: {first.label}, {self.metric} {score_text(first)}."]
        if len(self.entries) > 1:
            told.append(self._against(first, self.entries[1]))
        told += self._shared()
        if not any(len(entry.scores) > 1 for entry in self.entries):
            told.append("No configuration was repeated with another seed: how much is luck is not known.")
        told += [f"Fresh seeds of its best: idealfit compare {study}/{PROMOTED}" for study in self.promoted]
        return told

    def _against(self, first: Entry, second: Entry) -> str:
        lead = abs(first.mean - second.mean)
        text = f"Ahead of {second.label} by {lead:.4f}" if lead >= SHOWN else f"Level with {second.label}"
        if (half := _difference_half_width(first, second)) is None:
            return f"{text}, without replicates on both sides to say how sure that is."
        verdict = "more than chance explains" if lead > half else "which chance alone may explain"
        return f"{text} \u00b1 {half:.4f} ({LEVEL:.0%} confidence), {verdict}."

    def _shared(self) -> list[str]:
        """Of configurations that several studies tried, who wins how often."""
        tried: dict[str, dict[str, Entry]] = {}
        for entry in self.entries:
            if params := {key: v for key, v in entry.trials[0].row.params.items() if key not in CHANCE}:
                tried.setdefault(sha256_of(params), {}).setdefault(entry.study, entry)
        both = [by_study for by_study in tried.values() if len(by_study) > 1]
        if not both:
            return []
        wins = [next(iter(by_study)) for by_study in both]  # entries are ranked: the first is the best
        counts = ", ".join(f"{study} in {wins.count(study)}" for study in dict.fromkeys(wins))
        points = "1 point" if len(both) == 1 else f"{len(both)} points"
        return [f"Of {points} that several studies tried, the best is {counts}."]

    def header(self) -> list[str]:
        """Of the table."""
        return ["rank", "trial", "seeds", self.metric, "gap", "onset", *self.keys]

    def cells(self, top: int | None = None) -> list[list[str]]:
        """The table: the `top` configurations of each study, best first; None: all."""
        shown: dict[str, int] = {}
        lines = []
        for place, entry in enumerate(self.entries, start=1):
            shown[entry.study] = shown.get(entry.study, 0) + 1
            if top is None or shown[entry.study] <= top:
                lines.append(self._line(place, entry))
        return lines

    def _line(self, place: int, entry: Entry) -> list[str]:
        first = entry.trials[0]
        gap = "" if first.row.gap is None else f"{first.row.gap:+.4f}"
        values = [_short(first.config[key]) if key in first.config else "" for key in self.keys]
        fixed = [str(place), entry.label, str(len(entry.scores)), score_text(entry), gap, onset_text(first.row)]
        return fixed + values


def compare(runs_dir: Path, names: Sequence[str]) -> Comparison:
    """Compare studies and trials by their records.

    Args:
        runs_dir: Where the records lie.
        names: `STUDY`, `STUDY/promote`, `STUDY/NUMBER` or `STUDY/best`. Where their objectives differ,
            `best/val_accuracy` ranks.

    Raises:
        StudyError: A name is none.
    """
    read = [(record.read_spec(), record.read_result()) for name in names for record in _records(runs_dir, name)]
    objectives = list(dict.fromkeys(spec.objective for spec, _ in read))
    objective = objectives[0] if len(objectives) == 1 else Objective()
    trials: dict[str, Compared] = {}
    for spec, result in read:
        row = TrialRow.of(spec, result)
        score = row.value if len(objectives) == 1 else row.summaries.get("best/val_accuracy")
        if row.state in (TrialState.COMPLETE, TrialState.PRUNED) and score is not None and math.isfinite(score):
            seeds = row.scores if score == row.value and row.rounds.endswith("seeds") else ()
            trials[row.label] = Compared(row=row, score=score, config=asked_of(spec.config) | row.params, scores=seeds)
    return Comparison(
        objective=objective,
        metric=objective.metric if len(objectives) == 1 else "best/val_accuracy",
        entries=tuple(_entries(trials.values(), objective)),
        keys=tuple(_differing(list(trials.values()))),
        num_without_score=len({spec.label for spec, _ in read}) - len(trials),
        promoted=tuple(name for name in names if _is_promoted(runs_dir, name) and f"{name}/{PROMOTED}" not in names),
    )


def score_text(entry: Entry) -> str:
    """`0.9812`, or `0.9812 \u00b1 0.0011` over several seeds; of folds their standard deviation is named."""
    half, row = entry.half_width, entry.trials[0].row
    spread = "" if half is None else f" \u00b1 {half:.4f}"
    notes = [f"sd {row.std:.4f} over {row.rounds}"] if half is None and row.std is not None else []
    notes += [f"pruned after {counted(row.num_epochs, 'epoch')}"] if row.state is TrialState.PRUNED else []
    notes += dict.fromkeys(broken for trial in entry.trials for broken in trial.row.violations)
    return f"{entry.mean:.4f}{spread}" + (f" ({'; '.join(notes)})" if notes else "")


def _is_promoted(runs_dir: Path, study: str) -> bool:
    return "/" not in study and next(iter_records(runs_dir, f"{study}/{PROMOTED}"), None) is not None


def _records(runs_dir: Path, name: str) -> Iterable[Record]:
    study, _, last = name.partition("/")
    if last == BEST_TRIAL:
        return [best_record(runs_dir, study)]
    if last == PROMOTED and _is_promoted(runs_dir, study):
        return iter_records(runs_dir, name)
    if last:
        return [find_record(runs_dir, name)]
    if name not in list_studies(runs_dir):
        raise no_such_study(runs_dir, name)
    return iter_records(runs_dir, name)


def _entries(trials: Iterable[Compared], objective: Objective) -> list[Entry]:
    sign = -1.0 if objective.direction == "maximize" else 1.0
    groups: dict[tuple[str, str, bool], list[Compared]] = {}
    for trial in trials:  # a pruned trial measures less training: no replicate of a complete one
        groups.setdefault((trial.row.study, trial.key, trial.row.state is TrialState.COMPLETE), []).append(trial)
    entries = [
        Entry(trials=tuple(sorted(group, key=lambda t: (sign * t.score, -t.row.number)))) for group in groups.values()
    ]
    return sorted(entries, key=lambda e: (e.place, sign * e.mean, -e.trials[0].row.number, e.label))


def _differing(trials: Sequence[Compared]) -> list[str]:
    keys = dict.fromkeys([*(key for t in trials for key in t.row.params), *(key for t in trials for key in t.config)])
    return [key for key in keys if key not in CHANCE and len({repr(trial.config.get(key, "")) for trial in trials}) > 1]


def _difference_half_width(first: Entry, second: Entry) -> float | None:
    """Of the confidence interval of a difference of means, by Welch's t; None without replicates on both sides."""
    a, b = first.variance_of_mean, second.variance_of_mean
    if a is None or b is None:
        return None
    if a + b == 0.0:
        return 0.0
    freedom = (a + b) ** 2 / (a**2 / (len(first.scores) - 1) + b**2 / (len(second.scores) - 1))
    return _quantile(freedom) * math.sqrt(a + b)


def _quantile(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
