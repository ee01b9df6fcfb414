"""Bounds on config values, written beside each key of a schema and checked once the config is composed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import MISSING


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a value must satisfy beyond its type; None always passes, since the type says whether it is allowed."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    one_of: tuple[str, ...] = ()

    def violation(self, value: Any) -> str:
        """What `value` should have been, e.g. `at least 1`; empty when it is all right."""
        if isinstance(value, list | tuple):
            return next(filter(None, map(self.violation, value)), "")
        if self.one_of:
            return "" if value is None or value in self.one_of else f"one of {', '.join(self.one_of)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ""
        if not math.isfinite(value):
            return "finite"
        if all(ok for _, ok in self._comparisons(value)):
            return ""
        return " and ".join(text for text, _ in self._comparisons(value))

    def _comparisons(self, value: float) -> Iterator[tuple[str, bool]]:
        if self.at_least is not None:
            yield f"at least {_shown(self.at_least)}", value >= self.at_least
        if self.above is not None:
            yield f"above {_shown(self.above)}", value > self.above
        if self.at_most is not None:
            yield f"at most {_shown(self.at_most)}", value <= self.at_most
        if self.below is not None:
            yield f"below {_shown(self.below)}", value < self.below


def _shown(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"


def bounded(
    default: Any = MISSING,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    one_of: tuple[str, ...] = (),
) -> Any:
    """A dataclass field whose value has bounds; without a default, a YAML file must give the value."""
    bounds = Bounds(at_least=at_least, above=above, at_most=at_most, below=below, one_of=one_of)
    return field(default=default, metadata={"bounds": bounds})


def violations(schema: type, values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Bounds]]:
    """Dotted key, value and bounds of each value that breaks a bound of `schema` or of the schemas inside it."""
    for item in fields(schema):
        value = values.get(item.name)
        bounds = item.metadata.get("bounds")
        if bounds is not None and bounds.violation(value):
            yield f"{prefix}{item.name}", value, bounds
        inner = getattr(item, "default_factory", None)
        if isinstance(value, Mapping) and isinstance(inner, type) and is_dataclass(inner):
            yield from violations(inner, value, f"{prefix}{item.name}.")
