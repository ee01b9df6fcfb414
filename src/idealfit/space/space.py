"""The whole space: parsed entries by dotted key or config group, and the combinations that are forbidden."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from idealfit.space.conditions import Condition, all_hold, contains, to_mapping
from idealfit.space.dependent import Dependent, point
from idealfit.space.dimensions import Choice, Dimension, Interval, Suggester, Value
from idealfit.space.entries import Entry
from idealfit.space.reading import GROUPS, NO_FIXED, Reader
from idealfit.spec import JSON, Params, SpaceError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MAX_GRID = 100_000  # a whole grid is listed in memory
MAX_CORNERS = 64  # each is one build of data, model and optimizer before the study starts
MAX_DRAWS = 2000  # until a point that is not forbidden must have been found


class Space:
    """What a study searches: values (`model.depth`) and config groups (`model`).

    Attributes:
        entries: What each key may be, in the order given.
        forbidden: Combinations that no trial may have: all conditions of any of them.
    """

    def __init__(self, entries: Mapping[str, Entry], forbidden: tuple[tuple[Condition, ...], ...] = ()) -> None:
        self.entries = dict(entries)
        self.forbidden = forbidden

    @classmethod
    def parse(cls, space: Mapping[str, Any], *, forbid: Any = (), fixed: Mapping[str, Value] = NO_FIXED) -> Self:
        """Read `study.space`: dotted keys, nested mappings, or both.

        Args:
            space: The entries.
            forbid: `study.forbid`: combinations that no trial may have.
            fixed: The value of each key of the config that is not searched: a condition may name it.

        Raises:
            SpaceError: An entry that is unreadable, empty, contradictory, given twice, or no part of a training run.
        """
        reader = Reader(space, fixed)
        if space and not reader.entries:
            raise SpaceError("study.space is empty: the conditions of all its keys fail here.")
        parsed = cls(reader.entries, reader.forbidden(forbid))
        if parsed.forbidden and not (parsed.size or parsed.random_point(random.Random(0))):
            raise SpaceError("study.forbid forbids every point of the space. Remove one of its combinations.")
        return parsed

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """All points that each key may have anywhere."""
        return {key: entry.hull for key, entry in self.entries.items()}

    @property
    def keys(self) -> list[str]:
        """The searched keys, in the order given."""
        return list(self.entries)

    @property
    def is_plain(self) -> bool:
        """Whether every key is always there with the same points, and every combination of them is allowed."""
        return not self.forbidden and not any(entry.needs for entry in self.entries.values())

    @property
    def has_conditions(self) -> bool:
        """Whether a key may be absent."""
        return any(entry.when for entry in self.entries.values())

    @cached_property
    def size(self) -> int | None:
        """Number of points; None when a key is continuous, or when conditions make them too many to count."""
        sizes = [dimension.size for dimension in self.dimensions.values()]
        if None in sizes:
            return None
        if self.is_plain:
            return math.prod(size for size in sizes if size is not None)
        count = sum(1 for _ in itertools.islice(self._all_points(), MAX_GRID + 1))
        return count if count <= MAX_GRID else None

    @staticmethod
    def is_group(key: str) -> bool:
        """Whether `key` chooses a config file of a group, rather than a value."""
        return key in GROUPS

    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distribution of each key, wide enough for all its points."""
        return {key: dimension.distribution() for key, dimension in self.dimensions.items()}

    def suggest(self, trial: Suggester) -> Params | None:
        """Ask for one point; None where a range is empty at the keys drawn before it."""
        return self._walk(lambda key, dimension: dimension.suggest(trial, key))

    def allows(self, params: Params) -> bool:
        """Whether no forbidden combination is met."""
        return not any(all_hold(clause, params) for clause in self.forbidden)

    def problem(self, params: Params) -> str:
        """Why a point, or a part of one, is not of this space; "" where it is."""
        for key in params:
            if key not in self.entries:
                return f"{key} is not searched"
        known: Params = {}
        for key, entry in self.entries.items():
            if key not in params:
                continue
            if missing := [name for name in entry.needs if name not in params]:
                return f"{key} depends on {missing[0]}: give that too"
            if not entry.is_active(known):
                return f"{key} is there only when {' and '.join(map(str, entry.when))}"
            dimension = entry.at(known)
            if dimension is None or not contains(dimension, params[key]):
                return f"{key}={params[key]!r} is outside {dimension or entry.source}"
            known[key] = params[key]
        return "" if self.allows(known) else "it is forbidden by study.forbid"

    def random_point(self, generator: random.Random) -> Params | None:
        """A point that is allowed, each key drawn evenly on its own scale; None where none was found."""
        for _ in range(MAX_DRAWS):
            params = self._walk(lambda key, dimension: point(dimension, generator.random()))
            if params is not None and self.allows(params):
                return params
        return None

    def grid(self) -> dict[str, list[Any]]:
        """All values of each key.

        Raises:
            SpaceError: A key is continuous, or the grid is too large to list.
        """
        values = {}
        for key, dimension in self.dimensions.items():
            if isinstance(dimension, Interval):
                raise SpaceError(
                    f"study.space.{key}: {self.entries[key].source} has no end of values, so it can't make a grid. "
                    "Use range(a,b,step) or choice(x,y), or another study.sampler."
                )
            values[key] = dimension
        if self.is_plain and (self.size or 0) > MAX_GRID:
            raise SpaceError(f"study.space: a grid of {self.size} points is too large (at most {MAX_GRID}).")
        return {key: list(dimension.points()) for key, dimension in values.items()}

    def points(self) -> list[Params]:
        """All points, each once: a key that is absent makes no difference.

        Raises:
            SpaceError: A key is continuous, or they are too many to list.
        """
        self.grid()  # refuses what has no end
        if self.size is None:
            raise SpaceError(f"study.space: a grid of over {MAX_GRID} points is too large.")
        return list(self._all_points())

    def corners(self) -> list[Params]:
        """Extreme points for each combination of groups: what to try to build before anything trains.

        Every option of every choice occurs in at least one; there are at most `MAX_CORNERS` or as many as the longest
        choice needs.
        """
        groups = {key: list(d.corners()) for key, d in self.dimensions.items() if self.is_group(key)}
        values = {key: list(d.corners()) for key, d in self.dimensions.items() if not self.is_group(key)}
        rows = [_diagonal(groups, i) for i in range(_longest(groups))]
        if math.prod(map(len, groups.values())) <= MAX_CORNERS:
            rows = [dict(zip(groups, row, strict=True)) for row in itertools.product(*groups.values())]
        corners: list[Params] = []
        for number, row in enumerate(rows):
            all_of_them = range(_longest(values))
            enough = (
                all_of_them if number == 0 or len(rows) * len(all_of_them) <= MAX_CORNERS else {0, len(all_of_them) - 1}
            )
            corners += [self._in_order({**row, **_diagonal(values, i)}) for i in enough]
        return corners if self.is_plain else self._allowed_corners(corners)

    def to_json(self) -> JSON:
        """Canonical form of each entry; `parse` reads it back."""
        return {key: entry.to_json() for key, entry in self.entries.items()}

    def texts(self) -> dict[str, str]:
        """Each entry in one line, for people."""
        return {key: str(entry) for key, entry in self.entries.items()}

    def forbidden_json(self) -> list[JSON]:
        """Canonical form of what is forbidden."""
        return [to_mapping(clause) for clause in self.forbidden]

    def _walk(self, choose: Callable[[str, Dimension], Value]) -> Params | None:
        """A point, key by key: `choose` picks from what the keys before leave; None where that is nothing."""
        params: Params = {}
        for key, entry in self.entries.items():
            if entry.is_active(params):
                dimension = entry.at(params)
                if dimension is None:
                    return None
                params[key] = choose(key, dimension)
        return params

    def _in_order(self, params: Params) -> Params:
        return {key: params[key] for key in self.entries}

    def _all_points(self) -> Iterator[Params]:
        entries = list(self.entries.values())

        def below(place: int, params: Params) -> Iterator[Params]:
            if place == len(entries):
                if self.allows(params):
                    yield params
                return
            entry = entries[place]
            if not entry.is_active(params):
                yield from below(place + 1, params)
                return
            dimension = entry.at(params)
            assert not isinstance(dimension, Interval)  # noqa: S101 - whoever lists points has checked that
            for value in dimension.points() if dimension else ():
                yield from below(place + 1, {**params, entry.key: value})

        return below(0, {})

    def _allowed_corners(self, corners: list[Params]) -> list[Params]:
        """The same without absent keys and forbidden combinations, and with points for options that this leaves out."""
        found = {repr(each): each for corner in corners if (each := self._nearest_point(corner)) and self.allows(each)}
        missing = {
            (key, option)
            for key, dimension in self.dimensions.items()
            if isinstance(dimension, Choice)
            for option in dimension.options
        } - {item for each in found.values() for item in each.items()}
        generator = random.Random(0)
        for _ in range(20 * (1 + len(missing))):
            if (missing or not found) and (each := self.random_point(generator)) and missing & set(each.items()):
                found[repr(each)] = each
                missing -= set(each.items())
        if not found and (each := self.random_point(generator)):
            found[repr(each)] = each
        return list(found.values())

    def _nearest_point(self, corner: Params) -> Params | None:
        """A corner without the keys that are absent there, and with the ends of ranges that depend on others."""

        def nearest(key: str, dimension: Dimension) -> Value:
            entry = self.entries[key]
            if not isinstance(entry.source, Dependent):
                return corner[key]
            return dimension.corners()[-1 if corner[key] == entry.hull.corners()[-1] else 0]

        return self._walk(nearest)


def _longest(columns: Mapping[str, list[Any]]) -> int:
    return max(map(len, columns.values()), default=1)


def _diagonal(columns: Mapping[str, list[Any]], row: int) -> Params:
    """Row 0 holds each column's first value, the last row each column's last, those between run through the rest."""
    last = _longest(columns) - 1
    return {key: column[-1] if row == last else column[min(row, len(column) - 1)] for key, column in columns.items()}
