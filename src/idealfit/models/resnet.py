"""Residual networks: torchvision's, with a stem for small images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet

from idealfit.models._parts import check_knobs, dropout_layers, has_small_images, lay_out
from idealfit.spec import ConfigError

BLOCKS: dict[int, tuple[type[nn.Module], list[int]]] = {
    18: (BasicBlock, [2, 2, 2, 2]),
    34: (BasicBlock, [3, 4, 6, 3]),
    50: (Bottleneck, [3, 4, 6, 3]),
    101: (Bottleneck, [3, 4, 23, 3]),
    152: (Bottleneck, [3, 8, 36, 3]),
}


class ResNet(nn.Module):
    """torchvision's ResNet; for images of up to 64 pixels with a 3x3 stride-1 stem and no max-pool, as on CIFAR.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        depth: 18, 34, 50, 101 or 152.
        dropout: Probability that one of the features in front of the linear layer is dropped in training.

    Raises:
        ConfigError: There is no ResNet of this depth.
    """

    def __init__(
        self, *, image_shape: tuple[int, int, int], num_classes: int, depth: int = 18, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout)
        if depth not in BLOCKS:
            raise ConfigError(f"ResNet: depth must be one of {', '.join(map(str, BLOCKS))}, but got {depth!r}")
        block, layers = BLOCKS[depth]
        # Each residual branch starts as zero: deep ones train from the first step on.
        self.net: Any = TorchvisionResNet(block, layers, num_classes=num_classes, zero_init_residual=True)
        num_channels = image_shape[0]
        if has_small_images(image_shape):
            self.net.conv1 = nn.Conv2d(num_channels, 64, kernel_size=3, padding=1, bias=False)
            self.net.maxpool = nn.Identity()
        elif num_channels != 3:
            self.net.conv1 = nn.Conv2d(num_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.net.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.net.fc = nn.Sequential(*dropout_layers(dropout), self.net.fc)
        lay_out(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.net(images)
        return logits
