"""What one parameter changes, by pairs of trials that are alike in everything else that was searched.

A search draws its points where it likes, so the mean of all trials with a high dropout compares learning rates too.
Here each trial of one side is paired with its nearest on the other side, at most `CALIPER` of the range away along
every other parameter (matching within a caliper: Rosenbaum and Rubin, 1985). Differences within pairs get a t-interval.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from idealfit.report.html import words
from idealfit.report.html.dimensions import Dimension, is_number
from idealfit.selection import holm, mean_interval, paired_p
from idealfit.spec import Params
from idealfit.study.outcome import TrialRow

CALIPER = 0.25  # of the range of each other parameter; a wider one compares what differs, a narrower one finds no pairs
BALANCE = 0.08  # of the range: how far the two sides may differ in another parameter on average
MIN_PAIRS = 5  # an interval from fewer is too wide to say anything, and too easily wrong
MAX_TRIALS = 300  # spread evenly over the study: pairs cost the square
FEW_VALUES = 4  # a parameter of so few is split at each of them, of more at the median
LEVEL = 0.05  # of being wrong anywhere, in all effects of a study together
Outcome = Literal["score", "gap"]
OUTCOMES: tuple[Outcome, ...] = ("score", "gap")
Pair = tuple[TrialRow, TrialRow]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The mean difference within pairs, from `other` to `side`, with its 95 % interval.

    Attributes:
        side: Values on this side, as text: `0.31 to 0.58`.
        is_ordered: Whether `side` holds the higher numbers; else they are categories.
        trials: On this side, in the order of `others`, with which they are paired.
        p: Probability of such a mean where the parameter changes nothing.
    """

    key: str
    outcome: Outcome
    side: str
    other: str
    mean: float
    low: float
    high: float
    trials: tuple[int, ...]
    others: tuple[int, ...]
    p: float
    is_ordered: bool


def effects_of(rows: Sequence[TrialRow], keys: Sequence[str], dimensions: Sequence[Dimension]) -> list[list[Effect]]:
    """By split of a parameter, its effects on score and gap; every one that could be computed.

    Args:
        rows: Complete trials with a score, best first.
        keys: The parameters to look at.
        dimensions: Everything that was searched.
    """
    rows = rows[:: math.ceil(len(rows) / MAX_TRIALS) or 1]
    found = []
    for dimension in dimensions:
        if dimension.key not in keys:
            continue
        having = [row for row in rows if dimension.key in row.params]
        rest = [other for other in dimensions if other.key != dimension.key]
        for low, high in _splits(having, dimension):
            pairs = match(high, low, rest)
            if not is_balanced(pairs, rest):
                continue
            both = [effect for outcome in OUTCOMES if (effect := _effect(dimension, outcome, pairs))]
            if both:
                found.append(both)
    return found


def beyond_chance(effects: Sequence[Effect]) -> set[Effect]:
    """Those that are real at `LEVEL`, corrected for how many were looked at."""
    corrected = holm([effect.p for effect in effects])
    return {effect for effect, p in zip(effects, corrected, strict=True) if p <= LEVEL}


def match(some: Sequence[TrialRow], others: Sequence[TrialRow], dimensions: Sequence[Dimension]) -> list[Pair]:
    """Pairs of trials that are alike along `dimensions`, the nearest first, each trial in one pair at most."""
    near = sorted(
        (gap, a.number, b.number, a, b)
        for a in some
        for b in others
        if (gap := _distance(a.params, b.params, dimensions)) <= CALIPER
    )
    taken: set[int] = set()
    pairs = []
    for _, one, other, a, b in near:
        if not taken & {one, other}:
            taken |= {one, other}
            pairs.append((a, b))
    return pairs


def is_balanced(pairs: Sequence[Pair], dimensions: Sequence[Dimension]) -> bool:
    """Whether neither side has higher values of something else on average, which might make the difference."""
    for dimension in dimensions:
        values = [(a.params.get(dimension.key), b.params.get(dimension.key)) for a, b in pairs]
        gaps = [
            dimension.position(one) - dimension.position(other)  # type: ignore[arg-type]  # is_number says so
            for one, other in values
            if dimension.kind == "number" and is_number(one) and is_number(other)
        ]
        if gaps and abs(statistics.fmean(gaps)) > BALANCE:
            return False
    return True


def _distance(a: Params, b: Params, dimensions: Sequence[Dimension]) -> float:
    """The largest difference along one of `dimensions`, as a share of its range; infinite between other categories."""
    largest = 0.0
    for dimension in dimensions:
        one, other = a.get(dimension.key), b.get(dimension.key)
        if one == other and (dimension.key in a) == (dimension.key in b):
            continue
        if dimension.kind != "number" or not (is_number(one) and is_number(other)):
            return math.inf
        gap = abs(dimension.position(one) - dimension.position(other))  # type: ignore[arg-type]  # is_number says so
        if gap > CALIPER:
            return math.inf
        largest = max(largest, gap)
    return largest


def _splits(rows: Sequence[TrialRow], dimension: Dimension) -> Iterator[tuple[list[TrialRow], list[TrialRow]]]:
    """Low and high values of a number; of categories, each other one against the best trial's."""
    values = [row.params[dimension.key] for row in rows]
    if dimension.kind == "number" and all(map(is_number, values)):
        distinct = sorted({float(value) for value in values if is_number(value)})  # type: ignore[arg-type]
        cuts = distinct[1:] if len(distinct) <= FEW_VALUES else [statistics.median_high(sorted(values))]  # type: ignore
        for cut in cuts:
            low = [row for row, value in zip(rows, values, strict=True) if value < cut]  # type: ignore[operator]
            yield low, [row for row, value in zip(rows, values, strict=True) if value >= cut]  # type: ignore[operator]
        return
    for other in sorted(set(values) - {values[0]}, key=str) if values else ():
        yield (
            [row for row, value in zip(rows, values, strict=True) if value == other],
            [row for row, value in zip(rows, values, strict=True) if value == values[0]],
        )


def _effect(dimension: Dimension, outcome: Outcome, pairs: Sequence[Pair]) -> Effect | None:
    """None where too few pairs tell, or all of them the same: then nobody knows the noise."""
    told = [(a, b, _value(a, outcome), _value(b, outcome)) for a, b in pairs]
    known = [(a, b, one, other) for a, b, one, other in told if one is not None and other is not None]
    differences = [one - other for _, _, one, other in known]
    if len(known) < MIN_PAIRS or max(differences) - min(differences) < 1e-12:
        return None
    key, interval = dimension.key, mean_interval(differences)
    return Effect(
        key=key,
        outcome=outcome,
        side=_span([a.params[key] for a, *_ in known]),
        other=_span([b.params[key] for _, b, *_ in known]),
        mean=statistics.fmean(differences),
        low=interval.low,
        high=interval.high,
        trials=tuple(a.number for a, *_ in known),
        others=tuple(b.number for _, b, *_ in known),
        p=paired_p([one for _, _, one, _ in known], [other for *_, other in known]),
        is_ordered=dimension.kind == "number",
    )


def _value(row: TrialRow, outcome: Outcome) -> float | None:
    value = row.value if outcome == "score" else row.gap
    return value if value is not None and math.isfinite(value) else None


def _span(values: Sequence[Any]) -> str:
    """`0.31 to 0.58`, or the one value."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) == 1 or not all(map(is_number, distinct)):
        return words.listing([words.value_text(value) for value in distinct])
    return f"{words.number(min(distinct))} to {words.number(max(distinct))}"
