"""When a study has found enough: its target is reached, or nothing gets better any more beyond the noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from idealfit.space import point_key
from idealfit.spec import Objective, TrialState
from idealfit.study.outcome import TrialRow
from idealfit.text import counted


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How much the scores of one point differ when only the seed does.

    Attributes:
        deviation: The pooled standard deviation of replicates.
        num_trials: Trials that it rests on; 0: no point was repeated.
    """

    deviation: float = 0.0
    num_trials: int = 0

    @property
    def threshold(self) -> float:
        """One standard deviation of the difference between two trials."""
        return math.sqrt(2) * self.deviation


@dataclass(frozen=True, kw_only=True)
class Enough:
    """What ends a study before its budget; None: nothing of that kind."""

    objective: Objective
    target: float | None = None
    patience: int | None = None

    def reason(self, rows: Sequence[TrialRow]) -> str:
        """Why the study may end now, in words; "" where it should go on. Trials count in the order of their numbers."""
        if self.target is None and self.patience is None:
            return ""
        finished = sorted((row for row in rows if row.state.is_finished), key=lambda row: row.number)
        return self._target_reached(finished) or self._no_better(finished)

    def _target_reached(self, rows: Sequence[TrialRow]) -> str:
        if self.target is None:
            return ""
        for row in rows:
            value = _score(row) if row.is_feasible else None
            if value is not None and (value == self.target or self.objective.is_better(value, self.target)):
                return f"trial {row.number} reached the target of {self.target:g} with {value:.4f}"
        return ""

    def _no_better(self, rows: Sequence[TrialRow]) -> str:
        if self.patience is None or len(rows) <= self.patience:
            return ""
        noise = measure_noise(rows, self.objective)
        best: float | None = None
        since = 0
        for row in rows:
            value = _score(row) if row.is_feasible else None
            since += 1
            if value is None or (best is not None and not self._is_clearly_better(value, best, noise)):
                continue
            best, since = value, 0
        if best is None or since < self.patience:
            return ""
        if noise.num_trials:
            beyond = f"by more than {noise.threshold:.2g}, the noise that {noise.num_trials} replicates show"
        else:
            beyond = "at all (no trial was replicated, so the noise is unknown and any improvement would have counted)"
        return f"no improvement in {counted(since, 'trial')} {beyond}"

    def _is_clearly_better(self, value: float, best: float, noise: Noise) -> bool:
        return self.objective.is_better(value, best) and abs(value - best) > noise.threshold


def measure_noise(rows: Sequence[TrialRow], objective: Objective) -> Noise:
    """The noise that a study's replicates show: complete trials of the same point, pooled over points.

    The better half of the repeated points counts: bad ones are often far noisier, and nobody chooses among them.
    """
    groups: dict[str, list[float]] = {}
    for row in rows:
        if (value := _score(row)) is not None:
            groups.setdefault(point_key(row.params), []).append(value)
    repeated = [scores for scores in groups.values() if len(scores) > 1]
    repeated.sort(key=statistics.fmean, reverse=objective.direction == "maximize")
    repeated = repeated[: math.ceil(len(repeated) / 2)]
    freedom = sum(len(scores) - 1 for scores in repeated)
    if not freedom:
        return Noise()
    squares = sum(statistics.variance(scores) * (len(scores) - 1) for scores in repeated)
    return Noise(deviation=math.sqrt(squares / freedom), num_trials=sum(map(len, repeated)))


def _score(row: TrialRow) -> float | None:
    """Only a complete trial's: a pruned one was cut short."""
    is_scored = row.state is TrialState.COMPLETE and row.value is not None and math.isfinite(row.value)
    return row.value if is_scored else None
