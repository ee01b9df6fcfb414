"""Random brightness, contrast and saturation of normalised images, each image by an amount of its own."""

from __future__ import annotations

import torch
from torch import Tensor


def adjust_brightness(images: Tensor, strength: float) -> Tensor:
    """Add up to `strength` standard deviations, either way."""
    return images + _uniform(images, -strength, strength)


def adjust_contrast(images: Tensor, strength: float) -> Tensor:
    """Stretch about each image's mean, by 1 - `strength` to 1 + `strength`."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * _uniform(images, 1.0 - strength, 1.0 + strength)


def adjust_saturation(images: Tensor, strength: float) -> Tensor:
    """Stretch the channels about their mean, by 1 - `strength` to 1 + `strength`; 0 would be grey."""
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * _uniform(images, 1.0 - strength, 1.0 + strength)


def make_grey(images: Tensor, p: float) -> Tensor:
    """Give a share `p` of the images one value for all channels, their mean."""
    chosen = (torch.rand(len(images), 1, 1, 1) < p).to(images.device)
    return torch.where(chosen, images.mean(1, keepdim=True), images)


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    return torch.empty(len(images), 1, 1, 1).uniform_(low, high).to(images)
