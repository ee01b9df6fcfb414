"""Whether a run came out as it did before: two sets of curves, epoch by epoch, to one verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from idealfit.text import counted

Kind = Literal["identical", "equivalent", "different"]
Curves = Mapping[str, Sequence[float]]

TIMINGS = frozenset({"epoch_seconds", "samples_per_second"})
"""How fast it went, not what came out."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Values are equivalent where `|now - then| <= absolute + relative * |then|`.

    The defaults let rounding pass that grew over some epochs (another processor, another number of threads), and two
    images in 400 that fell the other way.
    """

    relative: float = 0.01
    absolute: float = 0.005

    def of(self, then: float) -> float:
        """The largest deviation from `then` that passes."""
        return self.absolute + self.relative * abs(then)


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One metric at one epoch (from 0) that is not what it was."""

    metric: str
    epoch: int
    then: float
    now: float

    @property
    def absolute(self) -> float:
        """`|now - then|`; infinite where one of them is not finite."""
        gap = abs(self.now - self.then)
        return math.inf if math.isnan(gap) else gap

    @property
    def relative(self) -> float:
        """The same, over the larger of the two."""
        size = max(abs(self.then), abs(self.now))
        return self.absolute / size if math.isfinite(size) and size else math.inf

    def excess(self, tolerance: Tolerance) -> float:
        """The deviation in units of what passes; up to 1 is within tolerance."""
        if not (math.isfinite(self.then) and math.isfinite(self.now)):
            return math.inf
        room = tolerance.of(self.then)
        return self.absolute / room if room else math.inf


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How two runs compare.

    Attributes:
        num_epochs: Epochs that were compared.
        metrics: Metrics that were compared, timings left out.
        largest: The deviation that is largest in units of the tolerance; None where all is bit-equal.
        first: The first deviation beyond the tolerance; None within it.
        obstacles: What else makes them different: a metric that is missing now, other lengths, nothing to compare.
    """

    kind: Kind
    num_epochs: int
    metrics: tuple[str, ...]
    tolerance: Tolerance
    largest: Deviation | None = None
    first: Deviation | None = None
    obstacles: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 for identical and equivalent, 1 for different."""
        return int(self.kind == "different")


def compare_curves(then: Curves, now: Curves, tolerance: Tolerance | None = None) -> Verdict:
    """Compare every metric that was recorded then; what is recorded only now is new, and does not count.

    NaN equals NaN, and an infinity the same infinity. A metric whose curve ends earlier is compared as far as both go.
    """
    tolerance = tolerance or Tolerance()
    expected = [metric for metric in then if metric not in TIMINGS]
    shared = [metric for metric in expected if metric in now]
    obstacles = tuple(_obstacles(then, now, expected, shared))
    deviations = list(_deviations(then, now, shared))
    beyond = [deviation for deviation in deviations if deviation.excess(tolerance) > 1]
    kind: Kind = "different" if beyond or obstacles else "equivalent" if deviations else "identical"
    return Verdict(
        kind=kind,
        num_epochs=max((min(len(then[metric]), len(now[metric])) for metric in shared), default=0),
        metrics=tuple(shared),
        tolerance=tolerance,
        largest=max(deviations, key=lambda deviation: deviation.excess(tolerance), default=None),
        first=min(beyond, key=_order, default=None),
        obstacles=obstacles,
    )


def first_deviation(then: Curves, now: Curves) -> Deviation | None:
    """Where the runs part, be it by one bit: before rounding has grown, its size tells what the cause can be."""
    shared = [metric for metric in then if metric not in TIMINGS and metric in now]
    return min(_deviations(then, now, shared), key=_order, default=None)


def _deviations(then: Curves, now: Curves, metrics: Sequence[str]) -> Iterator[Deviation]:
    for metric in metrics:
        for epoch, (old, new) in enumerate(zip(then[metric], now[metric], strict=False)):
            if not _is_same(old, new):
                yield Deviation(metric=metric, epoch=epoch, then=old, now=new)


def _is_same(then: float, now: float) -> bool:
    if math.isnan(then) or math.isnan(now):
        return math.isnan(then) and math.isnan(now)
    return then == now and math.copysign(1, then) == math.copysign(1, now)  # 0.0 and -0.0 are other bits


def _order(deviation: Deviation) -> tuple[int, bool, bool]:
    """By epoch; in one epoch a loss before an accuracy, which moves in steps, and training before validation."""
    return deviation.epoch, not deviation.metric.endswith("loss"), not deviation.metric.startswith("train/")


def _obstacles(then: Curves, now: Curves, expected: Sequence[str], shared: Sequence[str]) -> Iterator[str]:
    if not any(len(then[metric]) for metric in expected):
        yield "nothing was recorded then that could be compared"
    for metric in expected:
        if metric not in now:
            yield f"{metric} was recorded then and is missing now"
    lengths = {(len(then[metric]), len(now[metric])) for metric in shared}
    for old, new in sorted(lengths):
        if old != new:
            names = [metric for metric in shared if (len(then[metric]), len(now[metric])) == (old, new)]
            which = "" if len(lengths) == 1 else f" of {', '.join(names)}"
            yield f"{counted(old, 'epoch')}{which} then, {new} now"
