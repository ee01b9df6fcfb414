"""What a network looks at: saliency, feature maps, the neighbours that vote. Where there is none, nothing is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idealfit.pictures.canvas import BEST, VAL, Canvas, short
from idealfit.pictures.sheet import lay_out
from idealfit.predictions import Predictions

NUM_PAIRS, PAIRS_IN_A_ROW = 16, 4  # images, each beside its saliency
GAP = 0.3  # above a row, for words, in heights of an image


def saliency(predictions: Predictions, class_names: Sequence[str], path: Path, title: str) -> None:
    """Draw the images that a network gets most wrong, each beside what counted for the class that it gave.

    Args:
        predictions: Of the validation images.
        class_names: In label order.
        path: The PNG to write; its folder exists.
        title: What the picture is of.
    """
    maps = predictions.saliency[:NUM_PAIRS]
    if not len(maps):
        return
    canvas = Canvas(f"{title}: which pixels count", "right: size of the gradient of the given class, white is largest")
    images = _grey(predictions.worst_images[: len(maps)])
    pairs = np.concatenate([images, maps], axis=2)
    given = predictions.predicted[predictions.worst[: len(maps)]]
    right = predictions.labels[predictions.worst[: len(maps)]]
    words = [
        (short(class_names[a], 11) + ("" if a == b else f", is {short(class_names[b], 9)}"), BEST if a == b else VAL)
        for a, b in zip(given, right, strict=True)
    ]
    _draw(canvas, pairs, PAIRS_IN_A_ROW, path, words=words)


def feature_maps(predictions: Predictions, path: Path, title: str) -> None:
    """Draw what each kernel of the first convolution makes of the image that is most wrong.

    Args:
        predictions: Of the validation images.
        path: The PNG to write; its folder exists.
        title: What the picture is of.
    """
    maps = predictions.feature_maps
    if not len(maps):
        return
    words = f"the first convolution's answers to validation image {predictions.worst[0]}, each from 0 to its largest"
    _draw(Canvas(f"{title}: {len(maps)} feature maps", words), maps, 8, path)


def nearest_neighbours(predictions: Predictions, path: Path, title: str) -> None:
    """Draw the images that are most wrong, each with the training images that are nearest to it.

    Args:
        predictions: Of the validation images.
        path: The PNG to write; its folder exists.
        title: What the picture is of.
    """
    rows = predictions.neighbours
    if not len(rows):
        return
    canvas = Canvas(f"{title}: nearest neighbours", "first of each row: a validation image; then those that voted")
    _draw(canvas, _grey(rows.reshape(-1, *rows.shape[2:])), rows.shape[1], path)


def _grey(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`[N, C, H, W]` to `[N, H, W]`."""
    grey: NDArray[np.uint8] = images.mean(axis=1).round().astype(np.uint8)
    return grey


def _draw(
    canvas: Canvas,
    tiles: NDArray[np.uint8],
    num_columns: int,
    path: Path,
    *,
    words: Sequence[tuple[str, str]] = (),
) -> None:
    height, width = tiles.shape[1:3]
    step = (round(height * (1 + (GAP if words else 0.1))) + 1, round(width * 1.08) + 1)
    sheet = canvas.paste((0.03, 0.02, 0.94, 0.85), lay_out(tiles, step, num_columns, fill=255))
    for place, (text, colour) in enumerate(words):
        row, column = divmod(place, num_columns)
        x, y = column * step[1] + width / 2, (row + 1) * step[0] - (1 + GAP / 2) * height
        canvas.write(sheet.place(x, y), text, size=8.5, colour=colour, anchor="mm")
    canvas.save(path)
