"""Where each pixel of a moved image comes from: rotation, shift, scaling, flip, and elastic displacement."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ELASTIC_NODES = 4  # along a side: coarser is a plain bend, finer breaks strokes


def draw_affine(images: Tensor, *, rotate_degrees: float, shift_fraction: float, scale: float, flip_p: float) -> Tensor:
    """Float `[B, 2, 3]`: from a place in the new image to its place in the old, in units of half an image side."""
    height, width = images.shape[-2:]
    turn, zoom, right, down = torch.rand(4, len(images)).mul_(2.0).sub_(1.0)
    mirror = 1.0 - 2.0 * (torch.rand(len(images)) < flip_p).float()
    angle = turn * math.radians(rotate_degrees)
    stretch = 1.0 / (1.0 + zoom * scale)
    cosine, sine = angle.cos() * stretch, angle.sin() * stretch
    # Coordinates run from -1 to 1 along both sides: on an oblong image a turn mixes them by the ratio of the sides.
    across = mirror * torch.stack([cosine, sine * (height / width), right * (2.0 * shift_fraction)])
    along = torch.stack([-sine * (width / height), cosine, down * (2.0 * shift_fraction)])
    return torch.stack([across, along]).permute(2, 0, 1).to(images)


def sampling_grid(affine: Tensor, images: Tensor) -> Tensor:
    """What `affine_grid` gives, `[B, H, W, 2]`, from sums of rows and columns: a fifth of its time for 128 of 28x28."""
    height, width = images.shape[-2:]
    y = (torch.arange(height, device=images.device, dtype=affine.dtype) + 0.5) * (2.0 / height) - 1.0
    x = (torch.arange(width, device=images.device, dtype=affine.dtype) + 0.5) * (2.0 / width) - 1.0
    along_width = affine[:, :, 0:1] * x + affine[:, :, 2:3]
    along_height = affine[:, :, 1:2] * y
    # Planar in memory, `[B, 2, H, W]`: grid_sample reads that fastest.
    return (along_height.unsqueeze(3) + along_width.unsqueeze(2)).permute(0, 2, 3, 1)


def draw_displacements(images: Tensor, strength: float) -> Tensor:
    """Smooth displacements `[B, H, W, 2]` for a sampling grid: normal ones on a coarse grid, cubic in between.

    After Ronneberger et al., "U-Net", 2015, section 3.1; the idea is that of Simard et al., 2003, "Best practices for
    convolutional neural networks applied to visual document analysis".

    Args:
        images: `[B, C, H, W]`.
        strength: Standard deviation as a fraction of the side.
    """
    nodes = torch.randn(len(images), 2, ELASTIC_NODES, ELASTIC_NODES).to(images) * (2.0 * strength)
    field = F.interpolate(nodes, size=images.shape[-2:], mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)
