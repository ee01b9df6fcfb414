"""From one entry of a space (a string in Hydra's sweep grammar, or a YAML list) to a dimension."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from hydra._internal.grammar import grammar_functions
from hydra._internal.grammar.functions import Functions
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, QuotedString, RangeSweep, Sweep
from hydra.errors import HydraException

from idealfit.space.dimensions import Choice, Dimension, Integers, Interval, Value, steps
from idealfit.spec import SpaceError, nearest

MAX_FLOAT, MAX_INT = 1e100, 2**50  # beyond these, samplers overflow or skip points
HOW = "Write interval(a,b), tag(log,interval(a,b)), range(a,b) or choice(x,y)."


def make_parser() -> OverridesParser:
    """Hydra's parser, without what means nothing in a space (`shuffle`, `glob`), and with `null` as a choice."""
    functions = Functions()
    for name in ("int", "float", "str", "bool"):
        functions.register(name, getattr(grammar_functions, f"cast_{name}"))
    for name in ("interval", "range", "tag", "sort"):
        functions.register(name, getattr(grammar_functions, name))
    functions.register("choice", lambda *options: ChoiceSweep(list=list(options)))
    return OverridesParser(functions)


def parse_dimension(key: str, entry: Any) -> Dimension:
    """Read one entry.

    Args:
        key: The searched key, for messages.
        entry: A string in Hydra's sweep grammar, or a list of values.

    Raises:
        SpaceError: Unreadable, empty or contradictory.
    """
    if isinstance(entry, list | tuple):
        return _choice(key, entry)
    if not isinstance(entry, str):
        raise SpaceError(f"study.space.{key}: {entry!r} is a single value, nothing to search. {_fix(key, entry)}")
    sweep = _parse(key, entry)
    if not isinstance(sweep, Sweep):
        raise SpaceError(f"study.space.{key}: {entry!r} is a single value, nothing to search. {_fix(key, entry)}")
    log = _is_log(key, entry, sweep)
    if isinstance(sweep, IntervalSweep):
        return _interval(key, entry, sweep, log)
    if isinstance(sweep, RangeSweep):
        return _range(key, entry, sweep, log)
    if log:
        raise SpaceError(f"study.space.{key}: {entry!r}: a choice has no scale, so it can't be log. Remove the tag.")
    return _choice(key, cast(ChoiceSweep, sweep).list)


def _parse(key: str, entry: str) -> Any:
    try:
        return make_parser().parse_rule(entry.strip(), "value")
    except (HydraException, TypeError, ValueError, ArithmeticError) as error:
        name, brace, _ = entry.partition("(")
        valid = ("interval", "range", "choice", "tag", "int", "float", "str", "bool", "sort")
        if brace and name.strip() not in valid:
            reason = f"there is no {name.strip()!r}. {nearest(name.strip(), valid)}"
        else:
            reason = f"{_reason(error)}."
        raise SpaceError(f"study.space.{key}: can't read {entry!r}: {reason} {HOW}") from error


def _reason(error: BaseException) -> str:
    """Hydra's reason, without its words for its own parts."""
    cause = error.__cause__
    text = str(cause if isinstance(cause, TypeError | ValueError | ArithmeticError) else error).partition("\n")[0]
    if not text or "<EOF>" in text or "no viable alternative" in text:
        return "it stops too early"
    mismatch = re.match(r"mismatch type argument (\S+): (\w+)", text)
    return f"its {mismatch[1]} can't be a {mismatch[2]}" if mismatch else text


def _is_log(key: str, entry: str, sweep: Sweep) -> bool:
    for tag in sorted(sweep.tags - {"log"}):
        raise SpaceError(f"study.space.{key}: {entry!r} has an unknown tag {tag!r}. {nearest(tag, ['log'])}")
    return "log" in sweep.tags


def _interval(key: str, entry: str, sweep: IntervalSweep, log: bool) -> Dimension:
    low, high = cast(float, sweep.start), cast(float, sweep.end)
    _check_size(key, entry, low, high)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SpaceError(f"study.space.{key}: both ends of {entry!r} must be finite.")
    if low >= high:
        raise SpaceError(
            f"study.space.{key}: {entry!r} is empty: its lower end {low:g} must be below its upper end {high:g}."
        )
    _check_log(key, entry, low, log)
    if isinstance(low, int) and isinstance(high, int):
        return Integers(low, high, log=log)
    return Interval(float(low), float(high), log)


def _range(key: str, entry: str, sweep: RangeSweep, log: bool) -> Dimension:
    start, stop, step = cast(float, sweep.start), cast(float, sweep.stop), sweep.step
    _check_size(key, entry, start, stop, step)
    if not all(math.isfinite(x) for x in (start, stop, step)) or step == 0:
        raise SpaceError(f"study.space.{key}: {entry!r} needs finite ends and a step other than 0.")
    if (stop - start) / step > MAX_INT:
        raise SpaceError(f"study.space.{key}: {entry!r} has too many steps. Use interval(a,b).")
    empty = SpaceError(
        f"study.space.{key}: {entry!r} is empty: no value from {start:g} in steps of {step:g} lies before {stop:g}."
    )
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        points = range(start, stop, step)
        if not points:
            raise empty
        low, high = sorted((points[0], points[-1]))
        _check_log(key, entry, low, log)
        if log and abs(step) != 1:
            raise SpaceError(f"study.space.{key}: {entry!r}: a log scale allows no step but 1.")
        return Integers(low, high, abs(step), log)
    if log:
        raise SpaceError(
            f"study.space.{key}: {entry!r}: floats on a log scale have no step. Use tag(log,interval(a,b))."
        )
    dimension = steps(*(Decimal(repr(x)) for x in (start, stop, step)))
    if dimension is None:
        raise empty
    return dimension


def _check_size(key: str, entry: str, *numbers: float) -> None:
    for number in numbers:
        if (MAX_INT if isinstance(number, int) else MAX_FLOAT) < abs(number) < math.inf:
            raise SpaceError(f"study.space.{key}: a number of {entry!r} is too large to be searched.")


def _check_log(key: str, entry: str, low: float, log: bool) -> None:
    if log and low <= 0:
        raise SpaceError(f"study.space.{key}: {entry!r}: a log scale must start above 0, got {low:g}. Use e.g. 1e-5.")


def _choice(key: str, raw: Sequence[Any]) -> Choice:
    options: list[Value] = []
    for item in raw:
        option = item.text if isinstance(item, QuotedString) else item
        if option is not None and not isinstance(option, bool | int | float | str):
            kind = "another sweep" if isinstance(option, Sweep) else repr(option)
            raise SpaceError(f"study.space.{key}: a choice holds single values, not {kind}.")
        if isinstance(option, float) and not math.isfinite(option):
            raise SpaceError(f"study.space.{key}: {option} is no value to choose.")
        if option in options:  # also 1 and true and 1.0: Optuna can't tell them apart
            raise SpaceError(f"study.space.{key}: {option!r} is named twice.")
        options.append(option)
    if not options:
        raise SpaceError(f"study.space.{key}: the choice is empty. Name the values: choice(x,y).")
    return Choice(tuple(options))


def _fix(key: str, entry: Any) -> str:
    if isinstance(entry, str | bool | int | float):
        return f"{HOW} To fix the value, use `{key}={entry}` instead."
    return HOW
