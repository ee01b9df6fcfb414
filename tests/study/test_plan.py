from pathlib import Path

import pytest

from idealfit.config import Composer
from idealfit.space import split_sweep
from idealfit.spec import SpaceError, StudyError, UserError
from idealfit.study.launch import Launch
from idealfit.study.plan import StudyPlan, check_name, default_study, differences, make_plan

pytestmark = pytest.mark.usefixtures("in_tmp_dir")


def plan_of(*overrides: str, name: str = "lr_dropout_depth") -> StudyPlan:
    plain, entries, fixed = split_sweep(overrides)
    launch = Launch(config_name=name, overrides=[])
    return make_plan(Composer(name, plain), launch=launch, overrides=plain, entries=entries, fixed=fixed)


def test_the_shipped_study_is_what_its_file_says(in_tmp_dir: Path) -> None:
    plan = plan_of()
    assert plan.name == "lr_dropout_depth"
    assert plan.space.keys == ["optimizer.lr", "model.dropout", "model.depth"]
    assert (plan.objective.metric, plan.objective.direction, plan.objective.epoch) == (
        "val/accuracy",
        "maximize",
        "best",
    )
    assert plan.budget.trials == 20
    assert plan.study_dir == in_tmp_dir / "runs" / "lr_dropout_depth"
    assert plan.storage == str(plan.study_dir / "study.journal")
    assert plan.pruner == {"name": "hyperband", "options": {}, "max_epochs": 30}


def test_a_plain_value_fixes_and_a_sweep_searches() -> None:
    plan = plan_of("model.depth=3", "optimizer.lr=interval(0.1,0.2)", "model.width=16,32")
    assert plan.space.to_json() == {
        "optimizer.lr": "interval(0.1, 0.2)",
        "model.dropout": "interval(0.0, 0.6)",
        "model.width": "choice(16, 32)",
    }
    assert plan.base["model"]["depth"] == 3
    assert plan.overrides == ["model.depth=3"]


def test_losses_go_down_and_the_rest_up_unless_told() -> None:
    assert (
        plan_of("study.objective.metric=val/loss", "study.objective.direction=null").objective.direction == "minimize"
    )
    assert plan_of("study.objective.direction=null").objective.direction == "maximize"


def test_a_grid_bounds_the_budget() -> None:
    plan = plan_of("study.sampler=grid", "optimizer.lr=0.1,0.01", "model.dropout=0.0,0.1,0.2", "model.depth=2")
    assert plan.budget.trials == 6


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.depth=1", "model.dropout=0", "optimizer.lr=0.1"], "study.space is empty"),
        (["study.sampler=grid"], r"study\.space\.optimizer\.lr"),
        (["+study.sampler_options.n_startup=3"], "tpe has no option 'n_startup'"),
        (["+study.pruner_options.reduction=3"], r"study\.pruner_options\.reduction"),
        (["engine.slots=1,2"], "'engine.slots' does not change a training run"),
        (["study.name=../x"], r"study\.name: '../x' can't name a folder"),
        (["study.name=7"], r"study\.name"),
        (["model.dpeth=range(1,3)"], r"no key 'model\.dpeth' .* Did you mean 'model\.depth'"),
        (["model=mlp,cnnn"], "no model 'cnnn'"),
        (["model.depth=choice(1,many)"], r"model\.depth must be a whole number, got 'many'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan_of(*overrides)


def test_a_config_without_a_study_is_no_sweep() -> None:
    with pytest.raises(StudyError, match="describes no study"):
        plan_of(name="train")


def test_the_question_is_what_is_asked_not_where_it_runs() -> None:
    same = plan_of("engine.slots=2", "tracking.uri=sqlite:///other.db", "study.budget.trials=99", "data.cache_dir=/x")
    assert same.identity() == plan_of().identity()
    changes = {
        "model.width=64": "model.width: 128 -> 64",
        "study.objective.metric=val/loss": "objective.metric: 'val/accuracy' -> 'val/loss'",
        "model.depth=range(1,4)": "space.model.depth: 'range(1, 5)' -> 'range(1, 4)'",
        "data.batch_size=32": "data.batch_size: 64 -> 32",
    }
    for override, line in changes.items():
        assert line in differences(plan_of().identity(), plan_of(override).identity())


def test_the_base_value_of_a_searched_key_is_not_part_of_the_question() -> None:
    assert "model.depth" not in plan_of().identity()["config"]
    assert "model.width" in plan_of().identity()["config"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "12", "a\nb", "-x", "x" * 101])
def test_a_name_is_a_folder_and_nothing_else(name: str) -> None:
    with pytest.raises(StudyError):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "lr-0.1", "Größe 2", "第一"])
def test_names_may_be_foreign(name: str) -> None:
    assert check_name(name) == name


def test_multirun_means_every_combination_once() -> None:
    plain, entries, _ = split_sweep(["model.depth=range(1,4)", "model=mlp,cnn", "seed=3"])
    node = default_study(plain, entries)
    assert (node["sampler"], node["pruner"], node["budget"]["trials"]) == ("grid", "none", 6)
    assert node["name"] == default_study(plain, entries)["name"]
    assert node["name"] != default_study([], entries)["name"]


def test_multirun_over_an_interval_samples() -> None:
    node = default_study([], {"optimizer.lr": "interval(0.1,0.2)"})
    assert (node["sampler"], node["budget"]["trials"]) == ("tpe", 20)


def test_multirun_without_a_sweep_is_refused() -> None:
    with pytest.raises(SpaceError, match="nothing to search"):
        default_study(["model.depth=1"], {})


@pytest.mark.parametrize("entry", ["trainer.devices=1,2", "trainer=default,ddp"])
def test_the_number_of_devices_is_no_part_of_the_search(entry: str) -> None:
    with pytest.raises(SpaceError, match=r"trainer\.devices says where a trial runs"):
        plan_of(entry)
