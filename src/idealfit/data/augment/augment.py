"""All augmentations in one module, each off at 0."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idealfit.data.augment.affine import draw_affine, draw_displacements, sampling_grid
from idealfit.data.augment.color import adjust_brightness, adjust_contrast, adjust_saturation, make_grey
from idealfit.data.augment.cutout import cut_out
from idealfit.data.augment.mixup import mix_up
from idealfit.spec import ConfigError


@final
class Augment(nn.Module):
    """Changes every image of a batch by amounts of its own, uniformly drawn; all zeros leaves the batch as it is.

    Args:
        rotate_degrees: Rotate by up to this many degrees either way.
        shift_fraction: Shift by up to this fraction of the side, in both directions.
        scale: Enlarge or shrink by up to this fraction. With `shift_fraction` it is a random crop.
        flip_p: Probability of a left-right flip.
        elastic: Bend smoothly: standard deviation of the displacement as a fraction of the side, e.g. 0.03.
        brightness: Add up to this many standard deviations of the pixels, either way.
        contrast: Raise or lower the contrast by up to this fraction.
        saturation: Raise or lower the saturation by up to this fraction.
        grey_p: Probability of an image without colour.
        cutout: Side of a square hole, as a fraction of the image's side.
        mixup: Mix images and their labels in pairs; the parameter of the Beta distribution, e.g. 0.2.

    Raises:
        ConfigError: A value is out of its range.
    """

    def __init__(
        self,
        rotate_degrees: float = 0.0,
        shift_fraction: float = 0.0,
        scale: float = 0.0,
        flip_p: float = 0.0,
        elastic: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        grey_p: float = 0.0,
        cutout: float = 0.0,
        mixup: float = 0.0,
    ) -> None:
        super().__init__()
        self.rotate_degrees = _checked("rotate_degrees", rotate_degrees, 180.0)
        self.shift_fraction = _checked("shift_fraction", shift_fraction, 1.0)
        self.scale = _checked("scale", scale, 0.95)
        self.flip_p = _checked("flip_p", flip_p, 1.0)
        self.elastic = _checked("elastic", elastic, 0.5)
        self.brightness = _checked("brightness", brightness, 10.0)
        self.contrast = _checked("contrast", contrast, 1.0)
        self.saturation = _checked("saturation", saturation, 1.0)
        self.grey_p = _checked("grey_p", grey_p, 1.0)
        self.cutout = _checked("cutout", cutout, 1.0)
        self.mixup = _checked("mixup", mixup, 100.0)

    def forward(self, images: Tensor) -> Tensor:
        """Float `[B, C, H, W]` to the same shape. Draws from torch's global CPU generator, on every device."""
        images = self._recolor(self._move(images))
        return cut_out(images, self.cutout) if self.cutout else images

    @property
    def mixes(self) -> bool:
        """See `Mixing`."""
        return self.mixup > 0

    def mix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """See `Mixing`."""
        return mix_up(images, targets, self.mixup)

    def _move(self, images: Tensor) -> Tensor:
        if self.rotate_degrees or self.shift_fraction or self.scale or self.elastic:
            affine = draw_affine(
                images,
                rotate_degrees=self.rotate_degrees,
                shift_fraction=self.shift_fraction,
                scale=self.scale,
                flip_p=self.flip_p,
            )
            grid = sampling_grid(affine, images)
            if self.elastic:
                grid = grid + draw_displacements(images, self.elastic)
            # Beyond the edge: repeat the edge. On drawings and digits the edge is the background, whatever it became in
            # normalising; on photographs it is nearer to what lies there than zeros, which mean average grey.
            return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
        if self.flip_p:
            mirrored = torch.rand(len(images), 1, 1, 1) < self.flip_p
            return torch.where(mirrored.to(images.device), images.flip(-1), images)
        return images

    def _recolor(self, images: Tensor) -> Tensor:
        if self.brightness:
            images = adjust_brightness(images, self.brightness)
        if self.contrast:
            images = adjust_contrast(images, self.contrast)
        if self.saturation:
            images = adjust_saturation(images, self.saturation)
        return make_grey(images, self.grey_p) if self.grey_p else images


def _checked(name: str, value: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= high:
        raise ConfigError(f"augment.{name} must be a number between 0 and {high:g}, got {value!r}")
    return float(value)
