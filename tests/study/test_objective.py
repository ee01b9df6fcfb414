"""What `study.objective` may say, and how a study with constraints or several metrics is driven."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idealfit.objective import Constraint, Goal, Penalty
from idealfit.spec import ConfigError, StopSignal, TrialResult, TrialSpec, TrialState
from idealfit.study.ledger import load_optuna_study
from idealfit.study.mirroring import description
from idealfit.study.objective import make_objective, parse_constraint
from idealfit.study.outcome import StudyResult, TrialRow, rank
from idealfit.study.plan import StudyPlan

sys.path.insert(0, str(Path(__file__).parent))
import toys
from test_loop import drive
from test_plan import plan_of

pytestmark = pytest.mark.usefixtures("in_tmp_dir")


def objective_of(**node: Any) -> Any:
    return make_objective({"metric": "val/accuracy", "direction": None, "epoch": "best", "k": 3} | node)


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("params <= 1e6", Constraint(metric="params", relation="<=", bound=1e6)),
        ("overfit/gap<=0.02", Constraint(metric="gap", relation="<=", bound=0.02)),
        (" val/accuracy >= .9 ", Constraint(metric="val/accuracy", relation=">=", bound=0.9)),
    ],
)
def test_a_constraint_is_a_name_a_relation_and_a_number(text: str, constraint: Constraint) -> None:
    assert parse_constraint(text) == constraint


def test_directions_are_natural_unless_given() -> None:
    objective = objective_of(metrics=["val/accuracy", "gap", "maximize params"])
    assert (objective.metric, objective.direction) == ("val/accuracy", "maximize")
    assert objective.others == (
        Goal(metric="gap", direction="minimize"),
        Goal(metric="params", direction="maximize"),
    )


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"constraints": ["gap"]}, "is not NAME <= NUMBER"),
        ({"constraints": ["gap <= 0.02 or True"]}, "is not NAME <= NUMBER"),
        ({"constraints": ["gap < 0.02"]}, "write <=, not <"),
        ({"constraints": ["0.02 >= gap"]}, "'gap' is no number"),
        ({"constraints": ["gap <= nan"]}, "must be finite"),
        ({"constraints": ["gap <= 0.02", "gap >= 0.05"]}, "contradict each other"),
        ({"constraints": ["gap <= 0.02", "gap <= 0.05"]}, "bound the same side"),
        ({"constraints": ["val/accuracy >= 1.2"]}, "can never be kept: val/accuracy is between 0 and 1"),
        ({"constraints": ["params <= 0"]}, "can never be kept: params is at least 1"),
        ({"constraints": ["test/accuracy >= 0.5"]}, "stays locked"),
        ({"penalty": {"gap": -0.5}}, "must be a finite weight above 0, got -0.5"),
        ({"penalty": {"gap": float("inf")}}, "must be a finite weight above 0"),
        ({"penalty": {"gap": 0.5, "overfit/gap": 0.5}}, "names gap 2 times"),
        ({"penalty": {"onset": 1.0}}, "never is no number"),
        ({"metrics": ["val/accuracy"]}, "names one metric"),
        ({"metrics": ["val/accuracy", "gap", "gap"]}, "names gap 2 times"),
        ({"metrics": ["params", "val/accuracy"]}, "params can't be the first metric"),
        ({"metrics": ["val/accuracy", "minimise gap"]}, "Did you mean 'minimize'"),
        ({"metrics": ["val/accuracy", "gap"], "penalty": {"gap": 1.0}}, "give one of the two"),
        ({"metrics": ["val/accuracy", "gap"], "direction": "minimize"}, "direction says nothing"),
        ({"metrics": ["val/accuracy", "gap"], "metric": "val/loss"}, "contradict each other"),
        ({"metric": "params"}, "params can't be the first metric"),
    ],
)
def test_what_makes_no_sense_is_told(node: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        objective_of(**node)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], r"study\.pruner=hyperband compares trials by one value an epoch"),
        (["study.pruner=none", "study.sampler=cmaes"], r"study\.sampler=cmaes searches for the best of one metric"),
        (["study.pruner=none", "study.budget.target=0.9"], r"study\.budget\.target follows one metric"),
    ],
)
def test_several_metrics_refuse_what_needs_a_single_one(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of("study.objective.metrics=[val/accuracy,gap]", "study.objective.direction=null", *overrides)


def measured(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """More parameters for a larger learning rate, and more accuracy too."""
    lr = float(spec.config["optimizer"]["lr"])
    result = TrialResult(state=TrialState.COMPLETE, value=lr, summaries={"measure/params": 1e4 * lr}, num_epochs=1)
    return toys._end(spec, result)


def test_a_penalty_can_be_typed() -> None:
    plan = plan_of("study.objective.penalty={gap: 0.5}")
    assert plan.objective.penalty == (Penalty(metric="gap", weight=0.5),)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            ("study.objective.metrics=[val/accuracy,params]", "study.objective.direction=null", "study.pruner=none"),
            "| [trial 1](trial:1) | 0.9 | 500 | `optimizer.lr=0.01` |",
        ),
        (
            ("study.objective.constraints=['params <= 10']",),
            "No winner: no trial keeps params <= 10; the nearest is trial 1: params 500, not <= 10.",
        ),
    ],
)
def test_mlflow_is_told_the_front_and_why_there_is_no_winner(asked: tuple[str, ...], told: str) -> None:
    plan = plan_of(*asked)
    rows = []
    for number, (value, params) in enumerate([(0.8, 900.0), (0.9, 500.0)]):
        spec = TrialSpec(
            study=plan.name,
            number=number,
            config={},
            record_dir="/r",
            objective=plan.objective,
            params={"optimizer.lr": 0.01},
        )
        result = TrialResult(state=TrialState.COMPLETE, value=value, summaries={"measure/params": params})
        rows.append(TrialRow.of(spec, result))
    result = StudyResult(
        name=plan.name,
        ending="done",
        reason="over",
        objective=plan.objective,
        rows=rank(rows, plan.objective),
        study_dir=plan.study_dir,
    )
    assert told in description(plan, result).splitlines()


def trials_of(plan: StudyPlan) -> list[Any]:
    return load_optuna_study(plan.storage, plan.name).get_trials(deepcopy=False)


Lose = Callable[[StudyPlan], None]


def test_optuna_learns_how_far_each_trial_breaks_a_constraint() -> None:
    driven = drive(measured, "study.budget.trials=4", "study.objective.constraints=['params <= 500']")
    trials = trials_of(driven.plan)
    expected = [1e4 * trial.params["optimizer.lr"] / 500 - 1 for trial in trials]
    assert [trial.constraints["params <= 500"] for trial in trials] == pytest.approx(expected)
    best = driven.progress.best
    assert best is None or best.summaries["measure/params"] <= 500


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_several_metrics_are_told_all_and_adopted_from_records(sampler: str) -> None:
    asked = (
        "study.objective.metrics=[val/accuracy,params]",
        "study.objective.direction=null",
        "study.objective.constraints=['params <= 900']",
        "study.pruner=none",
        f"study.sampler={sampler}",
    )
    driven = drive(measured, "study.budget.trials=4", *asked)
    told = [(trial.values, trial.constraints) for trial in trials_of(driven.plan)]
    assert all(values == pytest.approx([values[0], 1e4 * values[0]]) for values, _ in told)
    Path(driven.plan.storage).unlink()
    assert drive(measured, "study.budget.trials=5", *asked).states() == ["COMPLETE"] * 5
    assert [(trial.values, trial.constraints) for trial in trials_of(driven.plan)][:4] == told
