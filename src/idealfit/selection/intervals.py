"""Confidence intervals: of a mean over seeds, of the mean that was chosen as the best, of a share of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import NamedTuple

LEVEL = 0.95


class Interval(NamedTuple):
    """From `low` to `high`."""

    low: float
    high: float


def mean_interval(scores: Sequence[float], *, chosen_of: int = 1, maximize: bool = True, step: float = 0.0) -> Interval:
    """The 95 % confidence interval of the mean that endless seeds would give, by Student's t.

    The mean that was chosen as the best of several is likelier too good than too bad. Its interval spends the 5 % so:
    a `chosen_of`-th of them on the side where the truth is worse, for any of the candidates may have been lucky, and
    the rest on the other. It covers at least 95 % whatever the true means are, and is the usual one for 1 and for 2.

    Args:
        scores: One for each seed, at least 2.
        chosen_of: From how many candidates this one was chosen for its mean.
        maximize: Whether more is better.
        step: The smallest step between two scores, e.g. 1 / number of images: no spread below its rounding is believed.
    """
    from scipy.stats import t

    mean, count = fmean(scores), len(scores)
    error = math.sqrt(max(variance(scores), step**2 / 12) / count)
    miss = 1 - LEVEL
    worse = miss / max(2, chosen_of)
    to_worse, to_better = (float(t.isf(tail, count - 1)) * error for tail in (worse, miss - worse))
    return Interval(mean - to_worse, mean + to_better) if maximize else Interval(mean - to_better, mean + to_worse)


def share_interval(hits: int, count: int) -> Interval:
    """The 95 % confidence interval of a share, e.g. of images that are classified right (Wilson 1927).

    Args:
        hits: How many are.
        count: Of how many, at least 1.
    """
    from scipy.stats import norm

    z = float(norm.isf((1 - LEVEL) / 2))
    share, scale = hits / count, 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
