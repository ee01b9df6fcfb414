"""Does a claim hold? Differences of means over seeds, with their intervals, and the words for them."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from docs.lectures.trials import SEED, Trial, by_repeat, metric_words, repeat_of
from scipy.stats import t as student

from idealfit.spec import StudyError

LEVEL = 0.95


class Verdict(StrEnum):
    """What the records say of a statement."""

    HOLDS = "holds"
    UNSETTLED = "not settled"
    FAILS = "does not hold"


class BestOf:
    """Stands for the one of its values that serves its side best, by the mean over seeds: a fair learning rate, say."""

    def __init__(self, *values: Any) -> None:
        self.values = values


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One statement that a study can settle: trials with the values `better` score higher than those with `worse`.

    Attributes:
        says: The statement, e.g. "at 8 layers ReLU beats sigmoid".
        better: Searched values, or a `BestOf`; other keys are averaged over.
        worse: The same, of the other side; empty: `threshold` is to be passed.
        metric: See `Trial.measure`.
        lower: Whether the lower value is the better one.
        threshold: A number from elsewhere, e.g. a published one.
    """

    says: str
    better: Mapping[str, Any] = field(default_factory=dict)
    worse: Mapping[str, Any] = field(default_factory=dict)
    metric: str = "best/val_accuracy"
    lower: bool = False
    threshold: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A statement, its verdict and the numbers behind it, in a sentence."""

    expectation: Expectation
    verdict: Verdict
    sentence: str


def judge(expectation: Expectation, trials: Sequence[Trial]) -> Judgement:
    """Compare both sides seed by seed: equal seeds mean equal images, so their difference says more than their means.

    Where the study's protocol has folds, these take the place of seeds.

    Raises:
        StudyError: A side has no trial, or the sides have other seeds.
    """
    chosen, better = _side(expectation, expectation.better, trials)
    rival, worse = "", dict.fromkeys(better, expectation.threshold or 0.0)
    if expectation.threshold is None:
        rival, worse = _side(expectation, expectation.worse, trials)
    choices = " against ".join(filter(None, (chosen, rival)))
    choices = f" at {choices}" if choices else ""
    if better.keys() != worse.keys():
        raise StudyError(f"{expectation.says}: the sides were run with other seeds: {sorted(better)}, {sorted(worse)}")
    if any(map(math.isnan, [*better.values(), *worse.values()])):
        return _diverged(expectation, better, worse, choices)
    sign = -1.0 if expectation.lower else 1.0
    gains = [sign * (better[seed] - worse[seed]) for seed in better]
    mean, half = statistics.fmean(gains), _half_width(gains)
    verdict = Verdict.HOLDS if mean > half else Verdict.FAILS if mean < -half else Verdict.UNSETTLED
    sides = " against ".join(f"{statistics.fmean(side.values()):.4g}" for side in (better, worse))
    low, high = sorted((sign * (mean - half), sign * (mean + half)))
    interval = (
        f"difference {sign * mean:+.4f}, 95 % interval {low:+.4f} to {high:+.4f} over {len(gains)} {_kind(trials)}s"
    )
    sentence = f"{metric_words(expectation.metric)} {sides}{choices}; {interval}"
    return Judgement(expectation=expectation, verdict=verdict, sentence=sentence)


def overall(judgements: Sequence[Judgement]) -> str:
    """The verdict on a claim of several statements, in words."""
    counts = {verdict: sum(each.verdict is verdict for each in judgements) for verdict in Verdict}
    total = len(judgements)
    for verdict, words in (
        (Verdict.HOLDS, "Holds"),
        (Verdict.UNSETTLED, "Not settled by these runs"),
        (Verdict.FAILS, "Does not hold"),
    ):
        if counts[verdict] == total:
            return words
    if counts[Verdict.HOLDS]:
        return f"Holds in part: {counts[Verdict.HOLDS]} of {total} statements"
    return f"Does not hold in {counts[Verdict.FAILS]} of {total} statements, the rest not settled"


def _side(expectation: Expectation, values: Mapping[str, Any], trials: Sequence[Trial]) -> tuple[str, dict[int, float]]:
    """What was chosen of each `BestOf`, in words, and the values by seed."""
    free = {key: value.values for key, value in values.items() if isinstance(value, BestOf)}
    found = {}
    for combination in itertools.product(*free.values()):
        choice = dict(zip(free, combination, strict=True))
        found[", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in choice.items())] = _measured(
            expectation, {**values, **choice}, trials
        )
    sign = -1.0 if expectation.lower else 1.0
    return max(found.items(), key=lambda item: _finite_mean(item[1].values(), sign))


def _measured(expectation: Expectation, values: Mapping[str, Any], trials: Sequence[Trial]) -> dict[int, float]:
    found = by_repeat((trial for trial in trials if trial.matches(values)), expectation.metric)
    if len(found) < 2:
        raise StudyError(
            f"{expectation.says}: {len(found)} {_kind(trials)}s have {dict(values)}, and two are the least to compare"
        )
    return found


def _finite_mean(values: Iterable[float], sign: float) -> float:
    """The mean as far as more is better; of what diverged, less than anything."""
    mean = sign * statistics.fmean(values)
    return -math.inf if math.isnan(mean) else mean


def _kind(trials: Sequence[Trial]) -> str:
    return repeat_of(trials[0].params)[0] if trials else SEED


def _half_width(values: Sequence[float]) -> float:
    """Of the confidence interval of the mean, by Student's t."""
    quantile = float(student.ppf((1 + LEVEL) / 2, len(values) - 1))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def _diverged(
    expectation: Expectation, better: Mapping[int, float], worse: Mapping[int, float], choices: str
) -> Judgement:
    """A loss that ran away is worse than any number."""
    lost, won = (sum(map(math.isnan, side.values())) for side in (better, worse))
    verdict = Verdict.HOLDS if lost == 0 and won == len(worse) else Verdict.FAILS if lost > won else Verdict.UNSETTLED
    sentence = f"diverged: {lost} of {len(better)} runs against {won} of {len(worse)}{choices}"
    return Judgement(expectation=expectation, verdict=verdict, sentence=sentence)
