"""The axes of the search space: kind, scale and bounds of each searched parameter, and where a value lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from idealfit.spec import Params

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

EDGE = 0.05  # of a continuous range: this near to its end counts as at the edge
LOG_FROM_RATIO = 50.0  # observed or listed values that span more than this are drawn on a log axis
MAX_TICKS = 12
MAX_STEPS = 1000  # a finer grid is as good as continuous


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One searched parameter.

    Attributes:
        choices: Every value there is, in order; empty for a continuous or whole-number range.
        is_known: Whether the bounds come from the study's space; else they are merely what was tried.
        role: `scientific`, `nuisance` or "".
    """

    key: str
    kind: Literal["number", "category"]
    log: bool = False
    is_int: bool = False
    low: float = math.nan
    high: float = math.nan
    choices: tuple[Any, ...] = ()
    is_known: bool = True
    role: str = ""

    @property
    def ticks(self) -> list[float]:
        """The values to name on an axis: all of a few, else none in particular."""
        if self.kind == "category" or self.num_values > MAX_TICKS:
            return []
        return list(self.choices) or [self.low + i for i in range(int(self.num_values))]

    @property
    def is_discrete(self) -> bool:
        """Whether the values can be counted."""
        return self.is_int or bool(self.choices)

    @property
    def num_values(self) -> float:
        """How many values there are; infinite for a continuous range."""
        if self.choices:
            return len(self.choices)
        return self.high - self.low + 1 if self.is_int else math.inf

    def position(self, value: float) -> float:
        """Where `value` lies between the bounds, from 0 to 1, on the dimension's own scale."""
        low, high, here = (math.log(v) if self.log else v for v in (self.low, self.high, float(value)))
        return 0.5 if high == low else (here - low) / (high - low)

    def at(self, position: float) -> float:
        """The value at `position`, from 0 to 1."""
        if self.log:
            return math.exp(math.log(self.low) + position * (math.log(self.high) - math.log(self.low)))
        return self.low + position * (self.high - self.low)

    def edge(self, value: Any) -> Literal["lower", "upper"] | None:
        """The end of the range at which `value` sits, if any. Two values or unordered ones have no ends to speak of."""
        if self.kind == "category" or not is_number(value) or self.num_values < 3:
            return None
        position = self.position(value)
        margin = 1e-9 if self.is_discrete else EDGE
        if position <= margin:
            return "lower"
        return "upper" if position >= 1 - margin else None


def is_number(value: Any) -> bool:
    """Whether `value` is a number and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_dimensions(space: Mapping[str, Any] | None, trials_params: Sequence[Params]) -> list[Dimension]:
    """The dimensions of a space as a sweep file writes it; without one, what the trials' values tell.

    Raises:
        SpaceError: `space` cannot be parsed.
    """
    observed = _observed(trials_params)
    if not space:
        return [_from_values(key, values, is_known=False) for key, values in observed.items()]
    from idealfit.space import Space

    parsed = Space.parse(space)
    distributions = parsed.distributions()
    unknown = [
        _from_values(key, values, is_known=False) for key, values in observed.items() if key not in distributions
    ]
    known = [
        replace(_from_distribution(key, distribution), role=parsed.entries[key].role)
        for key, distribution in distributions.items()
    ]
    return known + unknown


def to_distribution(dimension: Dimension, values: Iterable[Any]) -> BaseDistribution:
    """The dimension as Optuna's type, wide enough for all `values` (a space may have changed since they were tried)."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    values = list(values)
    if dimension.kind == "category" or not all(map(is_number, values)):
        return CategoricalDistribution(list(dict.fromkeys([*dimension.choices, *values])))
    low, high = min([dimension.low, *values]), max([dimension.high, *values])
    if dimension.is_int:
        return IntDistribution(int(low), int(high), log=dimension.log)
    return FloatDistribution(float(low), float(high), log=dimension.log)


def _observed(trials_params: Sequence[Params]) -> dict[str, list[Any]]:
    observed: dict[str, list[Any]] = {}
    for params in trials_params:
        for key, value in params.items():
            observed.setdefault(key, []).append(value)
    return observed


def _from_distribution(key: str, distribution: Any) -> Dimension:
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return _from_values(key, list(choices), is_known=True)
    is_int = type(distribution).__name__.startswith("Int")
    step = getattr(distribution, "step", None)
    low, high = float(distribution.low), float(distribution.high)
    steps = round((high - low) / step) if step and not (is_int and step == 1) else 0
    return Dimension(
        key=key,
        kind="number",
        log=bool(distribution.log),
        is_int=is_int and not steps,
        low=low,
        high=high,
        choices=tuple(low + i * (step or 1) for i in range(steps + 1)) if 0 < steps <= MAX_STEPS else (),
    )


def _is_geometric(values: Sequence[float]) -> bool:
    """Whether each value is the same multiple of the one before: 32, 64, 128."""
    ratios = [b / a for a, b in itertools.pairwise(values)]
    return len(ratios) > 1 and max(ratios) / min(ratios) < 1.01 and max(ratios) > 1.4


def _from_values(key: str, values: Sequence[Any], *, is_known: bool) -> Dimension:
    distinct = list(dict.fromkeys(values))
    if not all(map(is_number, distinct)):
        return Dimension(key=key, kind="category", choices=tuple(sorted(distinct, key=str)), is_known=is_known)
    low, high = float(min(distinct)), float(max(distinct))
    is_int = all(isinstance(value, int) for value in distinct)
    return Dimension(
        key=key,
        kind="number",
        log=low > 0 and (high / low >= LOG_FROM_RATIO or _is_geometric(sorted(distinct))),
        is_int=is_int and not is_known,
        low=low,
        high=high,
        choices=tuple(sorted(distinct)) if is_known else (),
        is_known=is_known,
    )
