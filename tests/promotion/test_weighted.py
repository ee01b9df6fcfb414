"""The metrics of a look are those of every epoch, and an image that counts twice is one that is there twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from idealfit.promotion.measures import SHARES, measure
from idealfit.promotion.weighted import Floats, statistics_of
from idealfit.tasks import MULTI_CLASS, TASKS
from idealfit.train.measuring import make_measure, more_metrics

NUM_IMAGES = 300
NUM_CLASSES = {"multi_class": 12, "binary": 2, "multi_label": 3, "regression": 1, "unit_regression": 1}


def outputs_of(task: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets that have something to do with each other; in coarse steps, so that some scores are equal
    (but not of classes: which of equal ones are among the first five is torch's secret)."""
    made = torch.Generator().manual_seed(7)
    num_outputs = 1 if task == "binary" else NUM_CLASSES[task]
    logits = (torch.randn(NUM_IMAGES, num_outputs, generator=made, dtype=torch.float64) * 4).round() / 4
    logits += torch.arange(num_outputs) * (1e-3 if task == "multi_class" else 0.0)
    noise = torch.randn(NUM_IMAGES, num_outputs, generator=made, dtype=torch.float64)
    if task == "multi_class":
        return logits, (logits + noise).argmax(dim=1)
    if task in ("binary", "multi_label"):
        return logits, ((logits + noise) > 0).double()
    return logits, torch.sigmoid(logits + noise)


def told(task: str) -> tuple[dict[str, float], torch.Tensor, torch.Tensor]:
    """What an epoch would measure, and scores and targets as a look sees them."""
    logits, targets = outputs_of(task)
    kind = make_measure(TASKS[task], NUM_CLASSES[task], nn.CrossEntropyLoss())
    sums = torch.cat([each.double().reshape(-1) for each in kind.sums(logits, targets)]).tolist()
    scores = kind.activation(logits)
    found = dict(zip(kind.names, kind.finish(NUM_IMAGES, sums), strict=True))
    found |= more_metrics(TASKS[task], TASKS[task].more, scores, targets, NUM_CLASSES[task])
    return found, scores, targets


@pytest.mark.parametrize("task", NUM_CLASSES)
def test_a_look_gives_the_numbers_of_an_epoch(task: str) -> None:
    expected, scores, targets = told(task)
    right = targets[:, 0].long() if task == "binary" else targets
    names = [str(index) for index in range(NUM_CLASSES[task])]
    found = measure(TASKS[task], right.numpy(), scores.numpy(), names, TASKS[task].more)["metrics"]
    assert next(iter(found)) == TASKS[task].objective.removeprefix("val/")
    assert {name: found[name][0] for name in expected} == pytest.approx(expected, abs=1e-5)
    for name, (value, low, high) in found.items():
        assert (low is None and name == "calibration_error") or low < value < high, name
    assert set(SHARES.get(task, ())) <= set(found)


@pytest.mark.parametrize("task", NUM_CLASSES)
def test_an_image_that_counts_twice_is_one_that_is_there_twice(task: str) -> None:
    names = ("accuracy", "exact_match", "precision", "recall", "f1", "roc_auc", "pr_auc", "map", "mae", "mse", "r2")
    _, scores, targets = told(task)
    right: Floats = (targets[:, 0].long() if task == "binary" else targets).numpy()
    often = np.random.default_rng(1).multinomial(NUM_IMAGES, np.full(NUM_IMAGES, 1 / NUM_IMAGES))
    weighted = statistics_of(TASKS[task], right, scores.numpy(), names)(often[None].astype(float))
    there = np.repeat(np.arange(NUM_IMAGES), often)
    plain = statistics_of(TASKS[task], right[there], scores.numpy()[there], names)(np.ones((1, NUM_IMAGES)))
    assert weighted.keys() == plain.keys()
    assert {name: value[0] for name, value in weighted.items()} == pytest.approx(
        {name: value[0] for name, value in plain.items()}
    )


def test_a_class_without_an_image_counts_for_nothing() -> None:
    labels, scores = (
        np.array([0, 1, 0, 1]),
        np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.2, 0.8, 0.0]]),
    )
    found = measure(TASKS[MULTI_CLASS], labels, scores, ["a", "b", "never"], ["roc_auc"])
    assert found["metrics"]["f1"][0] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["metrics"]["roc_auc"][0] == 1.0
    assert found["classes"][2]["roc_auc"] is None
