"""Mixtures of two images, whose label is the same mixture of two labels."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Beta

from idealfit.data.rng import RandomStream


@runtime_checkable
class Mixing(Protocol):
    """An augmentation that may change labels too."""

    @property
    def mixes(self) -> bool:
        """Whether it does: labels are then probabilities, `[B, num_classes]`."""
        ...

    def mix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Images and float targets `[B, num_classes]` to the like."""
        ...


def mix_up(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix each image and its target with those of another one of the batch, in shares drawn from Beta(alpha, alpha).

    Zhang et al., "mixup: beyond empirical risk minimization", 2018. One share for each pair; the larger stays the
    image's own, so that with a small alpha most images stay what they are.
    """
    share = Beta(alpha, alpha, validate_args=False).sample((len(images),))
    share = torch.maximum(share, 1.0 - share).to(images)
    other = torch.randperm(len(images)).to(images.device)
    across = share.view(-1, 1, 1, 1)
    mixed = images * across + images[other] * (1.0 - across)
    return mixed, targets * share.view(-1, 1) + targets[other] * (1.0 - share.view(-1, 1))


def apply_augment(
    augment: nn.Module, images: Tensor, labels: Tensor, *, num_classes: int, stream: RandomStream
) -> tuple[Tensor, Tensor]:
    """Augment one batch, its random numbers drawn from `stream`.

    Returns:
        Images `[B, C, H, W]`, and labels: as they came, or float `[B, num_classes]` where they are mixed; targets of
        several columns are mixed as they are.
    """
    with torch.no_grad():
        changed: Tensor = stream.run(lambda: augment(images))
        if not (isinstance(augment, Mixing) and augment.mixes):
            return changed, labels
        targets = labels if labels.is_floating_point() else F.one_hot(labels, num_classes).to(changed.dtype)
        return stream.run(lambda: augment.mix(changed, targets))
