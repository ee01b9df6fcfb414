"""When a key is there (`when`), and which points are not allowed (`study.forbid`): tests of earlier keys' values."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from idealfit.space.dimensions import Choice, Dimension, Interval, Value
from idealfit.spec import Params, SpaceError, nearest

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Condition:
    """One key's value is one of some, or compares with a number. A key that is not there meets none.

    Attributes:
        options: The values that meet it; empty for a comparison.
        sign: One of `COMPARISONS`; "" without one.
    """

    key: str
    options: tuple[Value, ...] = ()
    sign: str = ""
    number: float = 0.0

    @classmethod
    def parse(cls, key: str, wanted: Any, *, where: str) -> Condition:
        """Read `cnn`, `[mlp, cnn]` or `">0"`.

        Raises:
            SpaceError: Neither a value, nor a list of values, nor a comparison with a number.
        """
        if isinstance(wanted, str) and (sign := next((s for s in COMPARISONS if wanted.strip().startswith(s)), "")):
            text = wanted.strip().removeprefix(sign).strip()
            if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", text, re.IGNORECASE):
                raise SpaceError(f"{where}: {key} is compared with {text!r}, which is no number.")
            return cls(key, sign=sign, number=float(text))
        options = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
        if not options or not all(option is None or isinstance(option, bool | int | float | str) for option in options):
            raise SpaceError(f"{where}: {key} needs a value, a list of values or a comparison, got {wanted!r}.")
        return cls(key, tuple(options))

    def holds(self, params: Mapping[str, Value]) -> bool:
        """Whether a point meets it."""
        return self.key in params and self.accepts(params[self.key])

    def accepts(self, value: Value) -> bool:
        """Whether a value of its key meets it."""
        if not self.sign:
            return any(same(value, option) for option in self.options)
        return isinstance(value, int | float) and COMPARISONS[self.sign](value, self.number)

    def check(self, dimension: Dimension, *, where: str) -> None:
        """Refuse what no value of its key can meet.

        Raises:
            SpaceError: Such a value, with the nearest ones.
        """
        for option in self.options:
            if not contains(dimension, option):
                hint = nearest(str(option), map(str, dimension.options)) if isinstance(dimension, Choice) else ""
                raise SpaceError(f"{where}: {self.key} is never {option!r} in {dimension}. {hint}".strip())
        if self.sign and not any(map(self.accepts, _witnesses(dimension, self.number))):
            raise SpaceError(f"{where}: {self.key} is never {self.sign}{self.number:g} in {dimension}.")

    @property
    def raw(self) -> Any:
        """As a sweep file writes it."""
        if self.sign:
            return f"{self.sign}{self.number!r}"
        return self.options[0] if len(self.options) == 1 else list(self.options)

    def __str__(self) -> str:
        if self.sign:
            return f"{self.key}{self.sign}{self.number:g}"
        return f"{self.key}={'|'.join(map(str, self.options))}"


def parse_conditions(raw: Any, *, where: str) -> tuple[Condition, ...]:
    """Read a mapping from keys to what they must be; all must hold.

    Raises:
        SpaceError: No mapping, an empty one, or a condition that cannot be read.
    """
    if not isinstance(raw, Mapping) or not raw:
        raise SpaceError(f"{where} must map keys to values, e.g. {{model: cnn}}, got {raw!r}.")
    return tuple(Condition.parse(key, wanted, where=where) for key, wanted in _flatten(raw, where))


def to_mapping(conditions: tuple[Condition, ...]) -> dict[str, Any]:
    """What `parse_conditions` read."""
    return {condition.key: condition.raw for condition in conditions}


def all_hold(conditions: tuple[Condition, ...], params: Params) -> bool:
    """Whether a point meets all of them."""
    return all(condition.holds(params) for condition in conditions)


def same(value: Value, option: Value) -> bool:
    """Equal, and of one kind: 1 is 1.0, but not true."""
    return value == option and isinstance(value, bool) == isinstance(option, bool)


def contains(dimension: Dimension, value: Value) -> bool:
    """Whether a value is a point of a dimension."""
    if isinstance(dimension, Choice):
        return any(same(option, value) for option in dimension.options)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(dimension, Interval):
        return dimension.low <= value <= dimension.high
    low, high = (float(corner) for corner in dimension.corners() if isinstance(corner, int | float))
    step = float(dimension.step)
    return low <= value <= high and abs(round((value - low) / step) * step + low - value) < 1e-9 * max(step, 1.0)


def _witnesses(dimension: Dimension, number: float) -> Iterator[Value]:
    yield from dimension.corners()
    if contains(dimension, number):
        yield number


def _flatten(raw: Mapping[Any, Any], where: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, wanted in raw.items():
        if not isinstance(name, str):
            raise SpaceError(f"{where}: {name!r} is no key.")
        if isinstance(wanted, Mapping) and wanted:
            yield from _flatten(wanted, where, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", wanted
