"""Conditions, forbidden points, derived values, starting points and replicates, in a real loop with each sampler."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from idealfit.record import iter_records
from idealfit.report.artifacts import read_reported
from idealfit.report.html.exports import to_markdown
from idealfit.spec import SpaceError, StudyError, TrialSpec
from idealfit.study.ledger import load_optuna_study
from idealfit.study.plan import StudyPlan

sys.path.insert(0, str(Path(__file__).parent))
import toys
from test_loop import Driven, drive

pytestmark = pytest.mark.usefixtures("in_tmp_dir")
SAMPLERS = ("tpe", "random", "qmc", "grid", "gp", "cmaes")
FAMILIES = (
    "study.space.model=choice(linear,mlp,cnn)",
    "study.space.model.dropout=choice(0.0,0.2)",
    "study.space.model.depth={values:'range(1,4)',when:{model:[mlp,cnn]}}",
    "study.space.model.width={values:'range(8,8*model.depth+9,8)',when:{model:[mlp,cnn]}}",
    "study.space.model.kernel_size={values:'choice(3,5)',when:{model:cnn}}",
    "study.forbid=[{model:linear,model.dropout:'>0'}]",
)
LR = "study.space.optimizer.lr=tag(log,interval(0.001,0.1))"
SMALL = ("study.space.model.depth=choice(1,2)", "model.dropout=0", "optimizer.lr=0.01")


def specs(driven: Driven) -> list[TrialSpec]:
    return [record.read_spec() for record in iter_records(driven.plan.runs_dir, driven.plan.name)]


def is_allowed(plan: StudyPlan, params: dict[str, Any]) -> bool:
    return plan.space.problem(params) == ""


def options(sampler: str) -> list[str]:
    return ["+study.sampler_options.n_startup_trials=4"] if sampler in ("tpe", "gp", "cmaes") else []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_allowed_points_alone(sampler: str) -> None:
    space = FAMILIES if sampler == "grid" else (*FAMILIES, LR)
    fixed = ["optimizer.lr=0.01"] if sampler == "grid" else []
    num_trials = 8 if sampler == "gp" else 14
    budget = f"study.budget.trials={num_trials}"
    driven = drive(toys.score, f"study.sampler={sampler}", *options(sampler), *fixed, budget, space=space)
    found = specs(driven)
    assert all(is_allowed(driven.plan, spec.params) for spec in found)
    assert [spec.number for spec in found] == list(range(num_trials)), "a point drawn again uses up no number"
    for spec in found:
        assert ("model.kernel_size" in spec.params) == (spec.params["model"] == "cnn")
        assert set(spec.params) <= {override.partition("=")[0] for override in spec.overrides}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_deterministic_study_with_rules_goes_on_as_if_never_stopped(sampler: str) -> None:
    rest = (f"study.sampler={sampler}", "study.deterministic=true", *options(sampler))
    rest += (*FAMILIES, "optimizer.lr=0.01", "study.enqueue=[{model:mlp,model.depth:2}]")

    def run(name: str, *budgets: int) -> list[TrialSpec]:
        for budget in budgets:
            driven = drive(toys.score, *rest, f"study.budget.trials={budget}", f"runs_dir={name}", space=())
        return specs(driven)

    once, twice = run("once", 7), run("twice", 3, 7)
    assert [spec.params for spec in once] == [spec.params for spec in twice]
    assert [spec.replicate_of for spec in once] == [spec.replicate_of for spec in twice]


def test_a_grid_visits_every_allowed_point_once() -> None:
    driven = drive(toys.score, "study.sampler=grid", "study.budget.trials=99", "optimizer.lr=0.01", space=FAMILIES)
    found = [spec.params for spec in specs(driven)]
    assert len(found) == driven.plan.space.size == 1 + 2 * (2 + 3 + 4) * (1 + 2)
    assert all(params in driven.plan.space.points() for params in found)
    assert len({str(sorted(params.items())) for params in found}) == len(found)


def test_a_grid_over_a_conditional_interval_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"optimizer\.lr: .*can't make a grid"):
        drive(toys.score, "study.sampler=grid", space=(*FAMILIES, LR))


def test_a_key_fixed_on_the_command_line_settles_its_conditions() -> None:
    driven = drive(toys.score, *FAMILIES[1:-1], "model=cnn", "study.budget.trials=2", "optimizer.lr=0.01", space=())
    assert driven.plan.space.keys == ["model.dropout", "model.depth", "model.width", "model.kernel_size"]


def test_derived_values_reach_config_and_overrides_but_are_not_searched() -> None:
    derive = "study.derive={optimizer.weight_decay:'0.1 * optimizer.lr'}"
    [spec] = specs(drive(toys.score, derive, "study.budget.trials=1"))
    lr = spec.params["optimizer.lr"]
    assert isinstance(lr, float)
    assert spec.config["optimizer"]["weight_decay"] == pytest.approx(0.1 * lr)
    assert spec.derived == {"optimizer.weight_decay": spec.config["optimizer"]["weight_decay"]}
    assert "optimizer.weight_decay" not in spec.params
    assert any(override.startswith("optimizer.weight_decay=") for override in spec.overrides)


def test_what_is_forbidden_and_derived_is_part_of_the_question() -> None:
    drive(toys.score, "study.budget.trials=1", "study.derive={optimizer.weight_decay:'0.1 * optimizer.lr'}")
    with pytest.raises(StudyError, match=r"rules\.derive\.optimizer\.weight_decay: '0\.1 \* optimizer\.lr' -> nothing"):
        drive(toys.score)


def test_the_report_shows_what_is_forbidden_and_derived() -> None:
    rules = ("study.forbid=[{optimizer.lr:'>0.05'}]", "study.derive={optimizer.weight_decay:'0.1 * optimizer.lr'}")
    plan = drive(toys.score, "study.budget.trials=1", *rules).plan
    plan.launch.write(plan.study_dir, plan.asked)
    text = to_markdown(read_reported(plan.study_dir))
    assert "- forbidden: optimizer.lr&gt;0.05\n" in text
    assert "- derived: optimizer.weight_decay = 0.1 \\* optimizer.lr\n" in text


def test_starting_points_come_first_and_once() -> None:
    enqueue = "study.enqueue=[{model.depth:2,optimizer.lr:0.05},{optimizer.lr:0.002}]"
    space = ("study.space.model.depth=range(1,5)", LR, "model.dropout=0")
    driven = drive(toys.score, enqueue, "study.budget.trials=1", space=space)
    driven = drive(toys.score, enqueue, "study.budget.trials=4", space=space)
    first, second, *rest = (spec.params for spec in specs(driven))
    assert first == {"model.depth": 2, "optimizer.lr": 0.05}
    assert second["optimizer.lr"] == 0.002
    assert 0.002 not in [params["optimizer.lr"] for params in rest]
    assert driven.states() == ["COMPLETE"] * 4


@pytest.mark.parametrize(
    ("point", "says"),
    [
        ("{optimizer.lr:0.5}", r"study.enqueue\[0\] is no point of the space: optimizer.lr=0.5 is outside interval"),
        ("{optimizer.rl:0.05}", r"optimizer.rl is not searched. Did you mean 'optimizer.lr'"),
        ("{model.depth:3}", r"model.depth is not searched. It is fixed at 2"),
        ("{}", "must map keys to values"),
    ],
)
def test_a_starting_point_outside_the_space_is_refused(point: str, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        drive(toys.score, f"study.enqueue=[{point}]")


def test_a_conditional_starting_point_names_what_it_depends_on() -> None:
    for point, says in (
        ("{model.kernel_size:3}", "depends on model: give that too"),
        ("{model:mlp,model.kernel_size:3}", "is there only when model=cnn"),
        ("{model:linear,model.dropout:0.2}", "forbidden by study.forbid"),
    ):
        with pytest.raises(SpaceError, match=says):
            drive(toys.score, *FAMILIES, "optimizer.lr=0.01", f"study.enqueue=[{point}]", space=())


def test_a_study_starts_from_the_best_of_another() -> None:
    earlier = drive(toys.score, "study.name=earlier", "study.budget.trials=6")
    best = sorted(earlier.progress.rows, key=lambda row: -(row.value or 0))[:2]
    space = ("study.space.optimizer.lr=interval(0.0001,0.2)", "model.depth=2", "model.dropout=0")
    warm = ("study.warm_start={study:earlier,top:2}", "study.sampler=random")
    driven = drive(toys.score, *warm, "study.budget.trials=1", space=space)
    driven = drive(toys.score, *warm, "study.budget.trials=4", space=space)
    assert [spec.params for spec in specs(driven)[:2]] == [row.params for row in best]
    with pytest.raises(StudyError, match=r"there is no study 'earlire' .*Did you mean 'earlier'"):
        drive(toys.score, "study.warm_start.study=earlire", "study.name=other")


def test_a_point_that_comes_again_is_a_replicate() -> None:
    driven = drive(toys.score, "study.sampler=random", "study.budget.trials=6", space=SMALL)
    seen: dict[int, list[TrialSpec]] = {}
    for spec in specs(driven):
        seen.setdefault(int(spec.params["model.depth"] or 0), []).append(spec)
    assert max(map(len, seen.values())) > 2
    for same in seen.values():
        assert [spec.config["seed"] for spec in same] == list(range(len(same)))
        assert {spec.config["data"]["split_seed"] for spec in same} == {0}, "scores of one split compare"
        assert [spec.replicate_of for spec in same] == [None, *[same[0].number] * (len(same) - 1)]
        assert all(spec.seed == spec.config["seed"] for spec in same)
        assert same[-1].tags == {"replicate_of": str(same[0].number)}


def test_replicates_are_adopted_from_their_records() -> None:
    budget = ("study.sampler=random", "study.budget.trials=6")
    driven = drive(toys.score, *budget, space=SMALL)
    Path(driven.plan.storage).unlink()
    again = drive(toys.score, "study.sampler=random", "study.budget.trials=8", space=SMALL)
    assert again.states() == ["COMPLETE"] * 8
    assert [spec.replicate_of for spec in specs(again)][:6] == [spec.replicate_of for spec in specs(driven)][:6]


def test_a_searched_seed_is_the_searchs_own() -> None:
    driven = drive(toys.score, "study.budget.trials=4", "study.sampler=random", *SMALL[1:], "seed=1,2", space=())
    assert all(spec.replicate_of is None and spec.config["seed"] == spec.params["seed"] for spec in specs(driven))


def test_conditional_trials_are_adopted_from_their_records() -> None:
    rest = (*FAMILIES, "optimizer.lr=0.01", "study.sampler=random")
    driven = drive(toys.score, *rest, "study.budget.trials=5", space=())
    Path(driven.plan.storage).unlink()
    drive(toys.score, *rest, "study.budget.trials=6", space=())
    study = load_optuna_study(driven.plan.storage, driven.plan.name)
    assert [trial.params for trial in study.trials] == [spec.params for spec in specs(driven)]


def test_where_no_allowed_point_is_found_the_study_ends_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idealfit.study.drawing.MAX_REDRAWS", 1)
    monkeypatch.setattr("idealfit.study.drawing.MAX_RANDOM", 2)
    rare = ("study.forbid=[{optimizer.lr:'>0.0015'}]", "study.sampler=random", "study.budget.trials=3")
    driven = drive(toys.score, *rare)
    assert driven.ending == "failed"
    assert "study.forbid: no allowed point in 3 draws for trial 0. Forbid less" in driven.reason


def test_a_sampler_that_insists_on_a_forbidden_optimum_is_overruled_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idealfit.study.drawing.MAX_REDRAWS", 1)
    driven = drive(toys.score, "study.forbid=[{optimizer.lr:'<0.05'}]", "study.sampler=gp", "study.budget.trials=5")
    assert all(float(spec.params["optimizer.lr"] or 0) >= 0.05 for spec in specs(driven))


def test_an_interpolation_of_a_searched_key_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"means the config's own model\.width"):
        drive(toys.score, "study.space.model.width=range(8,17)", "study.space.model.depth='range(1,${model.width})'")
