"""What the first layer of a network looks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idealfit.pictures.canvas import INK, Canvas, coloured, short
from idealfit.pictures.sheet import lay_out

SIDE_PX = 24  # of each at least
COLOURS = "RdBu_r"  # red adds to the score, blue takes away, white does not care


def first_layer(kernels: NDArray[np.float16], class_names: Sequence[str], path: Path, title: str) -> None:
    """Draw the weights that each unit of the first layer has for each pixel; colour images in their own colours.

    Args:
        kernels: `[N, C, h, w]`.
        class_names: In label order; templates of a linear classifier, one for each class, are named by them.
        path: The PNG to write; its folder exists.
        title: What the picture is of; the finding is added.
    """
    count, channels, height, width = kernels.shape
    if not count:
        return
    # The sides of usual kernels are odd and at most 11.
    is_template = count == len(class_names) and (height % 2 == 0 or height > 11)
    what = "the template of each class" if is_template else f"the first {count} of the first layer's kernels"
    meaning = "each in its own colours" if channels == 3 else "red adds, blue takes away"
    canvas = Canvas(f"{title}: {what}", f"weights of {height}x{width} pixels, {meaning}")
    columns = math.ceil(math.sqrt(1.4 * count))
    zoom = -(-SIDE_PX // min(height, width))  # so that the room between two can be less than a weight
    tiles = _tiles(kernels).repeat(zoom, axis=1).repeat(zoom, axis=2)
    size = tiles.shape[1:3]
    step = (round(size[0] * (1.25 if is_template else 1.12)), round(size[1] * 1.12))
    sheet = canvas.paste((0.04, 0.03, 0.92, 0.84), lay_out(tiles, step, columns, 255))
    if is_template:
        for index, name in enumerate(class_names):
            row, column = divmod(index, columns)
            x, y = column * step[1] + size[1] / 2, (row + 1) * step[0] - size[0] * 1.03
            canvas.write(sheet.place(x, y), short(name), size=9.5, colour=INK, anchor="ms")
    canvas.save(path)


def _tiles(kernels: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Each as colours `[N, h, w, 3]`, scaled by its own largest weight."""
    weights: NDArray[np.float32] = kernels.astype(np.float32)
    largest: NDArray[np.float32] = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    weights /= np.where(largest > 0, largest, np.float32(1))
    if kernels.shape[1] == 3:
        colours: NDArray[np.uint8] = (127.5 * (weights.transpose(0, 2, 3, 1) + 1)).round().astype(np.uint8)
        return colours
    return coloured((weights.mean(axis=1) + 1) / 2, COLOURS)
