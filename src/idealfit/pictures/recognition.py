"""How well each class is told from the rest: ROC and precision-recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cbook import pts_to_prestep
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from idealfit.pictures.canvas import GRID, LEFT, PALETTE, TRAIN, Canvas, short
from idealfit.pictures.rates import F1, Curve, Values, one_against_rest
from idealfit.predictions import Predictions

MAX_CLASSES = 60  # whose curves are all computed; of more, those of the hardest and of some others
NUM_NAMED = 10
NUM_OTHERS = 30
MIN_IMAGES = 5  # of one class among many: fewer make a step, no curve


def class_curves(predictions: Predictions, class_names: Sequence[str], path: Path, title: str) -> None:
    """Draw ROC (left) and precision-recall (right) of each class against the rest; the hardest classes are named.

    Of more than `MAX_CLASSES`, some are drawn, the hardest among them; where most of them have hardly an image, each is
    a point instead.

    Args:
        predictions: Of the validation images.
        class_names: In label order.
        path: The PNG to write; its folder exists. Where all images are of one class, there is nothing to draw.
        title: What the picture is of; the finding is added.
    """
    if len(np.unique(predictions.labels)) < 2:
        return
    is_small = predictions.num_classes <= MAX_CLASSES
    f1 = F1.of(predictions)
    counts = np.bincount(predictions.labels[predictions.scored], minlength=predictions.num_classes)
    drawable = np.flatnonzero(counts >= (1 if is_small else MIN_IMAGES))
    if len(drawable) < 2:
        canvas = _points(f1, class_names, title)
    else:
        chosen = drawable if is_small else _some(drawable, f1.values)
        curves = [one_against_rest(predictions, int(index), class_names[index]) for index in chosen]
        if not is_small:  # the hardest of all classes are known by F1 alone
            curves = [replace(curve, score=f1.values[index]) for curve, index in zip(curves, chosen, strict=True)]
        measure = "average precision" if is_small else "F1"
        canvas = _curves(sorted(curves, key=lambda curve: curve.score), f1, title, measure)
    canvas.save(path)


def _some(classes: NDArray[np.int64], f1: Values) -> NDArray[np.int64]:
    """The hardest of many classes, and others evenly spread from hard to easy."""
    order = classes[np.argsort(f1[classes], kind="stable")]
    places = list(range(min(NUM_NAMED, len(order))))
    if len(order) > NUM_NAMED:
        places += np.linspace(NUM_NAMED, len(order) - 1, NUM_OTHERS).round().astype(int).tolist()
    some: NDArray[np.int64] = order[np.unique(places)]
    return some


def _curves(curves: Sequence[Curve], f1: F1, title: str, measure: str) -> Canvas:
    """Both pictures, of `curves` from hard to easy by `measure`."""
    num_classes = len(f1.hardest)
    areas, precisions = ([getattr(curve, name) for curve in curves] for name in ("area", "average_precision"))
    means = f"mean ROC AUC {np.mean(areas):.4f}, mean average precision {np.mean(precisions):.4f}"
    if len(curves) < num_classes:
        means = f"{len(curves)} of {num_classes:,} classes, mean F1 of all {np.nanmean(f1.values):.4f}"
    finding = f"{short(curves[0].name)} is the hardest class, {measure} {curves[0].score:.3f}"
    canvas = Canvas(f"{title}: {finding}", f"each class against the rest; {means}")
    roc = canvas.axes((LEFT, 0.11, 0.33, 0.735))
    precision = canvas.axes((LEFT + 0.41, 0.11, 0.33, 0.735))
    for axes in (roc, precision):
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
    roc.set_xscale("log", nonpositive="clip")  # what matters of a good classifier happens near 0
    roc.set_xlim(min([0.1, *(each.false[each.false > 0].min() for each in curves if each.false.any())]), 1)
    _draw_curves(roc, [(each.false, each.true) for each in curves])
    _draw_curves(precision, [(each.recall, each.precision) for each in curves], are_steps=True)
    canvas.finish(roc, ("false positive rate (log scale)", "true positive rate"))
    canvas.finish(precision, ("recall", "precision"))
    named = curves[:NUM_NAMED]
    head = [f"hardest {len(named)}:"] if num_classes > len(named) else []
    _draw_names(canvas, [*head, measure], [f"{short(each.name, 12)} {each.score:.3f}" for each in named])
    return canvas


def _points(f1: F1, class_names: Sequence[str], title: str) -> Canvas:
    """Recall against precision, a point for each class."""
    hardest, values = f1.hardest, f1.values[f1.hardest]
    finding = (
        f"half of the {len(hardest):,} classes reach F1 {np.median(values):.3f}, {(values == 0).sum():,} have none"
    )
    canvas = Canvas(f"{title}: {finding}", "each point a class; too few images of each for ROC curves")
    axes = canvas.axes((LEFT, 0.11, 0.74, 0.735))
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    named = hardest[:NUM_NAMED]
    axes.scatter(f1.recall[hardest], f1.precision[hardest], s=12, color=TRAIN, alpha=0.25, lw=0)
    colours = PALETTE[: len(named)]
    axes.scatter(f1.recall[named], f1.precision[named], s=40, c=colours, clip_on=False, zorder=3)
    canvas.finish(axes, ("recall", "precision"))
    _draw_names(
        canvas,
        [f"hardest {len(named)}:", "F1"],
        [f"{short(class_names[index], 12)} {f1.values[index]:.3f}" for index in named],
    )
    return canvas


def _draw_names(canvas: Canvas, head: Sequence[str], names: Sequence[str]) -> None:
    """What the colours mean, at the right; matplotlib's own legend takes as long as the curves."""
    left, top, step = LEFT + 0.76, 0.83, 0.032
    for row, words in enumerate(head):
        canvas.write((left, top - row * step), words, size=8.5, anchor="lm")
    for row, (words, colour) in enumerate(zip(names, PALETTE, strict=False), len(head)):
        y = top - row * step
        canvas.line((left, y), (left + 0.016, y), colour)
        canvas.write((left + 0.022, y), words, size=8.5, anchor="lm")


def _draw_curves(axes: Axes, curves: Sequence[tuple[Values, Values]], *, are_steps: bool = False) -> None:
    """One line a class, from hard to easy: the hardest ones coloured, over the others."""
    lines = [_visible(axes, x, y) for x, y in curves]
    points = [np.column_stack(tuple(pts_to_prestep(x, y)) if are_steps else (x, y)) for x, y in lines]
    colours = [PALETTE[place] if place < NUM_NAMED else GRID for place in range(len(lines))]
    widths = [1.5 if place < NUM_NAMED else 0.7 for place in range(len(lines))]
    # One artist for all lines: an artist each takes longer to make than to draw.
    axes.add_collection(LineCollection(points[::-1], colors=colours[::-1], linewidths=widths[::-1]), autolim=False)


def _visible(axes: Axes, x: Values, y: Values) -> tuple[Values, Values]:
    """Without points that fall into the pixel of the one before."""
    pixels = axes.transData.transform(np.column_stack((x, y))).round()
    is_visible = np.append(True, np.any(np.diff(pixels, axis=0) != 0, axis=1))
    return x[is_visible], y[is_visible]
