"""Who decides which trial goes on: Optuna's pruners, with defaults that fit the number of epochs."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner, WilcoxonPruner

from idealfit.pruning.hyperband import SharedHyperbandPruner
from idealfit.spec import ConfigError, nearest

PRUNERS: dict[str, Callable[..., BasePruner]] = {
    "hyperband": SharedHyperbandPruner,
    "asha": SuccessiveHalvingPruner,  # Optuna's is the asynchronous one
    "median": MedianPruner,
    "wilcoxon": WilcoxonPruner,  # pairs the rounds (folds, seeds) of a trial with those of the best
    "none": NopPruner,
}

FIRST_STEP = 1  # resources are counted, as in the papers: after one epoch (or round) a trial has had one


def make_pruner(name: str, options: Mapping[str, Any], max_epochs: int) -> BasePruner:
    """The pruner `name`: defaults that fit `max_epochs`, then the user's `options` in Optuna's own words.

    By successive halving (`asha`; Li et al., 2020) trials are compared first after a fifteenth of the epochs, then
    four times that, and so on: the top quarter goes on. `hyperband` (Li et al., 2018) compares some first after one
    epoch, some after 4, 16 and so on; the top quarter of all that got there goes on.

    Raises:
        ConfigError: Unknown name or option, or a value that Optuna refuses.
    """
    if name not in PRUNERS:
        raise ConfigError(f"study.pruner={name} is unknown. {nearest(name, PRUNERS)}")
    known = inspect.signature(PRUNERS[name]).parameters
    for option in options:
        if option not in known:
            raise ConfigError(f"study.pruner_options.{option} is unknown to {name}. {nearest(option, known)}")
    arguments = _defaults(name, max_epochs) | dict(options)
    free_epochs = arguments.get("n_warmup_steps")
    if isinstance(free_epochs, int) and free_epochs >= 0:
        arguments["n_warmup_steps"] = free_epochs + FIRST_STEP  # of this one alone Optuna says that steps begin at zero
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "WilcoxonPruner is experimental")  # since Optuna 3.6, and unchanged
            pruner = PRUNERS[name](**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"study.pruner_options does not fit {name}: {error}") from error
    return pruner


def _defaults(name: str, max_epochs: int) -> dict[str, Any]:
    return {
        # Its later brackets give slow starters time, so the first need not; 4 as in both papers' experiments.
        "hyperband": {"min_resource": 1, "max_resource": max_epochs, "reduction_factor": 4},
        # Of 30 epochs: after the first the best trial of all is ended too often, three find a good one later. A factor
        # of 3 finds it no sooner, and trains 1.1 times as long.
        "asha": {"min_resource": max(1, max_epochs // 15), "reduction_factor": 4},
        "median": {"n_startup_trials": 5, "n_warmup_steps": max(1, max_epochs // 10) - 1},
        "wilcoxon": {},
        "none": {},
    }[name]
