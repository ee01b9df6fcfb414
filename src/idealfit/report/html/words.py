"""How the report writes names and numbers: one place, so that a sentence, a table and an axis agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from idealfit.study.outcome import TrialRow

_PARTS = {"train": "training", "val": "validation", "test": "test"}
_FRACTIONS = ("accuracy", "f1", "auc", "precision", "recall", "exact_match")


def is_fraction(metric: str) -> bool:
    """Whether a metric lies between 0 and 1 and reads best in percent."""
    return metric.rsplit("/", 1)[-1].lower().endswith(_FRACTIONS)


def metric_label(metric: str) -> str:
    """`val/top5_accuracy` -> `validation top-5 accuracy`."""
    part, _, rest = metric.rpartition("/")
    rest = rest.replace("top5", "top-5").replace("_", " ")
    return f"{_PARTS.get(part, part)} {rest}".strip()


def number(value: float | None, digits: int = 3) -> str:
    """`value` with `digits` significant digits and no more signs than needed: 0.0031, 1e-05, 1,204."""
    try:
        value = None if value is None else float(value)
    except OverflowError:
        return f"{str(value)[:digits]}..."
    if value is None or not math.isfinite(value):
        return "-"
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    if abs(value) >= 10**digits and abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def score(value: float | None, metric: str) -> str:
    """A metric's value as people say it: `98.2 %` for a fraction, else four significant digits."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{100 * value:.2f} %" if is_fraction(metric) else number(value, 4)


def spread(row: TrialRow, metric: str) -> str:
    """A trial's score; of several rounds mean and standard deviation: `98.21 ± 0.34 % over 5 folds`."""
    if row.value is None or row.std is None or not math.isfinite(row.value):
        return score(row.value, metric)
    text = f"{100 * row.value:.2f} ± {100 * row.std:.2f} %" if is_fraction(metric) else None
    return f"{text or f'{number(row.value, 4)} ± {number(row.std, 2)}'} over {row.rounds}"


def difference(value: float | None, metric: str) -> str:
    """A difference of two values of a metric: `1.3 points` (of percent) for a fraction."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{100 * value:.1f} points" if is_fraction(metric) else number(value, 3)


def duration(seconds: float) -> str:
    """`0.4 s`, `58 s`, `2 min 11 s`, `12 min`, `3 h 20 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{round(seconds) // 60} min {round(seconds) % 60} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60} min" if minutes < 6000 else f"{minutes // 60:,} h"


def percent(share: float) -> str:
    """A share in whole percent; never 0 % or 100 % of what is only nearly so."""
    rounded = round(100 * share)
    if rounded == 0 and share > 0:
        return "under 1 %"
    if rounded == 100 and share < 1:
        return "over 99 %"
    return f"{rounded} %"


def value_text(value: Any) -> str:
    """A searched value as written in a sentence or a cell."""
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "null"
    return number(value) if isinstance(value, int | float) else str(value)


def count(amount: int, noun: str) -> str:
    """`1 trial`, `1,000 trials`."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def listing(items: Sequence[str], limit: int = 8) -> str:
    """`a, b and c`; of more than `limit`, the first and how many are left out."""
    items = list(items)
    if len(items) > limit:
        return f"{', '.join(items[:limit])} and {len(items) - limit:,} more"
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def upper_first(sentence: str) -> str:
    """The sentence with a capital letter in front."""
    return sentence[:1].upper() + sentence[1:]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each dotted key where that is unambiguous, else the key."""
    last = [key.rsplit(".", 1)[-1] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}
