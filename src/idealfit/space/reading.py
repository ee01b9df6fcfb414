"""From `study.space` and `study.forbid` to entries whose references all lead to earlier keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from idealfit.space.conditions import Condition, parse_conditions
from idealfit.space.dependent import Dependent, hull, spread
from idealfit.space.dimensions import Choice, Dimension, Value
from idealfit.space.entries import Entry, RawEntry, flatten_entries, read_entry
from idealfit.spec import Params, SpaceError, nearest

GROUPS = ("data", "model", "optimizer", "scheduler", "loss", "augment", "trainer")
SEARCHABLE = ("seed", *GROUPS)
MAX_SAMPLES = 2000  # points at which a bound that depends on others is tried out
NO_FIXED: Mapping[str, Value] = {}


class Reader:
    """Reads a space.

    Args:
        space: `study.space`.
        fixed: The value of each key of the config that is not searched, and the option of each group.
    """

    def __init__(self, space: Mapping[str, Any], fixed: Mapping[str, Value]) -> None:
        self._fixed = fixed
        self._raw: dict[str, RawEntry] = {}
        for key, entry in flatten_entries(space):
            if key in self._raw:
                raise SpaceError(f"study.space.{key} is given twice.")
            top = key.partition(".")[0]
            if top not in SEARCHABLE:
                raise SpaceError(f"study.space: {key!r} does not change a training run. {nearest(top, SEARCHABLE)}")
            self._raw[key] = read_entry(key, entry)
        self._order = list(self._raw)
        self.entries: dict[str, Entry] = {}
        self._check_circles()
        for key, raw in self._raw.items():
            entry = self._entry(key, raw)
            if entry:
                self.entries[key] = entry

    def forbidden(self, raw: Any) -> tuple[tuple[Condition, ...], ...]:
        """Read `study.forbid`.

        Raises:
            SpaceError: It can't be read, or names what is never there.
        """
        if not isinstance(raw, list | tuple):
            raise SpaceError(f"study.forbid must list combinations, e.g. [{{model: linear, data: x}}], got {raw!r}.")
        clauses = []
        for number, clause in enumerate(raw):
            where = f"study.forbid[{number}]"
            conditions = self._searched(parse_conditions(clause, where=where), where)
            if conditions == ():
                raise SpaceError(f"{where} forbids every point: all that it names is fixed. Remove it.")
            if conditions:
                for condition in conditions:
                    condition.check(self.entries[condition.key].hull, where=where)
                clauses.append(conditions)
        return tuple(clauses)

    def _entry(self, key: str, raw: RawEntry) -> Entry | None:
        """None where a fixed value switches the key off."""
        where = f"study.space.{key}"
        when = self._searched(raw.when, f"{where}.when", before=key)
        if when is None:
            return None
        for condition in when:
            condition.check(self.entries[condition.key].hull, where=f"{where}.when")
        source = raw.source
        if isinstance(source, Dependent):
            source = self._with_fixed(source, key)
            if not source.names:
                source = self._only(source.at({}), where, {})
        if isinstance(source, Dependent):
            self._check_implied(key, source, when)
            return Entry(key=key, source=source, hull=self._hull(key, source), when=when, role=raw.role)
        if key in GROUPS:
            check_group(key, source)
        return Entry(key=key, source=source, hull=source, when=when, role=raw.role)

    def _searched(self, conditions: Sequence[Condition], where: str, before: str = "") -> tuple[Condition, ...] | None:
        """The conditions that fixed values leave open; None where a fixed value, or a key switched off, fails one."""
        left = []
        for condition in conditions:
            if self._is_searched(condition.key, where, before):
                if condition.key not in self.entries:
                    return None
                left.append(condition)
            elif not condition.holds(self._fixed):
                return None
        return tuple(left)

    def _with_fixed(self, source: Dependent, key: str) -> Dependent:
        names = [name for name in source.names if not self._is_searched(name, f"study.space.{key}", key)]
        return source.with_fixed({name: self._fixed[name] for name in names}) if names else source

    def _is_searched(self, name: str, where: str, before: str) -> bool:
        """Whether a key that is referred to is searched, rather than fixed.

        Raises:
            SpaceError: Neither, or it is searched later.
        """
        if name in self._raw:
            if before and self._order.index(name) >= self._order.index(before):
                raise SpaceError(f"{where} names {name}, which is searched only after it. Move {name} up.")
            return True
        group = name.partition(".")[0]
        if name != group and group in self._raw:
            raise SpaceError(
                f"{where} names {name}, which is not searched while {group} is: it has another value in each. "
                f"{nearest(name, self._raw)}".strip()
            )
        if name not in self._fixed:
            raise SpaceError(f"{where} names {name}, and there is no such key. {nearest(name, self._known())}".strip())
        return False

    def _known(self) -> list[str]:
        return [*self._raw, *self._fixed]

    def _check_implied(self, key: str, source: Dependent, when: tuple[Condition, ...]) -> None:
        for name in source.names:
            if name not in self.entries:
                raise SpaceError(f"study.space.{key} names {name}, which is never there. Give {key} the same `when`.")
            missing = [condition for condition in self.entries[name].when if condition not in when]
            if missing:
                raise SpaceError(
                    f"study.space.{key} names {name}, which is there only when "
                    f"{' and '.join(map(str, missing))}: give {key} the same `when`."
                )

    def _hull(self, key: str, source: Dependent) -> Dimension:
        where = f"study.space.{key}"
        ranges = [self._only(source.at(params), where, params) for params in self._samples(source.names)]
        return hull(ranges, where=where)

    def _only(self, dimension: Dimension | None, where: str, params: Params) -> Dimension:
        if dimension is None:
            entry = self._raw[where.removeprefix("study.space.")].source
            at = " ".join(f"{key}={value}" for key, value in params.items())
            raise SpaceError(f"{where}: {str(entry)!r} is empty{f' with {at}' if at else ''}.")
        return dimension

    def _samples(self, names: Sequence[str]) -> list[Params]:
        """Points of some keys, and of what these depend on, spread over their ranges."""
        closure = set(names)
        for key in reversed(self.entries):
            source = self.entries[key].source
            closure |= set(source.names) if key in closure and isinstance(source, Dependent) else set()
        keys = [key for key in self.entries if key in closure]
        each = max(3, min(200, int(MAX_SAMPLES ** (1 / len(keys)))))
        samples: list[Params] = [{}]
        for key in keys:
            samples = [{**params, key: value} for params in samples for value in self._values(key, params, each)]
        return samples

    def _values(self, key: str, params: Params, number: int) -> list[Value]:
        dimension = self.entries[key].at(params)
        return spread(dimension, number) if dimension else []

    def _check_circles(self) -> None:
        needs = {
            key: [name for name in _names(raw) if name in self._raw and name != key] for key, raw in self._raw.items()
        }
        for key, raw in self._raw.items():
            if key in _names(raw):
                raise SpaceError(f"study.space.{key} depends on itself.")
            circle = find_circle(needs, key)
            if circle:
                raise SpaceError(f"study.space: these depend on each other in a circle: {' -> '.join(circle)}.")


def find_circle(needs: Mapping[str, Sequence[str]], start: str) -> list[str]:
    """A way from `start` back to it; empty where there is none."""
    ways, seen = [[start]], set()
    while ways:
        way = ways.pop()
        for name in needs.get(way[-1], ()):
            if name == start:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def check_group(key: str, dimension: Dimension) -> None:
    """Refuse to search a config group by anything but names of its options.

    Raises:
        SpaceError: It is not.
    """
    if not isinstance(dimension, Choice) or not all(isinstance(option, str) for option in dimension.options):
        raise SpaceError(
            f"study.space.{key}: {dimension} searches a config group, so name its options: choice(x,y) "
            "(`none` stands for nothing). For a value inside the group, write the whole key, e.g. "
            f"{key}.something."
        )


def _names(raw: RawEntry) -> Iterator[str]:
    yield from (condition.key for condition in raw.when)
    if isinstance(raw.source, Dependent):
        yield from raw.source.names
