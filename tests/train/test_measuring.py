"""The metrics of each task are those of torchmetrics, whatever the batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional import classification, regression

from idealfit.tasks import TASKS
from idealfit.train.measuring import activation_of, make_measure, more_metrics
from idealfit.train.task import make_criterion

NUM_IMAGES = 200


def outputs(task: str) -> tuple[Tensor, Tensor]:
    """Logits of a network that is right more often than not, and targets; the last label is nobody's."""
    generator = torch.Generator().manual_seed(0)
    columns = {"binary": 1, "multi_label": 4, "multi_class": 12}.get(task, 1)
    noise = torch.randn(NUM_IMAGES, columns, generator=generator)
    if task == "multi_class":
        targets = torch.randint(0, 12, (NUM_IMAGES,), generator=generator)
        return noise + 1.5 * nn.functional.one_hot(targets, 12), targets
    if task in ("binary", "multi_label"):
        targets = (torch.rand(NUM_IMAGES, columns, generator=generator) > 0.6).float()
        targets[:, 3:] = 0.0
        return noise + 1.5 * (2 * targets - 1) - 0.5, targets
    numbers = torch.rand(NUM_IMAGES, 1, generator=generator)
    return numbers + 0.3 * noise, numbers


def measured(task: str) -> dict[str, float]:
    logits, targets = outputs(task)
    measure = make_measure(TASKS[task], 2 if task == "binary" else logits.shape[1], nn.BCEWithLogitsLoss())
    total = torch.zeros(measure.num_sums, dtype=torch.float64)
    for some_logits, some_targets in zip(logits.split(37), targets.split(37), strict=True):
        total += torch.cat([value.double().reshape(-1) for value in measure.sums(some_logits, some_targets)])
    return dict(zip(measure.names, measure.finish(NUM_IMAGES, total.tolist()), strict=True))


def test_labels() -> None:
    logits, targets = outputs("multi_label")
    found, given = measured("multi_label"), torch.sigmoid(logits)
    number: dict[str, Any] = {"num_labels": 4}
    assert found["accuracy"] == pytest.approx(float((given.round() == targets).float().mean()))
    whole = classification.multilabel_exact_match(given, targets.long(), **number)
    assert found["exact_match"] == pytest.approx(float(whole))
    f1 = classification.multilabel_f1_score(given, targets.long(), average="macro", **number)
    assert found["f1"] == pytest.approx(float(f1))


@pytest.mark.parametrize("task", ["regression", "unit_regression"])
def test_numbers(task: str) -> None:
    logits, targets = outputs(task)
    given = torch.sigmoid(logits) if task == "unit_regression" else logits
    assert measured(task) == pytest.approx(
        {
            "mae": float(regression.mean_absolute_error(given, targets)),
            "mse": float(regression.mean_squared_error(given, targets)),
            "r2": float(regression.r2_score(given[:, 0], targets[:, 0])),
        },
        abs=1e-5,
    )


def test_classes() -> None:
    logits, targets = outputs("multi_class")
    top = {k: float(classification.multiclass_accuracy(logits, targets, 12, average="micro", top_k=k)) for k in (1, 5)}
    assert measured("multi_class") == pytest.approx({"accuracy": top[1], "top5_accuracy": top[5]})
    logits, targets = outputs("binary")
    accuracy = classification.binary_accuracy(torch.sigmoid(logits), targets.long())
    assert measured("binary") == pytest.approx({"accuracy": float(accuracy)})


@pytest.mark.parametrize("task", ["multi_class", "binary", "multi_label"])
def test_all_that_can_be_asked_for_is_measured(task: str) -> None:
    logits, targets = outputs(task)
    loss = nn.CrossEntropyLoss() if task == "multi_class" else nn.BCEWithLogitsLoss()
    scores = activation_of(TASKS[task], loss)(logits)
    found = more_metrics(TASKS[task], TASKS[task].more, scores, targets, scores.shape[1])
    assert list(found) == list(TASKS[task].more)
    assert all(0 < value < 1 for value in found.values()), "a mean over classes leaves out what nobody has"


def test_the_loss_sees_what_it_is_made_for() -> None:
    logits, targets = torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.0], [0.25]])
    squares = make_criterion(nn.MSELoss(), 1, TASKS["unit_regression"])(logits, targets)
    assert squares.item() == pytest.approx(float(((torch.sigmoid(logits) - targets) ** 2).mean()))
    entropy = make_criterion(nn.BCEWithLogitsLoss(), 1, TASKS["unit_regression"])(logits, targets)
    assert entropy.item() == pytest.approx(float(nn.functional.binary_cross_entropy(torch.sigmoid(logits), targets)))
    linear = make_criterion(nn.MSELoss(), 1, TASKS["regression"])(logits, targets)
    assert linear.item() == pytest.approx(float(((logits - targets) ** 2).mean()))


def test_targets_that_are_all_the_same_have_no_r2() -> None:
    measure = make_measure(TASKS["regression"], 1, nn.MSELoss())
    sums = [value.item() for value in measure.sums(torch.zeros(3, 1), torch.ones(3, 1))]
    mae, mse, r2 = measure.finish(3, sums)
    assert (mae, mse) == (1.0, 1.0)
    assert r2 != r2
