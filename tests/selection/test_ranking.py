"""Intervals and tests against scipy's own, and the whole judgement on simulated studies whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.statistics import SCENARIOS, simulate
from scipy import stats

from idealfit.selection import Candidate, holm, judge, mean_interval, paired_p, share_interval

A = (0.971, 0.975, 0.969, 0.974, 0.972)
B = (0.962, 0.968, 0.961, 0.963, 0.966)


def candidate(name: str, scores: tuple[float, ...], size: int | None = None) -> Candidate:
    return Candidate(name=name, scores=scores, size=size)


def test_a_single_mean_has_the_interval_of_students_t() -> None:
    expected = stats.t.interval(0.95, len(A) - 1, loc=np.mean(A), scale=stats.sem(A))
    assert mean_interval(A) == pytest.approx(expected)


def test_a_mean_that_was_chosen_of_four_may_be_worse_by_more_than_better() -> None:
    low, high = mean_interval(A, chosen_of=4)
    mean = float(np.mean(A))
    assert mean - low > high - mean > 0
    mirrored = mean_interval(tuple(-score for score in A), chosen_of=4, maximize=False)
    assert mirrored == pytest.approx((-high, -low))


def test_a_share_has_wilsons_interval() -> None:
    expected = stats.binomtest(351, 360).proportion_ci(method="wilson")
    assert share_interval(351, 360) == pytest.approx((expected.low, expected.high))
    assert share_interval(360, 360)[1] == pytest.approx(1.0)


def test_pairs_are_tested_as_scipy_does() -> None:
    assert paired_p(A, B) == pytest.approx(stats.ttest_rel(A, B).pvalue)
    assert paired_p(A, A) == 1.0


def test_holm_multiplies_the_smallest_by_most_and_never_lowers() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_two_seeds_that_differ_by_the_same_image_prove_nothing() -> None:
    one, other = (0.9722, 0.9757), (0.9687, 0.9722)  # one of 288 images each
    assert paired_p(one, other) < 0.001  # a spread of 0 would be believed
    assert paired_p(one, other, step=1 / 288) > 0.1


def test_a_smaller_one_that_cannot_be_told_apart_is_taken() -> None:
    close = tuple(a + d for a, d in zip(A, (-0.001, 0.001, -0.001, 0.0005, -0.0005), strict=True))
    verdict = judge([candidate("large", A, 9000), candidate("small", close, 300), candidate("worse", B, 100)])
    assert (verdict.best.name, verdict.choice.name) == ("large", "small")
    beaten = {rival.name: rival.is_beaten for rival in verdict.rivals}
    assert beaten == {"small": False, "worse": True}


def test_a_smaller_one_whose_mean_is_clearly_lower_is_not_taken_for_being_unsteady() -> None:
    unsteady = (0.91, 0.975, 0.85, 0.97, 0.93)
    verdict = judge([candidate("large", A, 9000), candidate("unsteady", unsteady, 300)])
    assert not verdict.rivals[0].is_beaten
    assert verdict.choice.name == "large"


def test_of_losses_the_lowest_is_best() -> None:
    verdict = judge([candidate("a", A), candidate("b", B)], maximize=False)
    assert verdict.best.name == "b"
    assert verdict.rivals[0].lead > 0
    assert verdict.rivals[0].is_beaten


@pytest.mark.parametrize("name", ["all equal", "one clearly better", "all equal, 288 images"])
def test_what_is_stated_is_true_of_simulated_studies(name: str) -> None:
    """The full check, 1,000 studies a scenario, is `python -m benchmarks statistics`; here the seed is fixed."""
    found = simulate(SCENARIOS[name], 200, np.random.default_rng(0))
    assert 92 <= found["coverage_percent"] <= 98
    assert found["false_better_percent"] <= 5
    if name == "one clearly better":
        assert found["true_better_found_percent"] > 95
    else:
        assert found["false_better_uncorrected_percent"] > 10  # without the correction it would not be true
