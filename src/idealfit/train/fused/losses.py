"""The loss of each trial on folded logits."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idealfit.train.fused.errors import NotFusableError
from idealfit.train.task import ONE_HOT_LOSSES

LOSSES = (
    nn.CrossEntropyLoss,
    nn.MSELoss,
    nn.BCEWithLogitsLoss,
    nn.MultiMarginLoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
)


class StackedLoss:
    """The same loss for all trials; label smoothing may differ.

    Args:
        losses: By trial.
        num_classes: Width of the logits.

    Raises:
        NotFusableError: A loss that is not supported, or that differs in more.
    """

    def __init__(self, losses: Sequence[nn.Module], num_classes: int, device: torch.device) -> None:
        first = cast("Any", losses[0])
        if type(first) not in LOSSES or list(first.buffers()) or list(first.parameters()):
            raise NotFusableError(
                f"the loss {type(first).__name__}" + (" with weights" if type(first) in LOSSES else "")
            )
        if any(_knobs(loss) != _knobs(first) for loss in losses):
            raise NotFusableError("losses that differ in more than label smoothing")
        self._sums = first.reduction == "sum"
        self._by_row = copy.copy(first)
        self._by_row.reduction = "none"
        self._is_one_hot = isinstance(first, ONE_HOT_LOSSES)
        self._num_classes = num_classes
        smoothings = [getattr(loss, "label_smoothing", 0.0) for loss in losses]
        self._is_smoothed = any(smoothings)
        self._right = torch.tensor([1.0 - smoothing for smoothing in smoothings], device=device)
        self._spread = torch.tensor([smoothing / num_classes for smoothing in smoothings], device=device)
        self._num_trials = len(losses)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """`[K]` losses from logits `[K * B, num_classes]` and labels `[B]` or `[K * B]`, mixed or not."""
        if len(labels) != len(logits):
            labels = torch.cat([labels] * self._num_trials)
        if self._is_smoothed:
            return self._smoothed(logits, labels)
        if self._is_one_hot and not labels.is_floating_point():
            labels = F.one_hot(labels, self._num_classes)
        if labels.ndim > 1:
            labels = labels.to(logits.dtype)
        return self._reduced(self._by_row(logits, labels))

    def _smoothed(self, logits: Tensor, labels: Tensor) -> Tensor:
        """In the order of torch's own sums."""
        logarithms = F.log_softmax(logits, dim=1)
        is_mixed = labels.is_floating_point()
        own = -(logarithms * labels).sum(dim=1) if is_mixed else F.nll_loss(logarithms, labels, reduction="none")
        right = self._reduced(own)
        return self._right * right + self._reduced(-logarithms.sum(dim=1)) * self._spread

    def _reduced(self, by_row: Tensor) -> Tensor:
        by_trial = by_row.view(self._num_trials, -1)
        return by_trial.sum(dim=1) if self._sums else by_trial.mean(dim=1)


def _knobs(loss: nn.Module) -> tuple[Any, ...]:
    plain = {
        name: value for name, value in vars(loss).items() if not name.startswith("_") and name != "label_smoothing"
    }
    return type(loss), sorted(plain.items(), key=lambda item: item[0])
