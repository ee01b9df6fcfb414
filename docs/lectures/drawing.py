"""A claim's picture: means over seeds, with the range of the seeds."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.lectures.trials import Point, Trial, by_point
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from idealfit.pictures.canvas import (
    DETAIL_Y,
    DPI,
    FRAME,
    GRID,
    HEADING_LETTERS,
    HEADING_SIZE,
    HEADING_Y,
    HEIGHT_PX,
    INK,
    LEFT,
    PALETTE,
    WIDTH_PX,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_RATIO = 10.0  # values that span more are evenly spread on a log axis
LETTER = 0.0075  # of a name beside its row, as a fraction of the width
AXES = (LEFT + 0.02, 0.1, 0.86, 0.76)


def draw_values(
    trials: Sequence[Trial], path: Path, *, heading: str, detail: str, metric: str, across: str, lines: str | None
) -> None:
    """Draw `metric` against the searched key `across`, a line for each value of `lines`."""
    figure = _figure(heading, detail)
    axes = figure.add_axes(AXES)
    ticks = list(dict.fromkeys(trial.params[across] for trial in trials))
    places = _places(axes, ticks)
    for colour, value in zip(PALETTE, dict.fromkeys(trial.params.get(lines or "") for trial in trials), strict=False):
        line = [trial for trial in trials if trial.params.get(lines or "") == value]
        ys = [_finite(trial.measure(metric) for trial in line if trial.params[across] == tick) for tick in ticks]
        shown = [(place, found) for place, found in zip(places, ys, strict=True) if found]
        means = [statistics.fmean(found) for _, found in shown]
        low = [mean - min(found) for mean, (_, found) in zip(means, shown, strict=True)]
        high = [max(found) - mean for mean, (_, found) in zip(means, shown, strict=True)]
        name = f"{_last(lines)} {value}" if lines else None
        axes.errorbar(
            [x for x, _ in shown], means, (low, high), color=colour, lw=1.8, marker="o", capsize=4, label=name
        )
    axes.set_xlabel(across, color=INK, fontsize=10)
    if "loss" in metric:
        axes.set_yscale("log")
    _finish(axes, metric, has_legend=lines is not None)
    figure.savefig(path, format="png", dpi=DPI)


def draw_curves(trials: Sequence[Trial], path: Path, *, heading: str, detail: str, metric: str) -> None:
    """Draw `metric` over the epochs, a line for each point, in a band from the least to the most of the seeds."""
    figure = _figure(heading, detail)
    axes = figure.add_axes(AXES)
    for colour, (point, group) in zip(PALETTE, by_point(trials).items(), strict=False):
        epochs = list(zip(*(trial.curves.get(metric, []) for trial in group if not trial.has_diverged), strict=False))
        if not epochs:
            continue
        x = range(1, len(epochs) + 1)
        axes.plot(x, [statistics.fmean(values) for values in epochs], color=colour, lw=1.8, label=words(point))
        axes.fill_between(x, [min(v) for v in epochs], [max(v) for v in epochs], color=colour, alpha=0.15, lw=0)
    axes.set_xlabel("epochs", color=INK, fontsize=10)
    if "loss" in metric:
        axes.set_yscale("log")
    _finish(axes, metric, has_legend=True)
    figure.savefig(path, format="png", dpi=DPI)


def draw_points(trials: Sequence[Trial], path: Path, *, heading: str, detail: str, metric: str) -> None:
    """Draw `metric` of each point, one below the other."""
    figure = _figure(heading, detail)
    groups = by_point(trials)
    names = [words(point) for point in groups]
    left = min(0.45, 0.05 + LETTER * max(map(len, names)))
    axes = figure.add_axes((left, AXES[1], 0.97 - left, AXES[3]))
    for place, (colour, group) in enumerate(zip(itertools.cycle(PALETTE), groups.values(), strict=False)):
        found = _finite(trial.measure(metric) for trial in group)
        if found:
            mean = statistics.fmean(found)
            whiskers = ([mean - min(found)], [max(found) - mean])
            axes.errorbar([mean], [place], xerr=whiskers, color=colour, lw=1.8, marker="o", capsize=4)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    _finish(axes, "", has_legend=False)
    axes.set_xlabel(metric, color=INK, fontsize=10)
    figure.savefig(path, format="png", dpi=DPI)


def words(point: Point) -> str:
    """A point in a few words: `depth 8, activation relu`."""
    return ", ".join(f"{_last(key)} {value}" for key, value in point)


def _figure(heading: str, detail: str) -> Figure:
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    size = HEADING_SIZE * min(1.0, HEADING_LETTERS / max(len(heading), 1))
    figure.text(LEFT, HEADING_Y, heading, fontsize=size, weight="bold", color=INK, va="top", parse_math=False)
    figure.text(LEFT, DETAIL_Y, detail, fontsize=10.5, color=INK, va="top", parse_math=False)
    return figure


def _places(axes: Axes, ticks: Sequence[Any]) -> list[float]:
    """Where values stand on the x-axis: numbers at their place, names side by side."""
    if all(isinstance(tick, int | float) and not isinstance(tick, bool) for tick in ticks):
        if min(ticks) > 0 and max(ticks) / min(ticks) > LOG_RATIO:
            axes.set_xscale("log")
            axes.minorticks_off()
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        return [float(tick) for tick in ticks]
    axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    return [float(place) for place in range(len(ticks))]


def _finish(axes: Axes, metric: str, *, has_legend: bool) -> None:
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FRAME)
    axes.set_ylabel(metric, color=INK, fontsize=10)
    if has_legend:
        axes.legend(frameon=False, fontsize=9)


def _finite(values: Any) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _last(key: str | None) -> str:
    return (key or "").rpartition(".")[2]
