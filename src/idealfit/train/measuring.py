"""The metrics of each task: sums over images, which batches and ranks add up to, and those of all outputs at once."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast, final

import torch
from torch import Tensor, nn

from idealfit.tasks import BINARY, MULTI_CLASS, MULTI_LABEL, TASKS, UNIT_REGRESSION, Task

TOP_K = 5
MIN_CLASSES_FOR_TOP_K = 10
NUM_BINS = 15  # of the calibration error (Guo et al., 2017)
Sums = Sequence[float]


def class_hits(logits: Tensor, targets: Tensor) -> Tensor:
    """Bool `[B]`: whether the class with the largest logit is the right one, int64 `[B]`."""
    return logits.argmax(dim=1) == targets


def binary_hits(logits: Tensor, targets: Tensor) -> Tensor:
    """Bool `[B]`: whether the logit `[B, 1]` is positive where the target, 0 or 1, is 1."""
    return (logits[:, 0] > 0) == (targets[:, 0] > 0.5)


HITS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {MULTI_CLASS: class_hits, BINARY: binary_hits}
"""By task whether the class of an image is recognised; the other tasks give images no class."""


@dataclass(frozen=True)
class Measure(ABC):
    """What is measured of logits and targets, beside the loss.

    Attributes:
        num_classes: Columns of what the network tells apart.
        activation: Logits to what the network means by them.
    """

    num_classes: int
    activation: Callable[[Tensor], Tensor]

    kinds: ClassVar[tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that `finish` gives, in this order."""
        return self.kinds

    @property
    def num_sums(self) -> int:
        """How many numbers `sums` gives, all together."""
        return len(self.names)

    @abstractmethod
    def sums(self, logits: Tensor, targets: Tensor) -> list[Tensor]:
        """Over the images of a batch: scalars, or `[num_classes]`."""

    @abstractmethod
    def finish(self, count: float, sums: Sums) -> list[float]:
        """The metrics of `count` images, from the sums in one row."""


@final
class ClassMeasure(Measure):
    """Whether the class with the largest logit is the right one; targets are int64 `[B]`."""

    @property
    def names(self) -> tuple[str, ...]:
        """See `Measure`."""
        kinds = TASKS[MULTI_CLASS].metrics
        return kinds if self.num_classes >= MIN_CLASSES_FOR_TOP_K else kinds[:1]

    def sums(self, logits: Tensor, targets: Tensor) -> list[Tensor]:
        """See `Measure`."""
        row = [class_hits(logits, targets).sum()]
        if self.num_classes >= MIN_CLASSES_FOR_TOP_K:
            row.append((logits.topk(TOP_K, dim=1).indices == targets[:, None]).sum())
        return row

    def finish(self, count: float, sums: Sums) -> list[float]:
        """See `Measure`."""
        return [value / count for value in sums]


@final
class BinaryMeasure(Measure):
    """Whether a positive logit stands for a positive image; targets are float `[B, 1]`."""

    kinds = TASKS[BINARY].metrics

    def sums(self, logits: Tensor, targets: Tensor) -> list[Tensor]:
        """See `Measure`."""
        return [binary_hits(logits, targets).sum()]

    def finish(self, count: float, sums: Sums) -> list[float]:
        """See `Measure`."""
        return [sums[0] / count]


@final
class LabelMeasure(Measure):
    """The share of labels that are right, of images whose labels all are, and F1, the mean over labels."""

    kinds = TASKS[MULTI_LABEL].metrics

    @property
    def num_sums(self) -> int:
        """See `Measure`."""
        return 2 + 2 * self.num_classes

    def sums(self, logits: Tensor, targets: Tensor) -> list[Tensor]:
        """See `Measure`."""
        given, true = logits > 0, targets > 0.5
        right = given == true
        hits, wrong = (given & true).sum(dim=0), (given != true).sum(dim=0)
        return [right.double().mean(dim=1).sum(), right.all(dim=1).sum(), hits, wrong]

    def finish(self, count: float, sums: Sums) -> list[float]:
        """See `Measure`; a label that nobody has and that is never given has F1 0, as in torchmetrics."""
        hits, wrong = sums[2 : 2 + self.num_classes], sums[2 + self.num_classes :]
        f1 = [2 * hit / (2 * hit + miss) if hit + miss else 0.0 for hit, miss in zip(hits, wrong, strict=True)]
        return [sums[0] / count, sums[1] / count, sum(f1) / len(f1)]


