"""The linear classifier: one template for each class."""

from __future__ import annotations

import math

from torch import Tensor, nn

from idealfit.models._parts import check_knobs, dropout_layers, init_weights


class Linear(nn.Module):
    """One linear layer on the pixels.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        dropout: Probability that a pixel is dropped in training.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout)
        self.layers = nn.Sequential(
            nn.Flatten(), *dropout_layers(dropout), nn.Linear(math.prod(image_shape), num_classes)
        )
        init_weights(self, "relu")

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.layers(images)
        return logits
