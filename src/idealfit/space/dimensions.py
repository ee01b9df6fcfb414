"""One searched key: the points it may take, and how Optuna asks for one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from hydra.core.override_parser.types import Quote, QuotedString

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = bool | int | float | str | None

PLAIN_WORD = re.compile(r"(?!(?:null|true|false|inf|nan)\Z)[a-z_][a-z0-9_-]*", re.IGNORECASE | re.ASCII)


class Suggester(Protocol):
    """What a point is asked of: an `optuna.Trial`, or what stands for one."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A float from `low` to `high`."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number from `low` to `high`."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`."""
        ...


def literal(value: Value) -> str:
    """`value` in Hydra's override grammar; reading it gives the same value and type back."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return value if PLAIN_WORD.fullmatch(value) else QuotedString(value, Quote.single).with_quotes()


def point_key(params: Mapping[str, Value]) -> str:
    """Equal for equal points, whatever arithmetic their last digits have seen."""
    rounded = {key: float(f"{value:.12g}") if isinstance(value, float) else value for key, value in params.items()}
    return repr(sorted(rounded.items()))


@dataclass(frozen=True)
class Interval:
    """Every float from `low` to `high`."""

    low: float
    high: float
    log: bool = False
    size: None = None

    def distribution(self) -> BaseDistribution:
        """Optuna's view of it."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)

    def suggest(self, trial: Suggester, key: str) -> Value:
        """Ask the sampler for a point."""
        return trial.suggest_float(key, self.low, self.high, log=self.log)

    def corners(self) -> list[Value]:
        """The extreme points."""
        return [self.low, self.high]

    def __str__(self) -> str:
        text = f"interval({self.low!r}, {self.high!r})"
        return f"tag(log, {text})" if self.log else text


@dataclass(frozen=True)
class Integers:
    """`low`, `low + step`, ... `high`, both included."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self._range())

    def distribution(self) -> BaseDistribution:
        """Optuna's view of it."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def suggest(self, trial: Suggester, key: str) -> Value:
        """Ask the sampler for a point."""
        return trial.suggest_int(key, self.low, self.high, step=self.step, log=self.log)

    def points(self) -> Iterator[Value]:
        """All points."""
        return iter(self._range())

    def corners(self) -> list[Value]:
        """The extreme points."""
        return [self.low, self.high]

    def _range(self) -> range:
        return range(self.low, self.high + 1, self.step)

    def __str__(self) -> str:
        step = f", {self.step}" if self.step != 1 else ""
        text = f"range({self.low}, {self.high + self.step}{step})"
        return f"tag(log, {text})" if self.log else text


@dataclass(frozen=True)
class Steps:
    """`start`, `start + step`, ...: `size` floats, exact to their decimals (0.3, never 0.30000000000000004)."""

    start: Decimal
    step: Decimal
    size: int

    def distribution(self) -> BaseDistribution:
        """Optuna's view of it."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self._point(0), self._point(self.size - 1), step=float(self.step))

    def suggest(self, trial: Suggester, key: str) -> Value:
        """Ask the sampler for a point."""
        drawn = trial.suggest_float(key, self._point(0), self._point(self.size - 1), step=float(self.step))
        return self._point(round((drawn - float(self.start)) / float(self.step)))

    def points(self) -> Iterator[Value]:
        """All points."""
        return map(self._point, range(self.size))

    def corners(self) -> list[Value]:
        """The extreme points."""
        return [self._point(0), self._point(self.size - 1)]

    def _point(self, index: int) -> float:
        return float(self.start + index * self.step)

    def __str__(self) -> str:
        stop = self.start + self.size * self.step
        return f"range({float(self.start)!r}, {float(stop)!r}, {float(self.step)!r})"


@dataclass(frozen=True)
class Choice:
    """The values named, without order."""

    options: tuple[Value, ...]

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.options)

    def distribution(self) -> BaseDistribution:
        """Optuna's view of it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)

    def suggest(self, trial: Suggester, key: str) -> Value:
        """Ask the sampler for a point."""
        chosen: Value = trial.suggest_categorical(key, self.options)
        return chosen

    def points(self) -> Iterator[Value]:
        """All points."""
        return iter(self.options)

    def corners(self) -> list[Value]:
        """All options: any of them may be the one that does not fit."""
        return list(self.options)

    def __str__(self) -> str:
        return f"choice({', '.join(map(literal, self.options))})"


Dimension = Interval | Integers | Steps | Choice


def steps(start: Decimal, stop: Decimal, step: Decimal) -> Steps | None:
    """The points of `range(start, stop, step)`, rising; None when there is none."""
    size = math.ceil((stop - start) / step)
    if size <= 0:
        return None
    return Steps(start, step, size) if step > 0 else Steps(start + (size - 1) * step, -step, size)
