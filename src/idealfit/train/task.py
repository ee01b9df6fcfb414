"""What is trained for: the loss on logits and labels, the metrics that come out, the objective among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idealfit.objective import MEASURES
from idealfit.overfit import BOOKKEEPING
from idealfit.spec import ConfigError, Objective, nearest

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Logits `[B, num_classes]` and labels, `[B]` or mixed `[B, num_classes]`, to a scalar."""

# These compare a number for each class; the others take the index of the right class.
ONE_HOT_LOSSES = (
    nn.BCEWithLogitsLoss,
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.MultiLabelSoftMarginLoss,
)
TOP_K = 5
MIN_CLASSES_FOR_TOP_K = 10
METRIC_KINDS = ("loss", "accuracy", "top5_accuracy")


def make_criterion(loss: nn.Module, num_classes: int) -> Criterion:
    """`loss` on labels; one-hot float targets are made where it wants them.

    Raises:
        ConfigError: `loss` gives no scalar.
    """
    if getattr(loss, "reduction", "mean") not in ("mean", "sum"):
        raise ConfigError(f"loss.reduction must be mean or sum, but got {cast('Any', loss).reduction!r}")
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


def metric_names(num_classes: int, *, train_eval: bool) -> list[str]:
    """What every epoch records, in this order."""
    kinds = METRIC_KINDS if num_classes >= MIN_CLASSES_FOR_TOP_K else METRIC_KINDS[:2]
    parts = ["train", "val"] if train_eval else ["val"]
    return [f"{part}/{kind}" for kind in kinds for part in parts] + list(BOOKKEEPING)


def check_metric(key: str, metric: str, logged: Iterable[str]) -> None:
    """Check that `metric`, the value of the config's `key`, is among the `logged` ones.

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
    hint = nearest(metric, names)
    raise ConfigError(f"{key} is {metric!r}, but this task logs only {', '.join(names)}. {hint}".strip())


def check_objective(objective: Objective, logged: Iterable[str]) -> None:
    """Check that everything the objective looks at is among the `logged` ones, or can be measured.

    Raises:
        ConfigError: It is not, or it would look at the test set.
    """
    names = list(logged)
    check_metric("study.objective.metric", objective.metric, names)
    for metric, key in objective.asked.items():
        if metric not in MEASURES:
            check_metric(key, metric, [*names, *MEASURES])
        elif metric in ("gap", "onset") and not {"train/accuracy", "train/loss"} <= set(names):
            raise ConfigError(f"{key} needs {metric}, and that needs the training metrics: set trainer.train_eval=true")
