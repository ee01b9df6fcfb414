"""Whether a study's protocol goes together with its pruner, its space and its task; checked before anything trains."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from idealfit.protocol import NOT_SEARCHED, num_rounds
from idealfit.pruning import make_pruner
from idealfit.spec import JSON, ConfigError, SpaceError


def make_steps(config: JSON, pruner: str, options: Mapping[str, Any]) -> JSON:
    """What workers need to know of the pruner; a trial of several rounds is judged after each round, else each epoch.

    Raises:
        ConfigError: An unknown name or option, or a pruner that could never prune.
    """
    rounds = num_rounds(config)
    steps = rounds if rounds > 1 else int(config["trainer"]["max_epochs"])
    make_pruner(pruner, options, steps)
    if pruner == "wilcoxon":
        _check_wilcoxon(rounds, options)
    return {"name": pruner, "options": dict(options), "max_epochs": steps}


def _check_wilcoxon(rounds: int, options: Mapping[str, Any]) -> None:
    if rounds == 1:
        raise ConfigError(
            "study.pruner=wilcoxon compares the folds or seeds of a trial with those of the best one, and "
            "protocol=holdout has one training run only. Take protocol=kfold or protocol=seeds, or another pruner."
        )
    threshold = float(options.get("p_threshold", 0.1))
    needed = next((n for n in range(2, 64) if 0.5**n < threshold), 64)  # n losses in a row have the chance 0.5^n
    needed = max(needed, int(options.get("n_startup_steps", 2)))
    if needed >= rounds:
        raise ConfigError(
            f"study.pruner=wilcoxon can prune after {needed} rounds at the earliest (p_threshold={threshold:g}), and "
            f"there are {rounds}: it would never save one. Take {needed + 1} or more, a larger "
            "study.pruner_options.p_threshold, or another pruner."
        )


def check_searched(config: JSON, keys: Collection[str]) -> None:
    """Refuse to search what all trials must share, or their scores would not compare.

    Raises:
        SpaceError: It is searched or derived.
    """
    protocol = config.get("protocol") or {}
    for key in keys:
        if key in NOT_SEARCHED.get(protocol.get("name", ""), ()):
            raise SpaceError(
                f"{key} can't be searched with protocol={protocol['name']}: its rounds would no longer be the same for "
                "all trials. Fix it, or take protocol=holdout."
            )
