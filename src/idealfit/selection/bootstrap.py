"""Confidence intervals of whatever is worked out from many images, by drawing them again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from idealfit.selection.intervals import LEVEL, Interval

NUM_RESAMPLES = 1000
MAX_NUMBERS = 2_000_000  # that are drawn at a time: 16 MB

Statistics = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]
"""How often each image counts, `[R, N]`, to the values of each metric, `[R]`; NaN where there is none."""


def bootstrap_intervals(
    statistics: Statistics, num_images: int, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> dict[str, Interval | None]:
    """By metric its 95 % confidence interval: the percentiles of what resampled images give (Efron 1979).

    Images are drawn as a whole, so that several answers on one image count as the one image that they come from.
    None where all resamples give the same, as where no image is wrong: how rare mistakes are, they cannot tell.

    Args:
        statistics: Metrics of images that count so and so often.
        num_images: How many there are, at least 1.
        num_resamples: How often to draw.
        seed: The same gives the same intervals.
    """
    rng = np.random.default_rng(seed)
    num_rows = max(1, MAX_NUMBERS // num_images)
    drawn: dict[str, list[NDArray[np.float64]]] = {}
    for start in range(0, num_resamples, num_rows):
        found = statistics(_draw(rng, min(num_rows, num_resamples - start), num_images))
        for name, values in found.items():
            drawn.setdefault(name, []).append(values)
    return {name: _percentiles(np.concatenate(chunks)) for name, chunks in drawn.items()}


def _draw(rng: np.random.Generator, num_rows: int, num_images: int) -> NDArray[np.float64]:
    """How often each of `num_images` is among as many that are drawn with replacement, `[num_rows, num_images]`."""
    images = rng.integers(num_images, size=(num_rows, num_images)) + np.arange(num_rows)[:, None] * num_images
    counts = np.bincount(images.ravel(), minlength=num_rows * num_images)
    return counts.reshape(num_rows, num_images).astype(np.float64)


def _percentiles(values: NDArray[np.float64]) -> Interval | None:
    values = values[np.isfinite(values)]
    if not len(values) or np.ptp(values) <= 1e-12:
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return Interval(float(low), float(high))
