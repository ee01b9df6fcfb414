"""TPE over thousands of trials: it is shown the best and the latest of them.

Its cost per ask grows with the trials that it sees (Optuna 5, three keys: 10 ms at 1,000, 106 ms at 10,000). What it
learns from barely does: of any number it takes the best 25 at most for good ones, and weighs the rest down by age.
"""

from __future__ import annotations

import heapq
from collections.abc import Container
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

NUM_LATEST = 900
NUM_BEST = 100
SEEN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


class WindowedTPESampler(TPESampler):
    """Optuna's TPE, shown no more than `NUM_BEST` + `NUM_LATEST` finished trials, and all running ones.

    Up to so many trials, and with several metrics, it draws the very same points as Optuna's own.
    """

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the keys that are learnt together."""
        return super().sample_relative(_windowed(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of a key by itself."""
        return super().sample_independent(_windowed(study), trial, param_name, param_distribution)


def window_of(trials: list[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """The trials to learn from, by number.

    Args:
        trials: All of a study, by number.
        direction: Which values are good.
    """
    seen = [trial for trial in trials if trial.state in SEEN]
    finished = [trial for trial in seen if trial.state is not TrialState.RUNNING]
    if len(finished) <= NUM_BEST + NUM_LATEST:
        return seen
    older = [trial for trial in finished[:-NUM_LATEST] if trial.state is TrialState.COMPLETE]
    sign = -1.0 if direction is StudyDirection.MAXIMIZE else 1.0
    best = heapq.nsmallest(NUM_BEST, older, key=lambda trial: (_excess(trial), sign * trial.values[0]))
    shown = {trial.number for trial in (*best, *finished[-NUM_LATEST:])}
    return [trial for trial in seen if trial.state is TrialState.RUNNING or trial.number in shown]


class _Windowed:
    """A study whose older and worse trials are not there."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._trials = window_of(study.get_trials(deepcopy=False), study.direction)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)


def _windowed(study: optuna.Study) -> optuna.Study:
    return study if len(study.directions) > 1 else cast(optuna.Study, _Windowed(study))


def _excess(trial: FrozenTrial) -> float:
    """How far a trial breaks its constraints."""
    return sum(max(0.0, excess) for excess in trial.constraints.values()) if trial.constraints else 0.0
