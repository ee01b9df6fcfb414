"""How a fit turned out, read from its curves: gap, best epoch, overfit onset, rise of the validation loss.

Pure functions on sequences with one value an epoch, counted from 0. The gap is only as honest as the curves: both
metrics are to be measured in eval mode, on un-augmented images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from idealfit.objective import BEST, Objective, gap_curves, natural_direction, summary_name

SIGMAS = 3.0  # a rise of the validation loss counts when it exceeds this many standard deviations of its noise ...
MIN_RISE = 0.01  # ... and this share of the best validation loss
MIN_FALL_EPOCHS = 3  # fewer show no trend
MIN_EPOCHS_AFTER = 2  # a single worse epoch is not "for good"
BOOKKEEPING = ("lr", "epoch_seconds", "samples_per_second")


def gap(train: Sequence[float], val: Sequence[float]) -> list[float]:
    """Train metric minus validation metric, epoch by epoch, as far as both go."""
    return [t - v for t, v in zip(train, val, strict=False)]


def best_epoch(val_loss: Sequence[float]) -> int | None:
    """The first epoch of lowest finite validation loss; None where there is none."""
    return _argbest(val_loss, Objective(metric="val/loss", direction="minimize"))


def val_loss_rise(val_loss: Sequence[float]) -> float | None:
    """How far the last validation loss lies above the best one; None where either is not finite."""
    best = best_epoch(val_loss)
    if best is None or not math.isfinite(val_loss[-1]):
        return None
    return val_loss[-1] - val_loss[best]


def noise(curve: Sequence[float]) -> float:
    """Standard deviation of a curve's jitter from epoch to epoch, whatever its trend.

    From the median absolute second difference: a straight trend cancels, single outliers and the steep first epochs
    hardly count. 0 for fewer than three epochs.
    """
    second = [abs(a - 2 * b + c) for a, b, c in zip(curve, curve[1:], curve[2:], strict=False)]
    # Independent noise of deviation s has second differences of deviation sqrt(6) s; a normal median |x| is 0.6745 s.
    return median(second) / (0.6745 * math.sqrt(6.0)) if second else 0.0


def onset(train_loss: Sequence[float], val_loss: Sequence[float]) -> int | None:
    """The epoch after which validation loss rises for good while train loss still falls; None where it never does.

    Rule: smooth the validation loss by a running median of three. It has risen if its last two smoothed values exceed
    the lowest one by a margin: three standard deviations of the curve's noise, at least 1 % of the lowest. Then the
    onset is the last epoch within a third of that margin of the lowest (of it and its neighbours the one of lowest
    unsmoothed loss), provided that train loss is lower after it (median of the later epochs) than at it. A noisy
    plateau comes back to its lowest, so it has no onset; where train loss rises too the fit diverges, and that is not
    overfitting. What follows the first value that is not finite does not count.
    """
    num_epochs = _finite_length(train_loss, val_loss)
    if num_epochs <= MIN_EPOCHS_AFTER:
        return None
    train, val = train_loss[:num_epochs], val_loss[:num_epochs]
    smooth = _running_median(val)
    lowest = min(smooth)
    margin = max(SIGMAS * noise(val), MIN_RISE * abs(lowest))
    if min(smooth[-MIN_EPOCHS_AFTER:]) <= lowest + margin:
        return None
    turn = max(epoch for epoch, value in enumerate(smooth) if value <= lowest + margin / 3)
    epoch = min(range(max(0, turn - 1), turn + 2), key=lambda e: val[e])  # smoothing blurs by one epoch
    return epoch if median(train[epoch + 1 :]) < train[epoch] else None


@dataclass(frozen=True)
class Fall:
    """How far a validation loss still fell at the end: medians of the last `num_epochs` and of as many before."""

    num_epochs: int
    before: float
    after: float


def late_fall(val_loss: Sequence[float]) -> Fall | None:
    """Whether a fit was still getting better when it ended; None where its validation loss was flat, or rose.

    It still fell if the median of its last fifth lies below that of the fifth before by more than three standard
    deviations of the curve's noise, and by at least 1 %.
    """
    num_epochs = max(MIN_FALL_EPOCHS, len(val_loss) // 5)
    if len(val_loss) < 2 * num_epochs or not all(map(math.isfinite, val_loss)):
        return None
    before, after = median(val_loss[-2 * num_epochs : -num_epochs]), median(val_loss[-num_epochs:])
    margin = max(SIGMAS * noise(val_loss), MIN_RISE * abs(before))
    return Fall(num_epochs, before, after) if before - after > margin else None


def summarize(
    curves: Mapping[str, Sequence[float]], objective: Objective, constants: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The scalars of one fit; what the curves do not tell is left out, so every value is finite.

    `best/val_accuracy` (of other tasks `best/val_f1`, `best/val_r2`, `best/val_mae`) and `best/val_loss` are the best
    of their own curve, `best/epoch` is the objective's best epoch.
    What else the objective looks at is under `measure/...`, with the measures of `constants` among it.
    The gap is that of the accuracy (of a regression of r2), at `best/epoch` (`overfit/gap_at_best`) and at the end
    (`overfit/gap_final`).
    `final/...` is the last value of every metric.
    """
    found: dict[str, float | None] = {}
    for name in BEST:
        curve = curves.get(name, ())
        epoch = _argbest(curve, Objective(metric=name, direction=natural_direction(name)))
        found[f"best/{name.replace('/', '_')}"] = None if epoch is None else curve[epoch]
    best = _argbest(objective.curve(curves), objective)
    found["best/epoch"] = best
    for name, curve in curves.items():
        if curve and name not in BOOKKEEPING:
            found[f"final/{name.replace('/', '_')}"] = curve[-1]
    gaps = gap(*gap_curves(curves))
    found["overfit/gap_at_best"] = gaps[best] if best is not None and best < len(gaps) else None
    found["overfit/gap_final"] = gaps[-1] if gaps else None
    found["overfit/onset_epoch"] = onset(curves.get("train/loss", ()), curves.get("val/loss", ()))
    found["overfit/val_loss_rise"] = val_loss_rise(curves.get("val/loss", ()))
    for name, value in objective.measures(curves, constants or {}).items():
        found[summary_name(name)] = value
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def _argbest(curve: Sequence[float], objective: Objective) -> int | None:
    return objective.best_epoch(curve) if any(map(math.isfinite, curve)) else None


def _running_median(curve: Sequence[float]) -> list[float]:
    """Median of each value and its neighbours; the ends stay as they are."""
    inner = [median(curve[epoch - 1 : epoch + 2]) for epoch in range(1, len(curve) - 1)]
    return [curve[0], *inner, curve[-1]]


def _finite_length(*curves: Sequence[float]) -> int:
    """How many epochs all curves have before the first value that is not finite."""
    length = 0
    for values in zip(*curves, strict=False):
        if not all(map(math.isfinite, values)):
            break
        length += 1
    return length
