"""AlexNet: torchvision's, with a stem for small images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.alexnet import AlexNet as TorchvisionAlexNet

from idealfit.models._parts import check_knobs, has_small_images, init_weights, lay_out

NUM_POOLS = 3
SIDE = 6  # of the feature maps in front of the fully connected layers, as published


class AlexNet(nn.Module):
    """torchvision's AlexNet (Krizhevsky, 2014): five convolutions, three fully connected layers of 4,096 units, ReLU.

    Images of up to 64 pixels keep their size through a 5x5 stem of stride 1, and each pool halves them.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        dropout: Probability that an input of the two hidden fully connected layers is dropped; 0.5 as published.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], num_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout)
        self.net: Any = TorchvisionAlexNet(num_classes=num_classes, dropout=dropout)
        num_channels, *sides = image_shape
        if has_small_images(image_shape):
            self.net.features[0] = nn.Conv2d(num_channels, 64, kernel_size=5, padding=2)
            for index in (2, 5, 12):
                self.net.features[index] = nn.MaxPool2d(3, stride=2, padding=1)
            side = min(SIDE, -(-min(sides) // 2**NUM_POOLS))
            self.net.avgpool = nn.AdaptiveAvgPool2d(side)
            self.net.classifier[1] = nn.Linear(256 * side * side, 4096)
        elif num_channels != 3:
            self.net.features[0] = nn.Conv2d(num_channels, 64, kernel_size=11, stride=4, padding=2)
        init_weights(self, "relu")
        lay_out(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.net(images)
        return logits
