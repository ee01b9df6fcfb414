"""One entry of `study.space`: which values, when it is there, and what it is for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from idealfit.space.conditions import Condition, all_hold, parse_conditions, to_mapping
from idealfit.space.dependent import Dependent
from idealfit.space.dimensions import Dimension
from idealfit.space.grammar import parse_dimension
from idealfit.spec import Params, SpaceError, nearest

FIELDS = ("values", "when", "role")
ROLES = ("scientific", "nuisance")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One searched key.

    Attributes:
        source: Its points, or how they follow from a point.
        hull: All points that it may have anywhere.
        when: All must hold for the key to be there; empty: it always is.
        role: One of `ROLES`; "": none was given.
    """

    key: str
    source: Dimension | Dependent
    hull: Dimension
    when: tuple[Condition, ...] = ()
    role: str = ""

    def is_active(self, params: Params) -> bool:
        """Whether the key is there at a point whose earlier keys are given."""
        return all_hold(self.when, params)

    def at(self, params: Params) -> Dimension | None:
        """Its points given the earlier keys; None where there is none."""
        return self.source.at(params) if isinstance(self.source, Dependent) else self.source

    @property
    def needs(self) -> dict[str, str]:
        """The earlier keys that it names, and what for."""
        bounds = self.source.names if isinstance(self.source, Dependent) else ()
        return {condition.key: "when" for condition in self.when} | dict.fromkeys(bounds, "a bound")

    def to_json(self) -> Any:
        """As a sweep file writes it."""
        if not self.when and not self.role:
            return str(self.source)
        when = {"when": to_mapping(self.when)} if self.when else {}
        return {"values": str(self.source), **when, **({"role": self.role} if self.role else {})}

    def __str__(self) -> str:
        when = f" when {' and '.join(map(str, self.when))}" if self.when else ""
        return f"{self.source}{when}{f', {self.role}' if self.role else ''}"


@dataclass(frozen=True, kw_only=True)
class RawEntry:
    """An entry as read, before it is known what the keys are that it names."""

    source: Dimension | Dependent
    when: tuple[Condition, ...]
    role: str


def read_entry(key: str, raw: Any) -> RawEntry:
    """Read one entry: a string in Hydra's sweep grammar, a list of values, or a mapping with `values`.

    Raises:
        SpaceError: It can't be read.
    """
    if not isinstance(raw, Mapping):
        return RawEntry(source=_source(key, raw), when=(), role="")
    for name in raw:
        if name not in FIELDS:
            raise SpaceError(f"study.space.{key}: an entry has no {name!r}. {nearest(str(name), FIELDS)}")
    if "values" not in raw:
        raise SpaceError(f"study.space.{key} has no values. Add e.g. values: range(1,5).")
    role = raw.get("role") or ""
    if role and role not in ROLES:
        raise SpaceError(f"study.space.{key}.role: there is no role {role!r}. {nearest(str(role), ROLES)}")
    when = parse_conditions(raw["when"], where=f"study.space.{key}.when") if raw.get("when") is not None else ()
    return RawEntry(source=_source(key, raw["values"]), when=when, role=role)


def flatten_entries(space: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their entries, of dotted keys, nested mappings or both.

    Raises:
        SpaceError: A key that is none.
    """
    for name, entry in space.items():
        if not isinstance(name, str) or not all(name.split(".")):
            raise SpaceError(f"study.space: {name!r} is no key. Write e.g. model.depth: range(1,5).")
        if isinstance(entry, Mapping) and not _is_entry(entry):
            yield from flatten_entries(entry, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", entry


def with_values(entry: Any, values: Any) -> Any:
    """An entry of a file with other values, from a command line: its condition and role stay."""
    return {**entry, "values": values} if isinstance(entry, Mapping) else values


def _is_entry(mapping: Mapping[Any, Any]) -> bool:
    """Whether it is one entry, rather than several below a common key; with its fields misspelt, too."""
    return any(name in FIELDS for name in mapping) or (
        bool(mapping) and all(difflib.get_close_matches(str(name), FIELDS, cutoff=0.75) for name in mapping)
    )


def _source(key: str, raw: Any) -> Dimension | Dependent:
    if isinstance(raw, str) and (dependent := Dependent.parse(key, raw)):
        return dependent
    return parse_dimension(key, raw)
