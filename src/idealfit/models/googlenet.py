"""GoogLeNet: torchvision's, with a stem for small images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.googlenet import BasicConv2d
from torchvision.models.googlenet import GoogLeNet as TorchvisionGoogLeNet

from idealfit.models._parts import check_knobs, has_small_images, init_weights, lay_out
from idealfit.spec import ConfigError

SMALLEST_SIDE = 3


class GoogLeNet(nn.Module):
    """torchvision's GoogLeNet (Szegedy et al., 2014): nine Inception modules, with batch norm.

    The two auxiliary classifiers of the paper are left out: batch norm does what they were for. Images of up to 64
    pixels get a 3x3 stem of stride 1 and no pool before the first module.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        dropout: Probability that one of the 1,024 features in front of the last layer is dropped; 0.2 is torchvision's.

    Raises:
        ConfigError: The images are too small.
    """

    def __init__(self, *, image_shape: tuple[int, int, int], num_classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout)
        if min(image_shape[1:]) < SMALLEST_SIDE:
            height, width = image_shape[1:]
            raise ConfigError(
                f"GoogLeNet: its last pool finds nothing left of the {height}x{width} images; take images of at least "
                f"{SMALLEST_SIDE}x{SMALLEST_SIDE}, or model=rnn for sequences"
            )
        self.net: Any = TorchvisionGoogLeNet(
            num_classes=num_classes, aux_logits=False, init_weights=False, dropout=dropout
        )
        num_channels = image_shape[0]
        if has_small_images(image_shape):
            self.net.conv1 = BasicConv2d(num_channels, 64, kernel_size=3, padding=1)
            self.net.maxpool1 = self.net.maxpool2 = nn.Identity()
        elif num_channels != 3:
            self.net.conv1 = BasicConv2d(num_channels, 64, kernel_size=7, stride=2, padding=3)
        init_weights(self, "relu")
        lay_out(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.net(images)
        return logits
