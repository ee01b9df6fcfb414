"""How a trial is scored: by one training run, or by several, its rounds: the folds of a cross-validation, or seeds.

A trial's config says so under `protocol`; one without that key is a hold-out. Each round is a training run of its own,
whose config names the fold under `protocol`, or is that of a hold-out with another seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from idealfit.spec import JSON

HOLDOUT, KFOLD, SEEDS = "holdout", "kfold", "seeds"
NUM_SEEDS = 2**32
NOT_SEARCHED = {KFOLD: ("seed", "data.split_seed", "data.val_fraction", "data.test_fraction"), SEEDS: ("seed",)}
"""What trials must share, or their scores would not compare."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One training run of a trial that has several.

    Attributes:
        index: From 0; its place in the trial.
        kind: `fold` or `seed`.
        value: The fold's number, or the seed.
        config: What to train.
    """

    index: int
    kind: str
    value: int
    config: JSON

    @property
    def label(self) -> str:
        """`fold 2`, `seed 17`."""
        return f"{self.kind} {self.value}"


def num_rounds(config: Mapping[str, Any]) -> int:
    """How many training runs a trial of this config is; 1 for a hold-out, and for a round."""
    protocol = config.get("protocol") or {}
    if "fold" in protocol:
        return 1
    return int(protocol.get({KFOLD: "folds", SEEDS: "seeds"}.get(protocol.get("name", ""), ""), 1))


def rounds_of(config: JSON) -> list[Round]:
    """The rounds of a trial, in order; none for a hold-out."""
    if num_rounds(config) == 1:
        return []
    protocol = config["protocol"]
    if protocol["name"] == KFOLD:
        folds = [{**config, "protocol": {**protocol, "fold": index}} for index in range(protocol["folds"])]
        return [Round(index=index, kind="fold", value=index, config=fold) for index, fold in enumerate(folds)]
    # The split is part of the config by now, so another seed does not move it.
    plain = {key: value for key, value in config.items() if key != "protocol"}
    seeds = [(config["seed"] + index) % NUM_SEEDS for index in range(protocol["seeds"])]
    configs = [{**plain, "seed": seed} for seed in seeds]
    return [
        Round(index=index, kind="seed", value=seed, config=each)
        for index, (seed, each) in enumerate(zip(seeds, configs, strict=True))
    ]


def rounds_text(config: Mapping[str, Any], number: int) -> str:
    """`5 folds`, `1 seed`; "" for a hold-out."""
    kind = {KFOLD: "fold", SEEDS: "seed"}.get((config.get("protocol") or {}).get("name", ""), "")
    return f"{number} {kind}{'' if number == 1 else 's'}" if kind and number else ""


def fold_of(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Which fold validates, from 0, and how many there are; the first one of a whole trial; None: no folds."""
    protocol = config.get("protocol") or {}
    return (protocol.get("fold", 0), protocol["folds"]) if protocol.get("name") == KFOLD else None


def scored_images(facts: Mapping[str, Any]) -> int | None:
    """How many images the score of a trial rests on: of folds all that they validated on; None where nobody knows."""
    number = facts.get("num_scored_images", facts.get("num_val_images"))
    return number if isinstance(number, int) and number > 0 else None


def mean_curves(curves: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """By metric the mean over rounds after each epoch, as far as all of them went; what one lacks is left out."""
    names = [name for name in curves[0] if all(name in each for each in curves)] if curves else []
    return {name: [_mean(values) for values in zip(*(each[name] for each in curves), strict=False)] for name in names}


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if all(map(math.isfinite, values)) else math.nan


def reported(scores: Sequence[float], pruner: str) -> float:
    """What a pruner is told after a round: it compares means so far, but Wilcoxon's test pairs single rounds."""
    return scores[-1] if pruner == "wilcoxon" else fmean(scores)
