"""Which training runs a trial is, by its config alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from idealfit.config import Composer
from idealfit.protocol import fold_of, mean_curves, num_rounds, reported, rounds_of, rounds_text


def config_of(*overrides: str) -> dict[str, Any]:
    return Composer("train", overrides).trial_config()


def test_a_holdout_is_one_run_and_its_config_says_nothing_about_it() -> None:
    config = config_of()
    assert "protocol" not in config
    assert (num_rounds(config), rounds_of(config), fold_of(config), rounds_text(config, 0)) == (1, [], None, "")


def test_each_fold_validates_once_and_all_else_is_the_same() -> None:
    config = config_of("protocol=kfold", "protocol.folds=3", "seed=7")
    rounds = rounds_of(config)
    assert num_rounds(config) == 3
    assert [each.label for each in rounds] == ["fold 0", "fold 1", "fold 2"]
    assert [fold_of(each.config) for each in rounds] == [(0, 3), (1, 3), (2, 3)]
    assert all({**each.config, "protocol": config["protocol"]} == config for each in rounds)
    assert all(num_rounds(each.config) == 1 for each in rounds)


def test_each_seed_is_another_and_the_split_stays() -> None:
    config = config_of("protocol=seeds", "protocol.seeds=3", f"seed={2**32 - 2}")
    rounds = rounds_of(config)
    assert [each.config["seed"] for each in rounds] == [2**32 - 2, 2**32 - 1, 0]
    assert {each.config["data"]["split_seed"] for each in rounds} == {2**32 - 2}
    holdout = config_of(f"seed={2**32 - 2}")
    assert all({**each.config, "seed": holdout["seed"]} == holdout for each in rounds)


def test_curves_are_averaged_as_far_as_all_rounds_went() -> None:
    curves = [{"a": [1.0, 2.0, 3.0], "b": [0.0]}, {"a": [3.0, math.nan], "c": [0.0]}]
    mean = mean_curves(curves)
    assert list(mean) == ["a"]
    assert mean["a"][0] == 2.0
    assert math.isnan(mean["a"][1])
    assert len(mean["a"]) == 2
    assert mean_curves([]) == {}


@pytest.mark.parametrize(("pruner", "told"), [("hyperband", 0.75), ("median", 0.75), ("wilcoxon", 0.5)])
def test_a_pruner_is_told_the_mean_so_far_but_wilcoxon_the_round(pruner: str, told: float) -> None:
    assert reported([1.0, 0.5], pruner) == told
