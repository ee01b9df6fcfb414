"""ZCA whitening as the first, fixed layer of a network: it is kept with the weights, and whatever uses them has it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn

from idealfit.spec import ConfigError

MOST_PIXELS = 4096  # all channels together: the matrix has the square of it
EXACT = 256  # images at a time: sums of so many products of bytes are whole numbers that float32 holds


@final
class Whitening(nn.Module):
    """Images `[B, C, H, W]` to images whose pixels are uncorrelated, and as much like the original as can be (ZCA).

    Bell and Sejnowski (1997); Krizhevsky (2009) has it for small images. Until it is fitted it changes nothing.

    Args:
        image_shape: Channels, height, width.
        epsilon: Added to each variance, which is about 1 for a normalised pixel: what varies less stays small.

    Raises:
        ConfigError: The images are too large for a matrix over all pairs of pixels.
    """

    matrix: Tensor
    center: Tensor

    def __init__(self, image_shape: tuple[int, int, int], epsilon: float) -> None:
        super().__init__()
        num_pixels = math.prod(image_shape)
        if num_pixels > MOST_PIXELS:
            raise ConfigError(
                f"model.zca_epsilon: images of {num_pixels} pixels and channels take a matrix of {num_pixels} x "
                f"{num_pixels} numbers; up to {MOST_PIXELS} are whitened. Take smaller images, or zca_epsilon=null"
            )
        self.epsilon = epsilon
        self.register_buffer("matrix", torch.eye(num_pixels))
        self.register_buffer("center", torch.zeros(num_pixels))

    def fit(self, images: Iterable[Tensor], mean: Tensor, std: Tensor) -> None:
        """Learn from images as they are stored: exactly, whatever the order and number of threads, up to the last step.

        Args:
            images: Batches of uint8 `[B, C, H, W]`.
            mean: `[C]`, that normalised images have lost.
            std: `[C]`, that they were divided by.
        """
        num_pixels = len(self.center)
        total, products, count = torch.zeros(num_pixels).double(), torch.zeros(num_pixels, num_pixels).double(), 0
        for batch in images:
            for piece in torch.split(batch, EXACT):
                pixels = piece.flatten(1).cpu().float()
                total += pixels.sum(dim=0).double()
                products += (pixels.T @ pixels).double()
                count += len(pixels)
        center = total / count
        spread = std.double().cpu().repeat_interleave(num_pixels // len(std))
        shift = mean.double().cpu().repeat_interleave(num_pixels // len(mean))
        covariance = (products / count - torch.outer(center, center)) / torch.outer(spread, spread)
        variances, directions = torch.linalg.eigh(covariance)
        matrix = directions @ ((variances.clamp(min=0) + self.epsilon).rsqrt()[:, None] * directions.T)
        self.matrix.copy_(matrix)
        self.center.copy_((center - shift) / spread)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised float `[B, C, H, W]` to the same shape."""
        if torch.is_autocast_enabled(images.device.type):  # half precision would put back what is taken out
            with torch.autocast(images.device.type, enabled=False):
                return self._whitened(images.float())
        return self._whitened(images)

    def _whitened(self, images: Tensor) -> Tensor:
        return ((images.flatten(1) - self.center) @ self.matrix).view_as(images)


@final
class Whitened(nn.Module):
    """A network that sees whitened images.

    Args:
        whitening: Images to images.
        net: Images to logits.
    """

    def __init__(self, whitening: Whitening, net: nn.Module) -> None:
        super().__init__()
        self.whitening = whitening
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Float `[B, C, H, W]` to logits."""
        logits: Tensor = self.net(self.whitening(images))
        return logits
