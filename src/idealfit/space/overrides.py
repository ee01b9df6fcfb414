"""Between a space and the command line: which overrides are searched, and how a point is written as overrides."""

from __future__ import annotations

from collections.abc import Iterable

from hydra.core.override_parser.types import OverrideType, Sweep
from hydra.errors import HydraException

from idealfit.space.dimensions import literal
from idealfit.space.grammar import make_parser
from idealfit.spec import Params, SpaceError

PREFIX = "study.space."


def split_sweep(overrides: Iterable[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Tell plain overrides from searched ones.

    Args:
        overrides: As typed: `data.batch_size=32`, `model=mlp,cnn`, `model.dropout=interval(0,0.5)`.

    Returns:
        The plain ones unchanged (unreadable ones too: composing explains them), the entries that join `study.space`,
        and the keys that the plain ones fix: a fixed key is no longer searched.

    Raises:
        SpaceError: A key both searched and fixed, searched twice, or not changeable by a search.
    """
    plain: list[str] = []
    entries: dict[str, str] = {}
    fixed: list[str] = []
    parser = make_parser()
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except (HydraException, TypeError, ValueError, ArithmeticError):
            plain.append(text)
            continue
        key = override.key_or_group.removeprefix(PREFIX)
        if not isinstance(override.value(), Sweep):
            plain.append(text)
            is_entry = override.key_or_group.startswith(PREFIX)
            fixed += [key] if override.type == OverrideType.CHANGE and not is_entry else []
            continue
        if override.type != OverrideType.CHANGE or override.package is not None or override.is_hydra_override():
            raise SpaceError(f"{text!r} can't be searched: only a key of the config can, written as KEY=SWEEP.")
        if key in entries:
            raise SpaceError(f"{key} is searched twice: by {entries[key]!r} and by {text!r}.")
        entries[key] = text.partition("=")[2].strip()
    for key in fixed:
        if key in entries:
            raise SpaceError(f"{key} is both fixed and searched (by {entries[key]!r}). Keep one of the two.")
    return plain, entries, fixed


def to_overrides(params: Params) -> list[str]:
    """`params` as Hydra overrides, quoted where needed: `model.depth=3`, `model.activation='my act'`."""
    return [f"{key}={literal(value)}" for key, value in params.items()]
