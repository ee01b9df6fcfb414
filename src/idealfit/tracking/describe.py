"""The answer in words, for the description of a run: how did it end, and did it overfit?"""

from __future__ import annotations

from statistics import stdev

from idealfit.spec import Objective, TrialResult, TrialState
from idealfit.text import counted


def verdict(result: TrialResult, objective: Objective) -> str:
    """One line on how a trial ended, short enough for a column of a table."""
    if result.state is TrialState.FAILED:
        reason = (result.message.strip().splitlines() or [""])[-1][:200]
        return ": ".join(filter(None, ("failed", result.failure and result.failure.value, reason)))
    broken = "; ".join(objective.violations(result.summaries)) if result.value is not None else ""
    told = (broken, _spread(result), _fit(result.summaries), _gap(result.summaries), _ending(result))
    return ", ".join(filter(None, told))


def _spread(result: TrialResult) -> str:
    """How far its folds or seeds differ: MLflow shows the mean beside it."""
    number = len(result.scores)
    return f"sd {stdev(result.scores):.4f} over {number} rounds" if number > 1 else ""


def _fit(summaries: dict[str, float]) -> str:
    onset = summaries.get("overfit/onset_epoch")
    if onset is None:
        return "no overfit onset" if summaries else ""
    return f"overfits from epoch {onset:.0f}"


def _gap(summaries: dict[str, float]) -> str:
    gap = summaries.get("overfit/gap_at_best")
    return "" if gap is None else f"gap {gap:+.3f}"


def _ending(result: TrialResult) -> str:
    if result.state is TrialState.PRUNED:
        return f"pruned after {counted(result.num_epochs, 'epoch')}"
    return "interrupted" if result.state is TrialState.INTERRUPTED else ""
