"""Intervals by drawing images again: how often they hold the truth, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from idealfit.promotion.weighted import Floats, statistics_of
from idealfit.selection.bootstrap import bootstrap_intervals
from idealfit.tasks import TASKS

NUM_STUDIES, NUM_IMAGES = 200, 150
TRUTHS = {
    ("regression", "mae"): 0.5 * np.sqrt(2 / np.pi),
    ("regression", "rmse"): 0.5,
    ("regression", "r2"): 0.75,
    ("binary", "roc_auc"): float(stats.norm.cdf(1.5 / np.sqrt(2))),
    ("binary", "f1"): float(stats.norm.cdf(0.75)),  # as good at telling 0 as 1, of as many
    ("multi_label", "f1"): float(stats.norm.cdf(0.75)),
    ("multi_label", "accuracy"): float(stats.norm.cdf(0.75)),
}


def simulated(task: str, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Targets and scores of fresh images; the labels of one image are all right or wrong together."""
    if task == "regression":
        right = rng.normal(size=(NUM_IMAGES, 1))
        return right, right + 0.5 * rng.normal(size=right.shape)
    right = rng.integers(2, size=NUM_IMAGES)
    signal = rng.normal(size=NUM_IMAGES) + 1.5 * right - 0.75
    scores = 1 / (1 + np.exp(-signal))
    if task == "binary":
        return right, np.stack([1 - scores, scores], axis=1)
    return np.stack([right, right], axis=1).astype(float), np.stack([scores, scores], axis=1)


@pytest.mark.parametrize("task", ["regression", "binary", "multi_label"])
def test_of_simulated_test_sets_about_95_in_100_have_the_truth_in_the_interval(task: str) -> None:
    rng = np.random.default_rng(4)
    truths = {metric: truth for (name, metric), truth in TRUTHS.items() if name == task}
    held = dict.fromkeys(truths, 0)
    for study in range(NUM_STUDIES):
        targets, scores = simulated(task, rng)
        statistics = statistics_of(TASKS[task], targets, scores, truths)
        intervals = bootstrap_intervals(statistics, NUM_IMAGES, num_resamples=400, seed=study)
        for name, truth in truths.items():
            interval = intervals[name]
            assert interval is not None
            held[name] += interval.low <= truth <= interval.high
    # 0.95 of 200, and three standard errors around it.
    assert {name: count for name, count in held.items() if not 180 <= count <= 199} == {}


def test_without_any_mistake_there_is_no_interval() -> None:
    right = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    statistics = statistics_of(TASKS["multi_label"], right, right, ["f1", "exact_match"])
    assert bootstrap_intervals(statistics, 4) == {"f1": None, "exact_match": None}


def test_the_same_seed_draws_the_same_images_however_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, scores = simulated("regression", np.random.default_rng(0))
    statistics = statistics_of(TASKS["regression"], targets, scores, ["mae"])
    whole = bootstrap_intervals(statistics, NUM_IMAGES)
    monkeypatch.setattr("idealfit.selection.bootstrap.MAX_NUMBERS", 7 * NUM_IMAGES)
    assert bootstrap_intervals(statistics, NUM_IMAGES) == whole
    assert bootstrap_intervals(statistics, NUM_IMAGES, seed=1) != whole
