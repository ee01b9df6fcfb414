"""Which protocols, pruners and spaces go together."""

from __future__ import annotations

import re
from typing import Any

import pytest

from idealfit.config import Composer
from idealfit.space import split_sweep
from idealfit.spec import ConfigError, SpaceError, UserError
from idealfit.study.launch import Launch
from idealfit.study.making import Point
from idealfit.study.plan import StudyPlan, differences, make_plan

KFOLD = ("protocol=kfold",)
WILCOXON = "study.pruner=wilcoxon"


def plan_of(*overrides: str) -> StudyPlan:
    plain, entries, fixed = split_sweep(overrides)
    composer = Composer("lr_dropout_depth", plain)
    launch = Launch(config_name="lr_dropout_depth", overrides=list(overrides))
    return make_plan(composer, launch=launch, overrides=plain, entries=entries, fixed=fixed)


def test_a_pruner_counts_rounds_where_there_are_several() -> None:
    assert plan_of().pruner["max_epochs"] == 30
    assert plan_of(*KFOLD).pruner["max_epochs"] == 5
    assert plan_of("protocol=seeds", "protocol.seeds=7").pruner["max_epochs"] == 7


def test_the_protocol_is_part_of_the_question() -> None:
    holdout, kfold = plan_of().identity(), plan_of(*KFOLD).identity()
    assert not [key for key in holdout["config"] if key.startswith("protocol")]  # as before there were protocols
    assert differences(holdout, kfold) == ["protocol.folds: nothing -> 5", "protocol.name: nothing -> 'kfold'"]
    assert differences(kfold, plan_of(*KFOLD, "protocol.folds=4").identity()) == ["protocol.folds: 5 -> 4"]


def test_replicates_of_several_seeds_take_the_next_ones() -> None:
    composer = Composer("lr_dropout_depth", ["protocol=seeds", "protocol.seeds=3"])
    point = Point(number=4, params={"model.depth": 2}, replicates=(1, 2))
    made = plan_of("protocol=seeds", "protocol.seeds=3").make(composer, point)
    assert (made.config["seed"], made.config["data"]["split_seed"]) == (6, 0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            [WILCOXON],
            "protocol=holdout has one training run only. Take protocol=kfold or protocol=seeds",
        ),
        (
            [*KFOLD, WILCOXON, "protocol.folds=4"],
            "after 4 rounds at the earliest .* there are 4: .* 5 or",
        ),
        (
            [*KFOLD, WILCOXON, "+study.pruner_options.n_startup_steps=5"],
            "after 5 rounds at the earliest .*Take 6 or more",
        ),
        ([*KFOLD, WILCOXON, "+study.pruner_options.p_threshold=2"], "study.pruner_options does not fit"),
        (
            [*KFOLD, WILCOXON, "+study.pruner_options.p=2"],
            "study.pruner_options.p is unknown to wilcoxon",
        ),
        ([*KFOLD, "+study.pruner_options.min_resource=6"], "min_resource=6 is larger than max_resource=5"),
        ([*KFOLD, "protocol.folds=1"], "protocol.folds must be at least 2, got 1"),
        (["protocol=seeds", "protocol.seeds=1"], "protocol.seeds must be at least 2, got 1"),
        ([*KFOLD, "trainer.devices=2"], "trainer.devices must be 1 with protocol=kfold, got 2"),
        (["protocol=kfol"], "there is no protocol 'kfol'"),
        (["protocol.folds=5"], "there is no key 'protocol.folds'"),
    ],
)
def test_what_makes_no_sense_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of(*overrides)


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ([*KFOLD, "data.split_seed=choice(1,2)"], "data.split_seed"),
        ([*KFOLD, "seed=range(0,3)"], "seed"),
        ([*KFOLD, "data.test_fraction=interval(0.1,0.3)"], "data.test_fraction"),
        ([*KFOLD, "data.val_fraction=interval(0.1,0.3)"], "data.val_fraction"),
        (["protocol=seeds", "seed=range(0,3)"], "seed"),
    ],
)
def test_what_all_trials_must_share_is_not_searched(overrides: list[str], key: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(f"{key} can't be searched with protocol=")):
        plan_of(*overrides)


@pytest.mark.parametrize("entry", ["protocol=kfold,seeds", "protocol.name=kfold,seeds"])
def test_the_protocol_itself_is_not_searched(entry: str) -> None:
    with pytest.raises(UserError, match="protocol"):
        plan_of(entry)


@pytest.mark.parametrize(
    "options", [["protocol.folds=5"], ["protocol.folds=3", "+study.pruner_options.p_threshold=0.3"]]
)
def test_wilcoxon_goes_with_folds_enough(options: list[str]) -> None:
    made: Any = plan_of(*KFOLD, WILCOXON, *options)
    assert made.pruner["name"] == "wilcoxon"
