"""The verdict over two sets of curves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idealfit.reproduce import Tolerance, compare_curves, first_deviation

THEN = {
    "train/loss": [1.0, 0.5, 0.25],
    "val/loss": [1.1, 0.7, 0.6],
    "val/accuracy": [0.5, 0.75, 0.8],
    "epoch_seconds": [1.0, 1.0, 1.0],
    "samples_per_second": [100.0, 100.0, 100.0],
}
NAN, INF = math.nan, math.inf

CURVES = st.dictionaries(
    st.sampled_from(["train/loss", "val/loss", "val/accuracy", "lr"]),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=5),
    min_size=1,
)


@given(CURVES)
def test_anything_is_identical_to_itself(curves: dict[str, list[float]]) -> None:
    assert compare_curves(curves, {name: list(curve) for name, curve in curves.items()}).kind == "identical"
    assert first_deviation(curves, curves) is None


@given(CURVES, CURVES)
def test_any_two_get_a_verdict_that_fits_its_parts(then: dict[str, list[float]], now: dict[str, list[float]]) -> None:
    verdict = compare_curves(then, now)
    assert (verdict.kind == "different") == bool(verdict.first or verdict.obstacles)
    assert (verdict.kind == "identical") == (not verdict.largest and not verdict.obstacles)


def test_timings_do_not_count() -> None:
    verdict = compare_curves(THEN, THEN | {"epoch_seconds": [9.0, 9.0, 9.0], "samples_per_second": [1.0]})
    assert (verdict.kind, verdict.exit_code) == ("identical", 0)
    assert (verdict.num_epochs, verdict.metrics) == (3, ("train/loss", "val/loss", "val/accuracy"))


def test_one_bit_is_not_identical() -> None:
    verdict = compare_curves(THEN, THEN | {"val/loss": [1.1, math.nextafter(0.7, 1), 0.6]})
    assert (verdict.kind, verdict.exit_code) == ("equivalent", 0)
    assert verdict.largest is not None
    assert (verdict.largest.metric, verdict.largest.epoch) == ("val/loss", 1)
    assert compare_curves({"loss": [0.0]}, {"loss": [-0.0]}).kind == "equivalent"


def test_equivalent_names_the_largest_deviation_for_the_tolerance() -> None:
    now = THEN | {"train/loss": [1.0, 0.504, 0.25], "val/accuracy": [0.5, 0.75, 0.806]}
    verdict = compare_curves(THEN, now, Tolerance(relative=0.0, absolute=0.01))
    assert verdict.kind == "equivalent"
    assert verdict.largest is not None
    assert (verdict.largest.metric, verdict.largest.epoch) == ("val/accuracy", 2)
    assert verdict.largest.absolute == pytest.approx(0.006)
    assert verdict.tolerance.absolute == 0.01


def test_different_names_where_it_leaves_the_tolerance_first() -> None:
    now = {
        "val/accuracy": [0.5, 0.9, 0.8],
        "val/loss": [1.1, 0.9, 0.6],
        "train/loss": [1.0, 0.501, 9.0],
    }
    verdict = compare_curves(THEN, now)
    assert (verdict.kind, verdict.exit_code) == ("different", 1)
    assert verdict.first is not None
    assert (verdict.first.metric, verdict.first.epoch) == ("val/loss", 1)
    assert verdict.largest is not None
    assert (verdict.largest.metric, verdict.largest.epoch) == ("train/loss", 2)
    parting = first_deviation(THEN, now)
    assert parting is not None
    assert (parting.metric, parting.epoch) == ("train/loss", 1)


def test_zero_tolerance_passes_bits_only() -> None:
    strict = Tolerance(relative=0.0, absolute=0.0)
    assert compare_curves(THEN, THEN, strict).kind == "identical"
    assert compare_curves({"loss": [1.0]}, {"loss": [math.nextafter(1, 2)]}, strict).kind == "different"


@pytest.mark.parametrize(
    ("then", "now", "kind"),
    [
        ([NAN], [NAN], "identical"),
        ([INF], [INF], "identical"),
        ([NAN], [1.0], "different"),
        ([1.0], [NAN], "different"),
        ([INF], [-INF], "different"),
        ([1e308], [-1e308], "different"),
        ([INF], [1.0], "different"),
    ],
)
def test_values_that_are_not_finite(then: list[float], now: list[float], kind: str) -> None:
    assert compare_curves({"loss": then}, {"loss": now}).kind == kind


def test_a_shorter_curve_is_different_and_compared_as_far_as_it_goes() -> None:
    verdict = compare_curves(THEN, {metric: curve[:2] for metric, curve in THEN.items()})
    assert verdict.kind == "different"
    assert verdict.num_epochs == 2
    assert verdict.first is None
    assert verdict.obstacles == ("3 epochs then, 2 now",)


def test_one_shorter_curve_is_named() -> None:
    verdict = compare_curves(THEN, THEN | {"val/loss": [1.1]})
    assert verdict.obstacles == ("3 epochs of val/loss then, 1 now",)


def test_a_missing_metric_is_different_a_new_one_is_not() -> None:
    now = {name: curve for name, curve in THEN.items() if name != "val/loss"}
    assert compare_curves(THEN, now).obstacles == ("val/loss was recorded then and is missing now",)
    assert compare_curves(now, THEN).kind == "identical"


@pytest.mark.parametrize("then", [{}, {"loss": []}, {"epoch_seconds": [1.0]}])
def test_nothing_to_compare_is_no_success(then: dict[str, list[float]]) -> None:
    verdict = compare_curves(then, then)
    assert verdict.kind == "different"
    assert "nothing was recorded" in verdict.obstacles[0]
