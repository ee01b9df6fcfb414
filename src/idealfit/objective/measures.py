"""The names of what an objective can look at, and where their values come from.

A name means the same everywhere: a curve that the task logs (`val/accuracy`), or one of `MEASURES`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

Direction = Literal["maximize", "minimize"]

MEASURES = {
    "gap": "training minus validation accuracy (of a regression r2), at the epochs that count",
    "params": "parameters of the network",
    "onset": "the epoch of overfit onset; never is later than any epoch",
    "latency_ms": "milliseconds of one forward pass of one image: the median of many",
    "seconds": "seconds that all epochs took",
}
"""What can be asked of a trial beside its curves."""
GAP_KINDS = ("accuracy", "r2")
"""Of which metric the gap is: the first that is logged."""
BEST = ("val/accuracy", "val/f1", "val/r2", "val/mae", "val/loss")
"""Of which curves the best value is a summary, where they are logged: `best/val_accuracy`."""
ERRORS = ("mae", "mse", "calibration_error")
ALIASES = {"overfit/gap": "gap"}
LIMITS = {"params": (1, math.inf), "latency_ms": (0, math.inf), "seconds": (0, math.inf), "onset": (0, math.inf)}
ONSET = "overfit/onset_epoch"
Curves = Mapping[str, Sequence[float]]


def canonical(name: str) -> str:
    """The one name of a metric."""
    return ALIASES.get(name.strip(), name.strip())


def natural_direction(metric: str) -> Direction:
    """Losses, errors, gaps and costs go down, everything else up."""
    is_error = "loss" in metric or metric.rpartition("/")[2] in ERRORS
    return "minimize" if is_error or metric in ("gap", "params", "latency_ms", "seconds") else "maximize"


def natural_limits(metric: str) -> tuple[float, float]:
    """Between which values a metric always lies."""
    if metric.endswith("accuracy"):
        return 0.0, 1.0
    return (-1.0, 1.0) if metric == "gap" else LIMITS.get(metric, (-math.inf, math.inf))


def summary_name(metric: str) -> str:
    """Under which name a trial's summaries keep what an objective asked of it."""
    return f"measure/{metric.replace('/', '_')}"


def constants_of(facts: Mapping[str, Any]) -> dict[str, float]:
    """The measures that are the same in every epoch, from what a trial found out."""
    found = {"params": facts.get("num_params"), "latency_ms": facts.get("latency_ms")}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def gap_curves(curves: Curves) -> tuple[Sequence[float], Sequence[float]]:
    """The curves on training and on validation images whose difference is the gap."""
    kind = next((kind for kind in GAP_KINDS if f"val/{kind}" in curves), GAP_KINDS[0])
    return curves.get(f"train/{kind}", ()), curves.get(f"val/{kind}", ())


def per_epoch(name: str, curves: Curves, constants: Mapping[str, float]) -> list[float]:
    """A metric after each epoch, as far as it is known; seconds add up."""
    if name == "gap":
        return [train - val for train, val in zip(*gap_curves(curves), strict=False)]
    if name == "seconds":
        return list(accumulate(curves.get("epoch_seconds", ())))
    if name in constants:
        return [constants[name]] * max(map(len, curves.values()), default=0)
    return list(curves.get(name, ()))


def measured(metric: str, summaries: Mapping[str, float]) -> float | None:
    """What a trial's summaries tell of a metric that its objective asked for; an onset that never came is infinite."""
    if metric == "onset":
        return summaries.get(ONSET, math.inf) if summaries else None
    return summaries.get(summary_name(metric))


def measure_text(value: float | None) -> str:
    """A measure as people read it: `0.0213`, `12,345`, `never`; "" where it is not known."""
    if value is None:
        return ""
    return "never" if math.isinf(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