@final
class ErrorMeasure(Measure):
    """How far numbers are off: mean absolute and squared error, and the share of the variance that is explained."""

    kinds = TASKS[UNIT_REGRESSION].metrics

    @property
    def num_sums(self) -> int:
        """See `Measure`."""
        return 4

    def sums(self, logits: Tensor, targets: Tensor) -> list[Tensor]:
        """See `Measure`."""
        precise = torch.float32 if targets.device.type == "mps" else torch.float64
        true = targets[:, 0].to(precise)
        errors = self.activation(logits)[:, 0].to(precise) - true
        return [errors.abs().sum(), errors.square().sum(), true.sum(), true.square().sum()]

    def finish(self, count: float, sums: Sums) -> list[float]:
        """See `Measure`; where all targets are the same, r2 is not a number."""
        absolute, squared, total, squares = sums
        variation = squares - total**2 / count
        return [absolute / count, squared / count, 1 - squared / variation if variation > 0 else float("nan")]


def make_measure(task: Task, num_classes: int, loss: nn.Module) -> Measure:
    """What is measured of a task.

    Args:
        task: Of the config.
        num_classes: What it tells apart.
        loss: Says what a logit means.
    """
    kind: Any = {MULTI_CLASS: ClassMeasure, BINARY: BinaryMeasure, MULTI_LABEL: LabelMeasure}.get(
        task.name, ErrorMeasure
    )
    return cast("Measure", kind(num_classes, activation_of(task, loss)))


def activation_of(task: Task, loss: nn.Module) -> Callable[[Tensor], Tensor]:
    """From logits to what they mean: a probability for each class or label, two columns of a binary task; or a number.

    For binary cross-entropy each class of a multi-class task has a probability of its own.
    """
    if task.name == MULTI_CLASS:
        is_of_each = isinstance(loss, nn.BCEWithLogitsLoss)
        return torch.sigmoid if is_of_each else lambda logits: logits.softmax(dim=1)
    if task.name == BINARY:
        return lambda logits: torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)
    return torch.sigmoid if task.name in (MULTI_LABEL, UNIT_REGRESSION) else lambda logits: logits


def no_outputs(task: Task, num_classes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Logits and targets of no image."""
    num_outputs = 1 if task.name == BINARY else num_classes
    logits = torch.zeros(0, num_outputs, device=device)
    return logits, logits[:, 0].long() if task.name == MULTI_CLASS else logits


def more_metrics(
    task: Task, names: Sequence[str], scores: Tensor, targets: Tensor, num_classes: int
) -> dict[str, float]:
    """Further metrics `names` of all images at once, by torchmetrics; the mean over classes or labels.

    Args:
        task: Of the config.
        names: Some of `task.more`.
        scores: Float `[N, num_classes]` as `activation_of` gives them.
        targets: int64 `[N]`, or float `[N, num_outputs]`.
        num_classes: Classes or labels.
    """
    from torchmetrics.functional import classification

    kind = {MULTI_LABEL: "multilabel", BINARY: "binary"}.get(task.name, "multiclass")
    shared = {MULTI_LABEL: {"num_labels": num_classes}, BINARY: {}}.get(task.name, {"num_classes": num_classes})
    if task.name == BINARY:
        scores = scores[:, 1]
    if targets.is_floating_point():
        targets = (targets > 0.5).long().view(scores.shape)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class that has no image here: it does not count
        for name in names:
            options: dict[str, Any] = dict(shared)
            if name == "calibration_error":
                options["n_bins"] = NUM_BINS
            elif kind != "binary":
                options["average"] = "macro"
            function: Any = getattr(classification, f"{kind}_{_FUNCTIONS[name]}")
            found[name] = float(function(scores, targets, **options))
    return found


_FUNCTIONS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "f1_score",
    "roc_auc": "auroc",
    "pr_auc": "average_precision",
    "map": "average_precision",
    "calibration_error": "calibration_error",
}
"""By metric the end of a function's name in torchmetrics.functional.classification."""
