"""Holes in images."""

from __future__ import annotations

import torch
from torch import Tensor


def cut_out(images: Tensor, side: float) -> Tensor:
    """Set a square at a random place to 0, which is the mean of normalised images; at an edge it is cut off.

    DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.

    Args:
        images: `[B, C, H, W]`.
        side: Of the square, as a fraction of the image's.
    """
    height, width = images.shape[-2:]
    center_y, center_x = (torch.rand(2, len(images), 1, 1, 1)).to(images)
    y = (torch.arange(height, device=images.device, dtype=images.dtype) + 0.5).div(height).view(1, 1, -1, 1)
    x = (torch.arange(width, device=images.device, dtype=images.dtype) + 0.5).div(width).view(1, 1, 1, -1)
    inside = ((y - center_y).abs() < side / 2) & ((x - center_x).abs() < side / 2)
    return images.masked_fill(inside, 0.0)
