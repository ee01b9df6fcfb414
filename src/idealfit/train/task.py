"""What is trained for: the loss on logits and labels, the metrics that come out, the objective among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idealfit.objective import MEASURES
from idealfit.overfit import BOOKKEEPING
from idealfit.spec import ConfigError, Objective, nearest
from idealfit.tasks import MULTI_CLASS, TASKS, UNIT_REGRESSION, Task
from idealfit.train.measuring import MIN_CLASSES_FOR_TOP_K as MIN_CLASSES_FOR_TOP_K
from idealfit.train.measuring import TOP_K as TOP_K
from idealfit.train.measuring import Measure

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Logits `[B, num_outputs]` and labels `[B]`, or mixed or other targets `[B, num_outputs]`, to a scalar."""

# These compare a number for each class; the others take the index of the right class.
ONE_HOT_LOSSES = (
    nn.BCEWithLogitsLoss,
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.MultiLabelSoftMarginLoss,
)
METRIC_KINDS = ("loss", *TASKS[MULTI_CLASS].metrics)


def make_criterion(loss: nn.Module, num_classes: int, task: Task = TASKS[MULTI_CLASS]) -> Criterion:
    """`loss` on labels; one-hot float targets are made where it wants them.

    Where a number between 0 and 1 is learned, the loss sees it, and not the logit, unless it is made for logits.

    Raises:
        ConfigError: `loss` gives no scalar, or contradicts the task.
    """
    if refusal := task.refusal(f"{type(loss).__module__.removesuffix('.modules.loss')}.{type(loss).__name__}"):
        raise ConfigError(f"loss {refusal}")
    if getattr(loss, "reduction", "mean") not in ("mean", "sum"):
        raise ConfigError(f"loss.reduction must be mean or sum, but got {cast('Any', loss).reduction!r}")
    if task.name != MULTI_CLASS:
        sees_logits = task.name != UNIT_REGRESSION or isinstance(loss, nn.BCEWithLogitsLoss)
        return lambda logits, targets: loss(logits if sees_logits else torch.sigmoid(logits), targets.to(logits.dtype))
    if not isinstance(loss, ONE_HOT_LOSSES):
        return cast("Criterion", loss)

    def criterion(logits: Tensor, labels: Tensor) -> Tensor:
        targets = labels if labels.is_floating_point() else F.one_hot(labels, num_classes)
        return cast("Tensor", loss(logits, targets.to(logits.dtype)))

    return criterion


def check_mixed_labels(loss: nn.Module, criterion: Criterion, num_classes: int) -> None:
    """Check that `criterion`, made of `loss`, takes labels that are probabilities.

    Raises:
        ConfigError: It does not.
    """
    try:
        criterion(torch.zeros(2, num_classes), torch.full((2, num_classes), 1.0 / num_classes))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ConfigError(
            f"augment.mixup mixes labels, and loss {type(loss).__name__} takes none that are mixed: take "
            "loss=cross_entropy, bce or mse, or augment.mixup=0"
        ) from error


def metric_names(measure: Measure, more: Iterable[str] = (), *, train_eval: bool) -> list[str]:
    """What every epoch records, in this order."""
    parts = ["train", "val"] if train_eval else ["val"]
    kinds = ("loss", *measure.names, *more)
    return [f"{part}/{kind}" for kind in kinds for part in parts] + list(BOOKKEEPING)


def asked_metrics(task: Task, config: Mapping[str, Any], objective: Objective, monitors: Iterable[str]) -> list[str]:
    """Further metrics of the task that the config, the objective or the trainer names, in the order of the task's."""
    named = {*(config.get("task") or {}).get("metrics", ())}
    named |= {name.rpartition("/")[2] for name in (objective.metric, *objective.asked, *monitors)}
    return [name for name in task.more if name in named]


def check_metric(key: str, metric: str, logged: Iterable[str], instead: str = "") -> None:
    """Check that `metric`, the value of the config's `key`, is among the `logged` ones.

    Args:
        key: Of the config.
        metric: Its value.
        logged: What every epoch records.
        instead: What to take, where it is not `metric` misspelt.

    Raises:
        ConfigError: It is not, or it would look at the test set.
    """
    names = list(logged)
    if metric in names:
        return
    if metric.startswith("test/"):
        raise ConfigError(
            f"{key} is {metric!r}, but a study never looks at the test set: what is chosen by it is no test. "
            "Take val/accuracy or val/loss; `idealfit promote` opens the test set once, at the end."
        )
    hint = f"Take {key}={instead}." if instead else nearest(metric, names)
    raise ConfigError(f"{key} is {metric!r}, but this task logs only {', '.join(names)}. {hint}".strip())


def check_objective(objective: Objective, logged: Iterable[str], task: Task = TASKS[MULTI_CLASS]) -> None:
    """Check that everything the objective looks at is among the `logged` ones, or can be measured.

    Raises:
        ConfigError: It is not, or it would look at the test set.
    """
    names = list(logged)
    is_of_another = any(objective.metric.endswith(f"/{kind}") for each in TASKS.values() for kind in each.metrics)
    instead = task.objective if is_of_another and task.objective != objective.metric else ""
    check_metric("study.objective.metric", objective.metric, names, instead)
    for metric, key in objective.asked.items():
        if metric not in MEASURES:
            check_metric(key, metric, [*names, *MEASURES])
        elif metric in ("gap", "onset") and "train/loss" not in names:
            raise ConfigError(f"{key} needs {metric}, and that needs the training metrics: set trainer.train_eval=true")
