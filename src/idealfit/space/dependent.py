"""Bounds that name another searched key: `range(1, model.depth + 1)`, `interval(model.dropout, 0.8)`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from idealfit.space.dimensions import Dimension, Integers, Interval, Steps, Value
from idealfit.space.expressions import Expression
from idealfit.space.grammar import parse_dimension
from idealfit.spec import Params, SpaceError

KEY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


@dataclass(frozen=True)
class Dependent:
    """A range whose ends are arithmetic over earlier keys.

    Attributes:
        before: What stands before its arguments: `tag(log, int(interval(`.
        arguments: Its ends, and its step if there is one.
        after: The closing brackets.
    """

    key: str
    before: str
    arguments: tuple[Expression, ...]
    after: str
    _resolved: dict[tuple[float, ...], Dimension | None] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, key: str, entry: str) -> Dependent | None:
        """Read an entry; None where no bound names a key.

        Raises:
            SpaceError: A bound that can't be read.
        """
        if not KEY.search(entry) or not (call := _call(entry)):
            return None
        before, arguments, after = call
        where = f"study.space.{key}"
        return cls(key, before, tuple(Expression(text.strip(), where) for text in arguments), after)

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that it names."""
        return tuple(dict.fromkeys(name for argument in self.arguments for name in argument.names))

    def at(self, params: Params) -> Dimension | None:
        """The range at a point; None where it is empty there.

        Raises:
            SpaceError: It makes no sense there.
        """
        ends = tuple(argument.value(params) for argument in self.arguments)
        if ends not in self._resolved:
            self._resolved[ends] = self._read(ends)
        return self._resolved[ends]

    def with_fixed(self, values: Mapping[str, Value]) -> Dependent:
        """The same with keys that are not searched replaced by their values."""
        numbers = {key: v for key, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        arguments = tuple(argument.replaced(numbers) for argument in self.arguments)
        return Dependent(self.key, self.before, arguments, self.after)

    def __str__(self) -> str:
        return f"{self.before}{', '.join(map(str, self.arguments))}{self.after}"

    def _read(self, ends: tuple[float, ...]) -> Dimension | None:
        low, high, *step = ends
        falls = bool(step) and step[0] < 0
        if "interval" in self.before:
            if low > high:
                return None
            if low == high:  # a single point, which the grammar alone takes for a mistake
                whole = "int(" in self.before
                return Integers(int(low), int(low)) if whole else Interval(float(low), float(low), "log" in self.before)
        elif low == high or (low > high) != falls:
            return None
        return parse_dimension(self.key, f"{self.before}{', '.join(map(repr, ends))}{self.after}")


def hull(dimensions: list[Dimension], *, where: str) -> Dimension:
    """The smallest dimension that holds all of them.

    Raises:
        SpaceError: Some are of whole numbers, some are not.
    """
    kinds = {isinstance(dimension, Integers) for dimension in dimensions}
    if len(kinds) > 1:
        raise SpaceError(f"{where} is a range of whole numbers at some points and not at others.")
    if len(dimensions) == 1:
        return dimensions[0]
    ends = [float(corner) for each in dimensions for corner in each.corners() if isinstance(corner, int | float)]
    low, high = min(ends), max(ends)
    is_log = any(not isinstance(each, Steps) and getattr(each, "log", False) for each in dimensions)
    if kinds == {True}:
        return Integers(int(low), int(high), log=is_log)
    return Interval(low, high, log=is_log)


def point(dimension: Dimension, share: float) -> Value:
    """The point that lies at `share` of a dimension, from 0 to 1 (both included), on its own scale."""
    if isinstance(dimension, Interval):
        low, high = dimension.low, dimension.high
        value = low * (high / low) ** share if dimension.log else low + (high - low) * share
        return min(high, max(low, value))
    place = min(dimension.size - 1, int(share * dimension.size))
    if isinstance(dimension, Integers):
        return dimension.low + place * dimension.step
    return next(itertools.islice(dimension.points(), place, None))


def spread(dimension: Dimension, number: int) -> list[Value]:
    """At most `number` points of a dimension, both ends among them."""
    if not isinstance(dimension, Interval) and dimension.size <= number:
        return list(dimension.points())
    return list(dict.fromkeys(point(dimension, i / (number - 1)) for i in range(number)))


def _call(entry: str) -> tuple[str, list[str], str] | None:
    """What stands before the arguments of `interval` or `range`, the arguments, and what stands after."""
    start = re.search(r"\b(interval|range)\(", entry)
    if not start:
        return None
    depth, arguments, begin = 1, [], start.end()
    for place in range(start.end(), len(entry)):
        sign = entry[place]
        depth += (sign == "(") - (sign == ")")
        if (sign == "," and depth == 1) or depth == 0:
            arguments.append(entry[begin:place])
            begin = place + 1
        if depth == 0:
            return (entry[: start.end()], arguments, entry[place:]) if 2 <= len(arguments) <= 3 else None
    return None
