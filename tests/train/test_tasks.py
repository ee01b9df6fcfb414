"""Each task is trained, measured, scored and, where something of it makes no sense, refused before training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from idealfit.overfit import summarize
from idealfit.spec import JSON, ConfigError, Objective
from idealfit.study.objective import default_objective
from idealfit.train import preflight
from idealfit.train.fused.admission import check_parts
from idealfit.train.fused.errors import NotFusableError
from idealfit.train.parts import make_parts

BCE, MSE = {"_target_": "torch.nn.BCEWithLogitsLoss"}, {"_target_": "torch.nn.MSELoss"}
ODD = {"name": "binary", "positive": ["1", "3", "5", "7", "9"]}
TRAITS = {"name": "multi_label", "labels": {"even": ["0", "2", "4", "6", "8"], "loop": ["0", "6", "8", "9"]}}
NUMBER = {"name": "regression", "target": "class_value"}
INK = {"name": "unit_regression", "target": "brightness"}
TASKS: dict[str, tuple[JSON, JSON, float]] = {  # task, loss, a score that is reached in 25 epochs
    "binary": (ODD, BCE, 0.9),
    "multi_label": (TRAITS, BCE, 0.9),
    "regression": (NUMBER, MSE, 0.6),
    "unit_regression": (INK, MSE, 0.6),
    "unit_regression, bce": (INK, BCE, 0.6),
}


def with_task(config: JSON, task: JSON, loss: JSON, **trainer: Any) -> JSON:
    return config | {"task": task, "loss": loss, "trainer": {**config["trainer"], **trainer}}


@pytest.mark.parametrize("name", TASKS)
def test_a_network_learns_the_task_from_real_digits(name: str, config: JSON, run: Callable[..., Any]) -> None:
    task, loss, reached = TASKS[name]
    composed = with_task(config, task, loss, max_epochs=25)
    composed["model"]["dropout"] = 0.0
    objective = default_objective(composed)
    result = run(composed, objective=objective).result
    curve = result.curves[objective.metric]
    assert max(curve) > reached
    assert curve[-1] > curve[0]
    summaries = summarize(result.curves, objective)
    assert summaries[f"best/{objective.metric.replace('/', '_')}"] == max(curve)
    assert -0.5 < summaries["overfit/gap_final"] < 0.5
    assert result.facts["task"] == task["name"]
    assert (result.predictions is not None) == (task["name"] == "binary"), "no confusion matrix without classes"


def test_a_binary_network_is_pictured_as_two_classes(config: JSON, run: Callable[..., Any]) -> None:
    result = run(with_task(config, ODD, BCE, max_epochs=8)).result
    found = result.predictions
    assert found.scores.shape[1] == 2
    assert (found.scores.sum(axis=1).round(2) == 1).all()
    assert (found.labels == found.predicted).mean() == pytest.approx(result.curves["val/accuracy"][-1], abs=0.05)
    assert result.facts["class_names"] == ["0 2 4 6 8", "1 3 5 7 9"]
    assert (result.facts["num_classes"], result.facts["num_outputs"]) == (2, 1)


def test_a_metric_is_measured_where_the_objective_names_it(config: JSON, run: Callable[..., Any]) -> None:
    plain = run(config).result.curves
    asked = run(config, "asked", objective=Objective(metric="val/roc_auc")).result.curves
    assert {name for name in asked if name not in plain} == {"train/roc_auc", "val/roc_auc"}
    assert asked["val/loss"] == plain["val/loss"], "measuring does not change the training"
    assert all(0.5 < value <= 1 for value in asked["val/roc_auc"][1:])
    named = run(config | {"task": {"name": "multi_class", "metrics": ["f1", "calibration_error"]}}, "named").result
    assert {"val/f1", "val/calibration_error"} < set(named.curves)


@pytest.mark.parametrize("model", ["KNN", "SVM", "Forest"])
def test_estimators_tell_two_classes_apart(model: str, config: JSON, run: Callable[..., Any]) -> None:
    composed = with_task(config, ODD, BCE) | {"model": {"_target_": f"idealfit.models.{model}"}}
    result = run(composed).result
    assert result.curves["val/accuracy"][0] > 0.9
    assert result.predictions.scores.shape[1] == 2


def test_robust_accuracy_of_two_classes(config: JSON, run: Callable[..., Any]) -> None:
    curves = run(with_task(config, ODD, BCE, attack={"epsilon": 0.1}, max_epochs=5)).result.curves
    assert curves["val/robust_accuracy"][-1] < curves["val/accuracy"][-1]


REFUSED: list[tuple[str, dict[str, Any], Objective, str]] = [
    (
        "regression",
        {},
        Objective(),
        r"'val/accuracy', but this task logs only .*val/r2.* Take study.objective.metric=val/r2",
    ),
    ("regression", {}, Objective(metric="val/f1"), r"Take study.objective.metric=val/r2"),
    (
        "multi_label",
        {"trainer.attack": {"epsilon": 0.1}},
        Objective(metric="val/f1"),
        "task=multi_label gives images none",
    ),
    (
        "regression",
        {"model": {"_target_": "idealfit.models.KNN"}},
        Objective(metric="val/r2"),
        "model KNN gives each image one class, and task=regression has one output",
    ),
    (
        "unit_regression",
        {"augment": {"_target_": "idealfit.data.Augment", "rotate_degrees": 10.0}},
        Objective(metric="val/r2"),
        "brightness is measured on an image as it is",
    ),
    ("multi_label", {"loss": MSE}, Objective(metric="val/f1"), "MSELoss contradicts the task: task=multi_label"),
    (
        "binary",
        {"model": {"_target_": "torch.nn.Flatten"}, "optimizer": {"_target_": "torch.optim.SGD", "lr": 1.0}},
        Objective(),
        "no parameter to train",
    ),
]


@pytest.mark.parametrize(("name", "changes", "objective", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_contradicts_a_task_is_refused_before_training(
    name: str, changes: dict[str, Any], objective: Objective, message: str, config: JSON
) -> None:
    task, loss, _ = TASKS[name]
    composed = with_task(config, task, loss)
    for key, value in changes.items():
        group, _, inner = key.partition(".")
        composed[group] = {**composed[group], inner: value} if inner else value
    with pytest.raises(ConfigError, match=message):
        preflight(composed, objective=objective)


def test_mixtures_of_numbers_are_mixed_numbers(config: JSON, run: Callable[..., Any]) -> None:
    augment = {"_target_": "idealfit.data.Augment", "mixup": 0.2}
    composed = with_task(config, NUMBER, MSE) | {"augment": augment}
    parts = make_parts(composed, objective=Objective(metric="val/r2"), trusted=[])
    _, targets = next(parts.data.train_batches(0))
    assert targets.shape == (64, 1)
    assert not torch.equal(targets, targets.round())


def test_trials_of_other_tasks_are_trained_alone(config: JSON) -> None:
    parts = make_parts(with_task(config, NUMBER, MSE), objective=Objective(metric="val/r2"), trusted=[])
    with pytest.raises(NotFusableError, match="task=regression"):
        check_parts(parts)
