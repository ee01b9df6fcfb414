"""The validation images that a network gets most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from idealfit.pictures.canvas import BEST, VAL, Canvas, short
from idealfit.pictures.sheet import lay_out
from idealfit.predictions import Predictions

NUM_COLUMNS = 8
GAP = 0.45  # above an image, for its words, in heights of an image


def worst_images(predictions: Predictions, class_names: Sequence[str], path: Path, title: str) -> None:
    """Draw the images whose right class got the least probability, with the right class and the one given.

    Args:
        predictions: Of the validation images.
        class_names: In label order.
        path: The PNG to write; its folder exists.
        title: What the picture is of; the finding is added.
    """
    labels, predicted = predictions.labels[predictions.worst], predictions.predicted[predictions.worst]
    num_wrong = int((predictions.labels != predictions.predicted).sum())
    finding = f"{num_wrong:,} of {len(predictions.labels):,} validation images are taken for another class"
    canvas = Canvas(f"{title}: {finding}", "the worst first: class given, where right class is another below it")
    if len(labels):
        tiles = predictions.worst_images.transpose(0, 2, 3, 1)
        size_px = tiles.shape[1:3]
        step = (round(size_px[0] * (1 + GAP)) + 1, round(size_px[1] * 1.15) + 1)
        tiles = tiles if tiles.shape[3] == 3 else tiles[..., 0]
        sheet = canvas.paste((0.03, 0.02, 0.94, 0.85), lay_out(tiles, step, NUM_COLUMNS, fill=255))
        for place, (right, given) in enumerate(zip(labels, predicted, strict=True)):
            row, column = divmod(place, NUM_COLUMNS)
            is_right = right == given
            words = short(class_names[given], 11) + ("" if is_right else f"\nis {short(class_names[right], 9)}")
            x, y = column * step[1] + size_px[1] / 2, (row + 1) * step[0] - (1 + GAP / 2) * size_px[0]
            colour = BEST if is_right else VAL
            canvas.write(sheet.place(x, y), words, size=8.5, colour=colour, anchor="mm")
    canvas.save(path)
