"""The shapes of curves that a sweep meets, made by hand."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idealfit import overfit
from idealfit.spec import Objective

NUM_EPOCHS = 30
FALLING = [2.0 * 0.85**epoch for epoch in range(NUM_EPOCHS)]
IDEAL = [0.3 + 1.7 * 0.8**epoch for epoch in range(NUM_EPOCHS)]  # falls, then stays
OVERFIT = [0.4 + 0.01 * abs(epoch - 10) ** 1.3 for epoch in range(NUM_EPOCHS)]  # lowest at 10, then rises
UNDERFIT = [2.3 - 0.01 * epoch for epoch in range(NUM_EPOCHS)]


def noisy(curve: list[float], deviation: float, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [value + rng.gauss(0.0, deviation) for value in curve]


@pytest.mark.parametrize(
    ("train", "val"),
    [(FALLING, IDEAL), (UNDERFIT, UNDERFIT), (FALLING, [0.5] * NUM_EPOCHS), ([0.1], [0.2]), ([], [])],
    ids=["ideal", "underfit", "flat", "one_epoch", "no_epoch"],
)
def test_a_fit_that_does_not_overfit_has_no_onset(train: list[float], val: list[float]) -> None:
    assert overfit.onset(train, val) is None


def test_the_onset_of_an_overfit_is_where_validation_loss_turns() -> None:
    assert overfit.onset(FALLING, OVERFIT) in (10, 11)


def test_a_fit_that_overfits_from_the_start_has_its_onset_in_epoch_0() -> None:
    assert overfit.onset(FALLING, [0.4 + 0.1 * epoch for epoch in range(NUM_EPOCHS)]) == 0


@pytest.mark.parametrize("seed", range(20))
def test_noise_moves_the_onset_little(seed: int) -> None:
    found = overfit.onset(noisy(FALLING, 0.005, seed), noisy(OVERFIT, 0.02, seed + 100))
    assert found is not None
    assert 6 <= found <= 16


@pytest.mark.parametrize("seed", range(20))
def test_a_noisy_plateau_has_no_onset(seed: int) -> None:
    assert overfit.onset(FALLING, noisy(IDEAL, 0.03, seed)) is None


def test_one_worse_epoch_at_the_end_is_not_for_good() -> None:
    assert overfit.onset(FALLING, [*IDEAL[:-1], 2.0]) is None


def test_a_rise_that_comes_back_is_not_for_good() -> None:
    hill = [0.5 if epoch < 5 or epoch > 20 else 0.8 for epoch in range(NUM_EPOCHS)]
    assert overfit.onset(FALLING, hill) is None


def test_divergence_is_not_overfitting() -> None:
    diverging = [1.0 * 1.3**epoch for epoch in range(NUM_EPOCHS)]
    assert overfit.onset(diverging, diverging) is None


def test_epochs_from_the_first_nan_on_do_not_count() -> None:
    broken = [*OVERFIT[:20], math.nan, *OVERFIT[21:]]
    assert overfit.onset(FALLING, broken) == overfit.onset(FALLING[:20], OVERFIT[:20])
    assert overfit.onset([math.nan] * 5, OVERFIT[:5]) is None


def test_noise_ignores_the_trend() -> None:
    assert overfit.noise([3.0 * epoch for epoch in range(9)]) == 0.0
    estimates = [overfit.noise(noisy(FALLING, 0.1, seed)) for seed in range(50)]
    assert sum(estimates) / len(estimates) == pytest.approx(0.1, rel=0.2)


def test_best_epoch_is_the_first_lowest_finite_one() -> None:
    assert overfit.best_epoch([math.nan, 2.0, 1.0, 1.0, math.inf]) == 2
    assert overfit.best_epoch([math.nan]) is None
    assert overfit.best_epoch([]) is None


def test_rise_is_measured_from_the_best_loss() -> None:
    assert overfit.val_loss_rise([1.0, 0.5, 0.8]) == pytest.approx(0.3)
    assert overfit.val_loss_rise([1.0, 0.5]) == 0.0
    assert overfit.val_loss_rise([1.0, math.nan]) is None
    assert overfit.val_loss_rise([]) is None


def test_gap_is_train_minus_validation() -> None:
    assert overfit.gap([0.9, 1.0], [0.8, 0.7]) == pytest.approx([0.1, 0.3])
    assert overfit.gap([], [0.7]) == []


CURVES = {
    "train/loss": [0.9, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1],
    "val/loss": [1.0, 0.7, 0.6, 0.7, 0.8, 0.9, 1.1],
    "train/accuracy": [0.6, 0.7, 0.8, 0.9, 0.93, 0.95, 1.0],
    "val/accuracy": [0.5, 0.6, 0.7, 0.75, 0.75, 0.74, 0.73],
    "lr": [0.1] * 7,
}


def test_summarize_tells_best_final_and_overfit() -> None:
    assert overfit.summarize(CURVES, Objective()) == pytest.approx(
        {
            "best/val_accuracy": 0.75,
            "best/val_loss": 0.6,
            "best/epoch": 3,
            "final/train_loss": 0.1,
            "final/val_loss": 1.1,
            "final/train_accuracy": 1.0,
            "final/val_accuracy": 0.73,
            "overfit/gap_at_best": 0.15,
            "overfit/gap_final": 0.27,
            "overfit/onset_epoch": 2,
            "overfit/val_loss_rise": 0.5,
        }
    )


def test_best_epoch_follows_the_objective() -> None:
    summary = overfit.summarize(CURVES, Objective(metric="val/loss", direction="minimize"))
    assert summary["best/epoch"] == 2
    assert summary["overfit/gap_at_best"] == pytest.approx(0.1)


def test_what_is_unknown_is_left_out() -> None:
    summary = overfit.summarize({"val/loss": [0.5, math.nan], "val/accuracy": [0.5, 0.6]}, Objective())
    assert summary == {"best/val_loss": 0.5, "best/val_accuracy": 0.6, "best/epoch": 1, "final/val_accuracy": 0.6}
    assert overfit.summarize({}, Objective()) == {}


values = st.lists(st.one_of(st.floats(0, 10), st.just(math.nan), st.just(math.inf)), max_size=12)


@given(train=values, val=values)
def test_any_curves_give_finite_summaries(train: list[float], val: list[float]) -> None:
    curves = {"train/loss": train, "val/loss": val, "val/accuracy": val, "train/accuracy": train}
    assert all(math.isfinite(value) for value in overfit.summarize(curves, Objective()).values())
