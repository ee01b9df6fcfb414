"""What an objective is made of beside its metric: penalties, constraints, further goals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from idealfit.objective.measures import Direction

Relation = Literal["<=", ">="]


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """`weight` times a metric makes the score worse.

    Of the gap only what is above 0 counts: validation images that happen to be easier are no merit of a fit.
    """

    metric: str
    weight: float

    def of(self, value: float) -> float:
        """What `value` costs."""
        return self.weight * (max(0.0, value) if self.metric == "gap" else value)

    def __str__(self) -> str:
        return f"{self.weight:g}*{'max(0, gap)' if self.metric == 'gap' else self.metric}"


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """What a trial must keep to be feasible."""

    metric: str
    relation: Relation
    bound: float

    def excess(self, value: float) -> float:
        """How far `value` breaks it, in units of the bound; up to 0 it is kept."""
        beyond = value - self.bound if self.relation == "<=" else self.bound - value
        if math.isinf(beyond):
            return math.copysign(1.0, beyond)
        return beyond / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {self.relation} {self.bound:g}"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One of several metrics that a study optimises."""

    metric: str
    direction: Direction
