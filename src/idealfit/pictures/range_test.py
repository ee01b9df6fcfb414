"""The loss over a rising learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from idealfit.pictures.canvas import BEST, LEFT, TRAIN, Canvas

FAINT = "#9BC4DE"
ABOVE = 0.15  # of the range of the losses, around what is shown of them


def range_test_curve(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggested: float | None,
    path: Path,
    title: str,
) -> None:
    """Draw the loss of each step over its learning rate, on a log axis, and the rate that is suggested.

    Args:
        rates: Of each step, rising; one at least.
        losses: Of each step's batch.
        smoothed: Their running mean.
        suggested: Where the loss falls fastest; None where it never falls.
        path: The PNG to write; its folder exists.
        title: What the picture is of; the finding is added.
    """
    finding = (
        "the loss never falls" if suggested is None else f"the loss falls fastest at learning rate {suggested:.2g}"
    )
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__)
    detail = f"one step at each of {len(rates)} rates; lowest at {rates[lowest]:.2g}, running mean of about ten steps"
    canvas = Canvas(f"{title}: {finding}", detail)
    axes = canvas.axes((LEFT + 0.015, 0.09, 0.86, 0.755))
    axes.set_xscale("log")
    axes.plot(rates, losses, color=FAINT, lw=1.0)
    axes.plot(rates, smoothed, color=TRAIN, lw=2.0)
    low, high = min(smoothed), max(smoothed[: lowest + 1])  # what follows the lowest may rise out of all bounds
    margin = ABOVE * ((high - low) or abs(high) or 1.0)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(rates[0] / 1.2, rates[-1] * 1.2)
    if suggested is not None:
        axes.axvline(suggested, color=BEST, ls=":", lw=1.8)
        at = canvas.place(axes, suggested, high + margin)
        is_right = suggested > (rates[0] * rates[-1]) ** 0.5
        anchor, shift = ("ra", -5.0) if is_right else ("la", 5.0)
        words = f"suggested {suggested:.2g}"
        canvas.write(at, words, size=9.5, colour=BEST, is_bold=True, anchor=anchor, shift_px=(shift, -6))  # type: ignore[arg-type]
    canvas.finish(axes, ("learning rate (log scale)", "training loss"))
    canvas.save(path)
