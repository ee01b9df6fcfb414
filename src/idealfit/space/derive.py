"""Values that follow from others: `scheduler.max_lr: "10 * optimizer.lr"`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from idealfit.space.entries import flatten_entries
from idealfit.space.expressions import Expression
from idealfit.space.reading import SEARCHABLE, find_circle
from idealfit.spec import JSON, Params, SpaceError, nearest


@dataclass(frozen=True)
class Derivation:
    """`study.derive`: in an order in which each value can be computed."""

    expressions: Mapping[str, Expression]

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, searched: Iterable[str] = ()) -> Derivation:
        """Read it.

        Args:
            raw: Dotted keys and arithmetic over keys of the config.
            searched: Keys that a search sets: they can't be derived too.

        Raises:
            SpaceError: No arithmetic, a key that is searched, or values that depend on each other in a circle.
        """
        taken = set(searched)
        expressions: dict[str, Expression] = {}
        for key, entry in flatten_entries(raw):
            where = f"study.derive.{key}"
            if isinstance(entry, bool) or not isinstance(entry, str | int | float):
                raise SpaceError(f"{where} must be arithmetic over keys, e.g. 10 * optimizer.lr, got {entry!r}.")
            if key.partition(".")[0] not in SEARCHABLE:
                hint = nearest(key.partition(".")[0], SEARCHABLE)
                raise SpaceError(f"study.derive: {key!r} does not change a training run. {hint}".strip())
            if key in taken:
                raise SpaceError(f"{where}: {key} is searched, so it can't be derived too. Remove one of the two.")
            expressions[key] = Expression(str(entry), where)
        needs = {key: [n for n in each.names if n in expressions] for key, each in expressions.items()}
        for key in expressions:
            if circle := find_circle(needs, key):
                raise SpaceError(f"study.derive: these depend on each other in a circle: {' -> '.join(circle)}.")
        order: list[str] = []
        while len(order) < len(expressions):
            order += [key for key in expressions if key not in order and set(needs[key]) <= set(order)]
        return cls({key: expressions[key] for key in order})

    def values(self, config: Mapping[str, Any]) -> Params:
        """What they come to in one trial; keys that its config does not have are left out.

        Args:
            config: The trial's config as dotted keys.

        Raises:
            SpaceError: An expression names what the config does not have, or cannot be computed.
        """
        known = dict(config)
        derived: Params = {}
        for key, expression in self.expressions.items():
            if key not in config:
                continue
            for name in expression.names:
                if name not in known:
                    hint = nearest(name, known)
                    raise SpaceError(f"{expression.where} names {name}, and there is no such key. {hint}".strip())
            value = expression.value(known)
            derived[key] = known[key] = _as(type(config[key]), value)
        return derived

    def check(self, configs: Iterable[Mapping[str, Any]]) -> None:
        """Refuse a key that no config has.

        Raises:
            SpaceError: There is one.
        """
        known = {key for config in configs for key in config}
        for key in self.expressions:
            if key not in known:
                raise SpaceError(f"study.derive: there is no key {key!r}. {nearest(key, known)}".strip())

    def to_json(self) -> JSON:
        """Canonical form."""
        return {key: expression.text for key, expression in self.expressions.items()}


def _as(kind: Callable[..., Any], value: float) -> float:
    """Whole numbers where the config has one: `64 / 2` is 32."""
    return int(value) if kind is int and float(value).is_integer() else value
