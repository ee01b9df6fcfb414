"""Curves over the epochs: overfitting, and the learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from idealfit.objective import GAP_KINDS
from idealfit.pictures.canvas import BEST, LEFT, ONSET, TRAIN, VAL, Anchor, Canvas, round_ticks
from idealfit.text import counted

TOP, BOTTOM, BETWEEN, WIDTH = 0.845, 0.085, 0.055, 0.755  # of the panels, as fractions of the figure
LOG_RATIO = 100.0  # a loss that falls further than this hides its rise on a linear axis
WORDS = 0.095  # half the height of two lines of words, as a fraction of a panel
HUGE = 1e100  # no axis can show it; NaN is not below it either
MARKERS_UP_TO = 40  # epochs; with more of them the points run into each other


def overfitting_curve(
    curves: Mapping[str, Sequence[float]], summaries: Mapping[str, float], path: Path, title: str
) -> None:
    """Draw train against validation, loss above accuracy (or r2), with the gap, best epoch and overfit onset marked.

    Args:
        curves: Each metric's values by epoch, from 0; a metric that is missing or not finite is left out.
        summaries: As `overfit.summarize` makes them.
        path: The PNG to write; its folder exists.
        title: What the picture is of; the finding is added.
    """
    panels = [name for name in ("loss", *GAP_KINDS) if _pair(curves, name) != ([], [])] or _other_pairs(curves)
    finding, detail = _finding(summaries)
    canvas = Canvas(f"{title}: {finding}", detail)
    height = (TOP - BOTTOM + BETWEEN) / max(len(panels), 1) - BETWEEN
    for row, name in enumerate(panels):
        axes = canvas.axes((LEFT, TOP - height - row * (height + BETWEEN), WIDTH, height))
        is_last = row == len(panels) - 1
        _draw_panel(canvas, axes, name, _pair(curves, name), summaries, is_first=row == 0, is_last=is_last)
    canvas.save(path)


def learning_rate_curve(curve: Sequence[float], path: Path, title: str) -> None:
    """Draw the learning rate at the start of each epoch.

    Args:
        curve: By epoch, from 0.
        path: The PNG to write; its folder exists.
        title: What the picture is of; the finding is added.
    """
    finite = [value for value in curve if math.isfinite(value)]
    first, last = (finite[0], finite[-1]) if finite else (math.nan, math.nan)
    finding = f"learning rate {first:.3g} throughout"
    if finite and min(finite) < max(finite):
        finding = f"learning rate from {first:.3g} to {last:.3g}"
    canvas = Canvas(f"{title}: {finding}", f"at the start of each of {counted(len(curve), 'epoch')}")
    axes = canvas.axes((LEFT + 0.015, 0.09, 0.86, 0.755))
    axes.plot(range(len(curve)), curve, color=TRAIN, lw=1.8, marker="o" if len(curve) <= MARKERS_UP_TO else None, ms=3)
    if finite and min(finite) > 0 and max(finite) / min(finite) > LOG_RATIO:
        axes.set_yscale("log")
    elif finite:
        axes.set_ylim(0, 1.08 * max(finite) or 1)
    _limit_epochs(axes, len(curve))
    canvas.finish(axes, ("epoch", "learning rate"), x=round_ticks(axes.get_xlim(), are_integers=True))
    canvas.save(path)


def _pair(curves: Mapping[str, Sequence[float]], name: str) -> tuple[list[float], list[float]]:
    train, val = (
        [value if abs(value) < HUGE else math.nan for value in curves.get(f"{part}/{name}", ())]
        for part in ("train", "val")
    )
    return train, val


def _other_pairs(curves: Mapping[str, Sequence[float]]) -> list[str]:
    """What to draw of a module that logs neither loss nor accuracy."""
    return sorted({name.partition("/")[2] for name in curves if name.startswith(("train/", "val/"))})[:2]


def _finding(summaries: Mapping[str, float]) -> tuple[str, str]:
    onset, rise = summaries.get("overfit/onset_epoch"), summaries.get("overfit/val_loss_rise")
    if not summaries:
        return "no finished epoch", ""
    finding = "no overfit onset" if onset is None else f"overfits from epoch {onset:.0f}"
    if onset is not None and rise is not None:
        finding += f", validation loss rises by {rise:.3g}"
    elif rise == 0 and summaries.get("best/epoch", 0) > 0:  # the lowest loss is the last one
        finding += ", validation loss still falls"
    parts = {"best/epoch": "best epoch {:.0f}", "best/val_accuracy": "validation accuracy {:.4f}"}
    parts |= {
        "best/val_r2": "validation r2 {:.4f}",
        "overfit/gap_at_best": "gap there {:+.4f}",
        "overfit/gap_final": "gap at the end {:+.4f}",
    }
    return finding, ", ".join(words.format(summaries[key]) for key, words in parts.items() if key in summaries)


def _draw_panel(
    canvas: Canvas,
    axes: Axes,
    name: str,
    pair: tuple[list[float], list[float]],
    summaries: Mapping[str, float],
    *,
    is_first: bool,
    is_last: bool,
) -> None:
    train, val = pair
    num_epochs = max(len(train), len(val), 1)
    marker = "o" if num_epochs <= MARKERS_UP_TO else None
    for values, colour, dashes in ((train, TRAIN, "--"), (val, VAL, "-")):
        axes.plot(range(len(values)), values, color=colour, ls=dashes, lw=1.8, marker=marker, ms=3)
    both = min(len(train), len(val))
    axes.fill_between(range(both), train[:both], val[:both], color=VAL, alpha=0.13, lw=0)
    if name == "loss" and _ratio([*train, *val]) > LOG_RATIO:
        axes.set_yscale("log")
        name = "loss (log scale)"
    _limit_epochs(axes, num_epochs)
    _mark_epochs(canvas, axes, summaries, num_epochs, with_words=is_first)
    _name_ends(canvas, axes, train, val)
    epochs = round_ticks(axes.get_xlim(), are_integers=True)
    if is_last:
        canvas.finish(axes, ("epoch", name), x=epochs)
    else:
        canvas.finish(axes, ("", name), x=[(epoch, "") for epoch, _ in epochs])


def _ratio(values: Sequence[float]) -> float:
    finite = [value for value in values if not math.isnan(value)]
    return max(finite) / min(finite) if finite and min(finite) > 0 else 1.0


def _limit_epochs(axes: Axes, num_epochs: int) -> None:
    margin = max(0.02 * num_epochs, 0.5)
    axes.set_xlim(-margin, num_epochs - 1 + margin)


def _mark_epochs(
    canvas: Canvas, axes: Axes, summaries: Mapping[str, float], num_epochs: int, *, with_words: bool
) -> None:
    marks: list[tuple[float, str, str, str]] = []
    if "best/epoch" in summaries:
        marks.append((summaries["best/epoch"], BEST, ":", f"best epoch {summaries['best/epoch']:.0f}"))
    if "overfit/onset_epoch" in summaries:
        onset = summaries["overfit/onset_epoch"]
        axes.axvspan(onset, axes.get_xlim()[1], color=ONSET, alpha=0.10, lw=0)
        marks.append((onset, ONSET, "-.", f"overfit onset {onset:.0f}"))
    marks.sort()
    _, bottom, _, height = axes.get_position().bounds
    for row, (epoch, colour, dashes, words) in enumerate(marks):
        axes.axvline(epoch, color=colour, ls=dashes, lw=1.5)
        if with_words:
            # The earlier mark's words stand to its left, unless there is no room.
            to_left = epoch > 0.25 * num_epochs and (row < len(marks) - 1 or epoch > 0.75 * num_epochs)
            at = (canvas.place(axes, epoch, axes.get_ylim()[0])[0], bottom + (0.97 - 0.08 * row) * height)
            anchor: Anchor = "ra" if to_left else "la"
            canvas.write(
                at, words, size=9.5, colour=colour, is_bold=True, anchor=anchor, shift_px=(-5 if to_left else 5, 0)
            )


def _name_ends(canvas: Canvas, axes: Axes, train: Sequence[float], val: Sequence[float]) -> None:
    """Name the curves where they end, instead of a legend."""
    left, bottom, width, height = axes.get_position().bounds
    ends = [(values[-1], words, colour) for values, words, colour in _named(train, val) if not math.isnan(values[-1])]
    rows = [(canvas.place(axes, axes.get_xlim()[0], value)[1] - bottom) / height for value, _, _ in ends]
    if len(rows) == 2 and abs(rows[0] - rows[1]) < 2 * WORDS:
        middle, sign = sum(rows) / 2, 1 if rows[0] >= rows[1] else -1
        middle = min(max(middle, 1.5 * WORDS), 1 - 1.5 * WORDS)
        rows = [middle + sign * WORDS, middle - sign * WORDS]
    for (value, words, colour), row in zip(ends, rows, strict=True):
        at = (left + 1.01 * width, bottom + row * height)
        canvas.write(at, f"{words}\n{value:.4g}", size=9.5, colour=colour, is_bold=True, anchor="lm")


def _named(train: Sequence[float], val: Sequence[float]) -> list[tuple[Sequence[float], str, str]]:
    return [(v, words, colour) for v, words, colour in ((train, "train", TRAIN), (val, "validation", VAL)) if v]
