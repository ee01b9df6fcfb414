"""Asynchronous Hyperband whose brackets share their rungs."""

from __future__ import annotations

import copy
import itertools

import optuna
from optuna.pruners import BasePruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial

GOLDEN_RATIO = (5**0.5 - 1) / 2


class SharedHyperbandPruner(BasePruner):
    """Hyperband (Li et al., 2018): successive halving whose first rung is higher for some trials than for others.

    A rung is a number of epochs, `min_resource * reduction_factor ** r`, after which a trial is compared with all that
    got there, and goes on if it is among the best `1 / reduction_factor` of them. A bracket begins at one of the rungs,
    and has the share of all trials that it has in the paper. Optuna's pruner compares the trials of each bracket among
    themselves, and lets the first ones of each go on for want of others; here all brackets share their rungs, as in
    Syne Tune. Nor are brackets drawn: multiples of the golden ratio spread them evenly, so that a short study has its
    share of each too, and a study of the same trials prunes the same ones whatever its name.

    Args:
        min_resource: Epochs before the first rung.
        max_resource: Epochs of a trial that is never pruned.
        reduction_factor: One of how many goes on.
        bootstrap_count: Trials that a rung stops, whatever their value, before it lets the best go on.

    Raises:
        TypeError: A number is not whole.
        ValueError: It makes no sense.
    """

    def __init__(
        self, min_resource: int = 1, max_resource: int = 1, reduction_factor: int = 3, bootstrap_count: int = 0
    ) -> None:
        asked = {"min_resource": min_resource, "max_resource": max_resource, "reduction_factor": reduction_factor}
        for name, value in asked.items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
        self._halving = SuccessiveHalvingPruner(min_resource, reduction_factor, 0, bootstrap_count)
        if min_resource > max_resource:
            raise ValueError(f"min_resource={min_resource} is larger than max_resource={max_resource}")
        rungs = (min_resource * reduction_factor**rung for rung in itertools.count())
        num_brackets = sum(1 for _ in itertools.takewhile(lambda num_epochs: num_epochs <= max_resource, rungs))
        left = range(num_brackets - 1, -1, -1)  # rungs above the one that a bracket begins at
        weights = [reduction_factor**above / (above + 1) for above in left]  # the paper's, but for a common factor
        self._ends = [end / sum(weights) for end in itertools.accumulate(weights)]

    def bracket_of(self, number: int) -> int:
        """The bracket of a trial, which is the first rung that it is compared at."""
        place = number * GOLDEN_RATIO % 1
        return sum(place >= end for end in self._ends[:-1])

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether `trial` ends after its last report."""
        # Optuna's pruner goes to the first rung that a trial has no mark of; the marks of others are read from `study`.
        marked = copy.copy(trial)
        skipped = {f"completed_rung_{rung}": 0.0 for rung in range(self.bracket_of(trial.number))}
        marked.system_attrs = {**skipped, **trial.system_attrs}
        return self._halving.prune(study, marked)
