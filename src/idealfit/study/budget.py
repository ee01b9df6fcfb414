"""The budget: the study's total over all resumes, whichever of trials, epochs, hours and device seconds ends first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idealfit.text import counted


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a study has used up so far."""

    trials: int = 0  # finished ones, in whatever state, and those running now
    epochs: int = 0  # of finished trials
    hours: float = 0.0  # wall-clock hours with a controller at work
    gpu_seconds: float = 0.0  # seconds in training of all attempts, times their devices


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a study may use; None is without limit."""

    trials: int
    epochs: int | None = None
    hours: float | None = None
    gpu_seconds: float | None = None

    @classmethod
    def from_config(cls, node: Mapping[str, Any], *, num_points: int | None = None) -> Budget:
        """Read `study.budget`; after the last of `num_points` points of a grid there is nothing to try."""
        trials = node["trials"] if num_points is None else min(node["trials"], num_points)
        return cls(trials=trials, epochs=node["epochs"], hours=node["hours"], gpu_seconds=node.get("gpu_seconds"))

    def ended_by(self, spent: Spent) -> str | None:
        """Which limit forbids one more trial, in words; None: go on. Running trials are always let finish."""
        if spent.trials >= self.trials:
            return counted(self.trials, "trial")
        if self.epochs is not None and spent.epochs >= self.epochs:
            return counted(self.epochs, "epoch")
        if self.hours is not None and spent.hours >= self.hours:
            return f"{self.hours:g} hours"
        if self.gpu_seconds is not None and spent.gpu_seconds >= self.gpu_seconds:
            return f"{self.gpu_seconds:g} device seconds"
        return None
