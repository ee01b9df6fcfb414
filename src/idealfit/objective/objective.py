"""What a study optimises: a metric, with a penalty, under constraints, or several metrics at once.

Pure values and rules on curves, standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from idealfit.objective.measures import Curves, Direction, measure_text, measured, per_epoch
from idealfit.objective.terms import Constraint, Goal, Penalty

EpochChoice = Literal["best", "last", "mean_of_last_k"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a study optimises, and which epoch of the curve counts.

    Attributes:
        metric: The curve whose epochs count; of several metrics, the first.
        k: Epochs of `mean_of_last_k`.
        penalty: Makes the score of each epoch worse.
        constraints: Trials that keep all of them rank before all others.
        others: Further metrics beside `metric`; then no trial is the best in all, and a Pareto front answers.
    """

    metric: str = "val/accuracy"
    direction: Direction = "maximize"
    epoch: EpochChoice = "best"
    k: int = 3
    penalty: tuple[Penalty, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    others: tuple[Goal, ...] = ()

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All metrics that it optimises, `metric` first."""
        return (Goal(metric=self.metric, direction=self.direction), *self.others)

    @property
    def label(self) -> str:
        """What the score is: `val/accuracy - 0.5*max(0, gap)`."""
        sign = "-" if self.direction == "maximize" else "+"
        return " ".join([self.metric, *(f"{sign} {penalty}" for penalty in self.penalty)])

    @property
    def sentence(self) -> str:
        """All of it in words: `maximize val/accuracy (best epoch), keeping gap <= 0.02`."""
        goals = [f"{self.direction} {self.label}", *(f"{goal.direction} {goal.metric}" for goal in self.others)]
        epoch = f"mean of the last {self.k} epochs" if self.epoch == "mean_of_last_k" else f"{self.epoch} epoch"
        keeping = f", keeping {', '.join(map(str, self.constraints))}" if self.constraints else ""
        return f"{', '.join(goals)} ({epoch}){keeping}"

    @property
    def asked(self) -> dict[str, str]:
        """Every metric that it looks at beside `metric`, with the key of the config that names it."""
        return {
            **{goal.metric: "study.objective.metrics" for goal in self.others},
            **{constraint.metric: "study.objective.constraints" for constraint in self.constraints},
            **{penalty.metric: "study.objective.penalty" for penalty in self.penalty},
        }

    @property
    def looked_at(self) -> tuple[str, ...]:
        """What a trial tells beside its score: the names of `asked`, and of a penalised score the metric itself."""
        return ((self.metric,) if self.penalty and self.metric not in self.asked else ()) + tuple(self.asked)

    def is_better(self, value: float, than: float) -> bool:
        """Whether the score `value` beats `than`; nothing finite is beaten by NaN."""
        if math.isnan(value) or math.isnan(than):
            return math.isnan(than) and not math.isnan(value)
        return value > than if self.direction == "maximize" else value < than

    def best_epoch(self, curve: Sequence[float]) -> int:
        """Index of the first best finite value of a curve of scores.

        Raises:
            ValueError: `curve` holds no finite value.
        """
        finite = [(value, epoch) for epoch, value in enumerate(curve) if math.isfinite(value)]
        if not finite:
            raise ValueError(f"the curve of {self.label} has no finite value among {len(curve)} epochs")
        sign = -1.0 if self.direction == "maximize" else 1.0
        return min(finite, key=lambda pair: (sign * pair[0], pair[1]))[1]

    def score(self, curve: Sequence[float]) -> float:
        """The one number of a whole curve of scores, by the rule `epoch`.

        Raises:
            ValueError: `curve` is empty or the epochs that count are not finite.
        """
        if self.epoch == "best":
            return curve[self.best_epoch(curve)]
        tail = self._tail(curve)
        if not tail or not all(map(math.isfinite, tail)):
            raise ValueError(f"the last epochs of {self.label} are not finite: {list(tail)}")
        return sum(tail) / len(tail)

    def curve(self, curves: Curves, constants: Mapping[str, float] | None = None) -> list[float]:
        """The score after each epoch: the metric, made worse by the penalties.

        Args:
            curves: By metric one value an epoch.
            constants: As `constants_of`; None leaves out what is the same in every epoch, which moves no epoch's rank.
        """
        scores = list(curves.get(self.metric, ()))
        sign = -1.0 if self.direction == "maximize" else 1.0
        for penalty in self.penalty:
            if constants is None and penalty.metric in ("params", "latency_ms"):
                continue
            values = per_epoch(penalty.metric, curves, constants or {})
            values += [math.nan] * (len(scores) - len(values))
            scores = [score + sign * penalty.of(value) for score, value in zip(scores, values, strict=False)]
        return scores

    def missing(self, curves: Curves, constants: Mapping[str, float]) -> list[str]:
        """Which metrics that it looks at nobody measured."""
        names = [self.metric, *(name for name in self.asked if name != "onset")]
        return [name for name in names if not per_epoch(name, curves, constants)]

    def measures(self, curves: Curves, constants: Mapping[str, float]) -> dict[str, float]:
        """By name, every metric that it looks at: at the epochs that count, what is no curve as a whole.

        What is not finite or unknown is left out, and so is the onset: a fit's summaries have it.
        """
        scores = self.curve(curves)
        found = {}
        for name in self.looked_at:
            values = per_epoch(name, curves, constants)
            if name == "onset" or not values:
                continue
            if name in ("seconds", *constants):
                found[name] = values[-1]
            elif self.epoch != "best":
                tail = self._tail(values)
                found[name] = sum(tail) / len(tail)
            elif any(map(math.isfinite, scores)):
                found[name] = values[min(self.best_epoch(scores), len(values) - 1)]
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def excesses(self, summaries: Mapping[str, float]) -> dict[Constraint, float]:
        """How far a trial breaks each constraint; up to 0 it keeps it, and what nobody measured is broken."""
        found = {}
        for constraint in self.constraints:
            value = measured(constraint.metric, summaries)
            found[constraint] = 1.0 if value is None else constraint.excess(value)
        return found

    def violations(self, summaries: Mapping[str, float]) -> tuple[str, ...]:
        """The constraints that a trial breaks, each with what it measured; what is unknown is not kept."""
        broken = []
        for constraint in self.constraints:
            value = measured(constraint.metric, summaries)
            if value is None:
                broken.append(f"{constraint.metric} unknown, not {constraint.relation} {constraint.bound:g}")
            elif constraint.excess(value) > 0:
                broken.append(
                    f"{constraint.metric} {measure_text(value)}, not {constraint.relation} {constraint.bound:g}"
                )
        return tuple(broken)

    def values(self, score: float | None, summaries: Mapping[str, float]) -> tuple[float, ...] | None:
        """The score and what a trial measured of `others`; None where one of them is not known.

        A gap below 0 counts as 0: validation images that happen to be easier are no merit of a fit.
        """
        found = [score, *(measured(goal.metric, summaries) for goal in self.others)]
        found = [
            max(0.0, value) if goal.metric == "gap" and value is not None else value
            for goal, value in zip(self.goals, found, strict=True)
        ]
        known = tuple(value for value in found if value is not None and math.isfinite(value))
        return known if len(known) == len(found) else None

    def losses(self, score: float | None, summaries: Mapping[str, float]) -> tuple[float, ...] | None:
        """The same, turned so that less is better in each."""
        values = self.values(score, summaries)
        if values is None:
            return None
        return tuple(-v if g.direction == "maximize" else v for g, v in zip(self.goals, values, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; what is not asked is left out, so that a plain objective looks as it always did."""
        data = asdict(self)
        rich = ("penalty", "constraints", "others")
        return {key: list(v) if key in rich else v for key, v in data.items() if key not in rich or v}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; unknown keys of a newer version are ignored."""
        kinds: dict[str, Any] = {"penalty": Penalty, "constraints": Constraint, "others": Goal}
        known = known_fields(cls, data)
        for key, kind in kinds.items():
            if key in known:
                known[key] = tuple(kind(**known_fields(kind, item)) for item in known[key])
        return cls(**known)

    def _tail(self, curve: Sequence[float]) -> Sequence[float]:
        return curve[-1:] if self.epoch == "last" else curve[-self.k :]


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether losses are nowhere higher than others, and lower somewhere."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def known_fields(cls: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """What `data` holds for the dataclass `cls`; keys of a newer version are left out."""
    names = {f.name for f in fields(cls)}
    return {key: value for key, value in data.items() if key in names}
