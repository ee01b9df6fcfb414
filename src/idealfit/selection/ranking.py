"""The best of several candidates, tested against all others: who is beaten, who can't be told apart, which to take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, variance

from idealfit.selection.intervals import LEVEL, Interval, mean_interval


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A configuration and its scores.

    Attributes:
        scores: One for each seed, in the same order for all candidates.
        size: Parameters of its network; None where nobody counted.
    """

    name: str
    scores: tuple[float, ...]
    size: int | None = None

    @property
    def mean(self) -> float:
        """Over seeds."""
        return fmean(self.scores)


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another candidate, as the best one meets it.

    Attributes:
        lead: By how much the best one's mean is better.
        p: Of a paired t-test on the seeds, two-sided.
        corrected: The same after Holm's correction for all pairs of candidates.
    """

    name: str
    lead: float
    p: float
    corrected: float

    @property
    def is_beaten(self) -> bool:
        """Whether chance alone hardly explains the lead."""
        return self.lead > 0 and self.corrected <= 1 - LEVEL


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the scores say.

    Attributes:
        ranked: All candidates, best mean first.
        intervals: Of their means, in the same order; the first one's counts that it was chosen.
        rivals: All but the best, in the same order.
        choice: Which to take: the best, or a smaller one that can't be told from it.
    """

    ranked: tuple[Candidate, ...]
    intervals: tuple[Interval, ...]
    rivals: tuple[Rival, ...]
    choice: Candidate

    @property
    def best(self) -> Candidate:
        """The highest mean (the lowest where less is better)."""
        return self.ranked[0]

    def rival(self, name: str) -> Rival | None:
        """The rival of that name; None for the best itself."""
        return next((rival for rival in self.rivals if rival.name == name), None)


def judge(candidates: Sequence[Candidate], *, maximize: bool = True, step: float = 0.0) -> Verdict:
    """Rank candidates by their means, and test the best one against every other.

    Saying of any rival that it is beaten though it is as good or better happens in at most 5 % of all judgements. The
    best is picked by the same scores that it is tested on, so that any pair could have become the one that is told:
    the two-sided tests are corrected by Holm (1979) for all pairs of candidates, not for the rivals alone, which would
    be wrong in 7 % where all are equal (`benchmarks/statistics.py`).

    Args:
        candidates: At least one, each with a score for the same 2 or more seeds.
        maximize: Whether more is better.
        step: As for `mean_interval`.
    """
    sign = 1.0 if maximize else -1.0
    ranked = tuple(sorted(candidates, key=lambda candidate: -sign * candidate.mean))
    best, *others = ranked
    pairs = list(combinations(ranked, 2))  # those of the best come first
    tests = [paired_p(one.scores, other.scores, step=step) for one, other in pairs]
    rivals = tuple(
        Rival(name=other.name, lead=sign * (best.mean - other.mean), p=p, corrected=corrected)
        for other, p, corrected in zip(others, tests, holm(tests), strict=False)
    )
    intervals = tuple(
        mean_interval(each.scores, chosen_of=1 if place else len(ranked), maximize=maximize, step=step)
        for place, each in enumerate(ranked)
    )
    return Verdict(
        ranked=ranked, intervals=intervals, rivals=rivals, choice=_choice(ranked, rivals, intervals[0], maximize)
    )


def paired_p(one: Sequence[float], other: Sequence[float], *, step: float = 0.0) -> float:
    """How often chance alone would set the means of paired scores so far apart: Student's t-test, two-sided."""
    from scipy.stats import t

    differences = [a - b for a, b in zip(one, other, strict=True)]
    if not any(differences):
        return 1.0
    # Each score is rounded to a multiple of `step`, which spreads it by step / sqrt(12); a difference has two of them.
    spread = max(variance(differences), step**2 / 6)
    error = math.sqrt(spread / len(differences))
    return 2 * float(t.sf(abs(fmean(differences)) / error, len(differences) - 1)) if error else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values, corrected: a false discovery among all of them is as rare as in a single test (Holm 1979)."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = largest
    return corrected


def _choice(ranked: Sequence[Candidate], rivals: Sequence[Rival], interval: Interval, maximize: bool) -> Candidate:
    """The smallest of those that can't be told from the best and whose mean lies in its interval; else the best.

    The second rule keeps a candidate out that is clearly worse, but too unsteady to be beaten by a test on few seeds.
    """
    best = ranked[0]
    if best.size is None:
        return best
    choice = best
    for other, rival in zip(ranked[1:], rivals, strict=True):
        is_near = other.mean >= interval.low if maximize else other.mean <= interval.high
        if not rival.is_beaten and is_near and other.size is not None and other.size < (choice.size or 0):
            choice = other
    return choice
