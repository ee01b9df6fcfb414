"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idealfit.pictures.canvas import INK, VAL, Canvas, coloured, round_ticks, short
from idealfit.predictions import Predictions

MAX_MATRIX_CLASSES = 60  # a larger matrix is a grey square: its most frequent confusions are listed instead
MAX_NUMBERED_CLASSES = 20
NUM_CONFUSIONS = 20
MAX_LETTERS = 90  # in one line below the matrix; longer names are turned


def confusion_matrix(predictions: Predictions, class_names: Sequence[str], path: Path, title: str) -> None:
    """Draw which class is taken for which; of many classes, the confusions that happen most.

    Args:
        predictions: Of the validation images.
        class_names: In label order.
        path: The PNG to write; its folder exists.
        title: What the picture is of; the finding is added.
    """
    labels, predicted = predictions.labels, predictions.predicted
    pairs = _confusions(labels, predicted, predictions.num_classes)
    finding, detail = _finding(pairs, labels, class_names)
    canvas = Canvas(f"{title}: {finding}", detail)
    if predictions.num_classes <= MAX_MATRIX_CLASSES:
        _draw_matrix(canvas, labels, predicted, class_names, predictions.num_classes)
    else:
        _draw_confusions(canvas, pairs[:NUM_CONFUSIONS], class_names)
    canvas.save(path)


def _finding(
    pairs: Sequence[tuple[int, int, int]], labels: NDArray[np.int64], class_names: Sequence[str]
) -> tuple[str, str]:
    num_wrong = sum(count for count, _, _ in pairs)
    overall = f"{1 - num_wrong / len(labels):.2%} of {len(labels):,} validation images are right"
    if not pairs:
        return "no image is taken for another class", overall
    count, right, given = pairs[0]
    finding = f"{short(class_names[right])} is most often taken for {short(class_names[given])}"
    detail = f"{count:,} of its {(labels == right).sum():,} images"
    if num_equal := sum(each == count for each, _, _ in pairs[1:]):
        detail += f", as often as {num_equal:,} other {'error' if num_equal == 1 else 'errors'}"
    return finding, f"{detail}; {overall}"


def _confusions(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int
) -> list[tuple[int, int, int]]:
    """(count, right class, given class), the most frequent first."""
    wrong = labels != predicted
    codes, counts = np.unique(labels[wrong] * num_classes + predicted[wrong], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(int(counts[i]), int(codes[i] // num_classes), int(codes[i] % num_classes)) for i in order]


def _draw_matrix(
    canvas: Canvas,
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    class_names: Sequence[str],
    num_classes: int,
) -> None:
    matrix = np.bincount(labels * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [short(name, 12) for name in class_names]
    places = range(num_classes) if num_classes <= MAX_NUMBERED_CLASSES else range(0, num_classes, 5)
    are_long = max(map(len, names)) * len(places) > MAX_LETTERS
    bottom = 0.2 if are_long else 0.1
    place = (0.19, bottom, 0.78, 0.85 - bottom)
    # The right ones are far more than the wrong ones: a root shows both.
    pasted = canvas.paste(place, coloured(np.sqrt(shares), "Blues"), is_stretched=True)
    if num_classes <= MAX_NUMBERED_CLASSES:
        for right, given in np.argwhere(matrix):
            colour = "white" if shares[right, given] > 0.4 else VAL if right != given else INK
            at = pasted.place(given + 0.5, right + 0.5)
            canvas.write(at, f"{matrix[right, given]:,}", size=8, colour=colour, anchor="mm")
    recalls = [f"{names[i]}  {shares[i, i]:.1%}" if matrix[i].sum() else names[i] for i in places]
    middles = [pasted.place(i + 0.5, i + 0.5) for i in places]
    canvas.name(
        place,
        ("class given", "right class, with the share that is recognised"),
        x=[(column, names[i]) for i, (column, _) in zip(places, middles, strict=True)],
        y=[(row, words) for words, (_, row) in zip(recalls, middles, strict=True)],
        size=8.5,
        is_upright=are_long,
    )


def _draw_confusions(canvas: Canvas, pairs: Sequence[tuple[int, int, int]], class_names: Sequence[str]) -> None:
    axes = canvas.axes((0.36, 0.1, 0.6, 0.75))
    words = [f"{short(class_names[right], 18)} → {short(class_names[given], 18)}" for _, right, given in pairs]
    axes.barh(range(len(pairs)), [count for count, _, _ in pairs], color=VAL, height=0.7)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlim(0, 1.03 * max([1, *(count for count, _, _ in pairs)]))
    canvas.finish(
        axes,
        ("images", "right class → class given, the most frequent confusions"),
        x=round_ticks(axes.get_xlim(), are_integers=True),
        y=list(enumerate(words)),
        size=8.5,
    )
