"""VGG: torchvision's layers, with fewer pools and a small head for small images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models import vgg

from idealfit.models._parts import check_knobs, dropout_layers, has_small_images, init_weights, lay_out
from idealfit.spec import ConfigError

LETTERS = {11: "A", 13: "B", 16: "D", 19: "E"}  # the columns of the paper's table 1
NUM_FEATURES = 512


class VGG(nn.Module):
    """torchvision's VGG (Simonyan and Zisserman, 2014): stacks of 3x3 convolutions, a 2x2 max-pool behind each stack.

    Images of up to 64 pixels are pooled while there are two pixels to pool, and averaged to 512 features; one hidden
    layer of 512 units then takes the place of the published two of 4,096.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        depth: 11, 13, 16 or 19 layers with weights, as published.
        dropout: Probability that a unit of the hidden fully connected layers is dropped; 0.5 as published.
        batch_norm: Normalise over the batch in front of each activation; without it deep ones hardly start.

    Raises:
        ConfigError: There is no VGG of this depth.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        num_classes: int,
        depth: int = 16,
        dropout: float = 0.5,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout)
        if depth not in LETTERS:
            raise ConfigError(f"VGG: depth must be one of {', '.join(map(str, LETTERS))}, but got {depth!r}")
        num_channels, *sides = image_shape
        features = vgg.make_layers(_pooled(vgg.cfgs[LETTERS[depth]], min(sides)), batch_norm)
        features[0] = nn.Conv2d(num_channels, 64, kernel_size=3, padding=1)
        if has_small_images(image_shape):
            self.net: Any = nn.Sequential(
                features,
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(NUM_FEATURES, NUM_FEATURES),
                nn.ReLU(),
                *dropout_layers(dropout),
                nn.Linear(NUM_FEATURES, num_classes),
            )
        else:
            self.net = vgg.VGG(features, num_classes=num_classes, init_weights=False, dropout=dropout)
        init_weights(self, "relu")
        lay_out(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.net(images)
        return logits


def _pooled(layers: list[str | int], side: int) -> list[str | int]:
    """The published layers without the pools that would find a single pixel."""
    kept = []
    for layer in layers:
        if layer == "M":
            if side < 2:
                continue
            side //= 2
        kept.append(layer)
    return kept
