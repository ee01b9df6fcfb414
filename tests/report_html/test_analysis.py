from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from studies import SPACE, Plan, curves, cut, sample

from idealfit.objective import Goal
from idealfit.report.html import StudyData
from idealfit.report.html.accounts import count_savings, group_failures
from idealfit.report.html.analysis import analyse
from idealfit.report.html.boundaries import find_boundaries
from idealfit.report.html.dimensions import Dimension, read_dimensions
from idealfit.report.html.importance import importances, strongest_driver, target_quantile
from idealfit.report.html.payload import build_payload
from idealfit.report.html.timeline import Attempt, lay_out
from idealfit.report.html.tradeoff import tradeoffs
from idealfit.spec import FailureKind, Objective, Params, TrialState

DIMENSIONS = {d.key: d for d in read_dimensions(SPACE, [])}


def random_params(number: int) -> Params:
    return sample(number, seed=9).params


def test_dimensions_follow_the_space() -> None:
    lr, depth, width = (DIMENSIONS[key] for key in ("optimizer.lr", "model.depth", "model.width"))
    assert (lr.log, lr.low, lr.high, lr.is_discrete) == (True, 1e-4, 1e-1, False)
    assert (depth.low, depth.high, depth.ticks) == (1, 5, [1, 2, 3, 4, 5])
    assert width.log, "32, 64, 128, 256 are even steps on a log axis"
    assert DIMENSIONS["model.activation"].kind == "category"


def test_without_a_space_dimensions_are_what_was_tried_and_say_so() -> None:
    lr, name = read_dimensions(None, [{"lr": 1e-4, "name": "a"}, {"lr": 1e-2, "name": None}])
    assert (lr.is_known, lr.low, lr.high, lr.log) == (False, 1e-4, 1e-2, True)
    assert name.kind == "category"


@pytest.mark.parametrize(
    ("key", "value", "end"),
    [
        ("optimizer.lr", 0.09, "upper"),
        ("optimizer.lr", 0.01, None),
        ("model.depth", 1, "lower"),
        ("model.depth", 2, None),
        ("model.activation", "relu", None),
    ],
)
def test_edge_is_near_an_end_on_the_own_scale(key: str, value: float, end: str | None) -> None:
    assert DIMENSIONS[key].edge(value) == end


def test_two_values_have_no_edge() -> None:
    assert Dimension(key="k", kind="number", low=0.1, high=0.2, choices=(0.1, 0.2)).edge(0.2) is None


@pytest.mark.parametrize("num_trials", [15, 40])
def test_the_parameter_that_decides_is_the_most_important(num_trials: int) -> None:
    params = [random_params(i) for i in range(num_trials)]
    values = [-((math.log10(float(p["optimizer.lr"] or 1)) + 2.5) ** 2) for p in params]
    found = importances(params, values, list(DIMENSIONS.values()), "maximize")
    assert found[0].key == "optimizer.lr"
    assert sum(importance.share for importance in found) == pytest.approx(1.0)
    assert all(importance.low <= importance.share <= importance.high for importance in found)


def test_few_trials_have_no_importance() -> None:
    params = [random_params(i) for i in range(14)]
    assert importances(params, list(map(float, range(14))), list(DIMENSIONS.values()), "maximize") == []


def test_conditional_parameters_have_an_importance() -> None:
    draw = random.Random(0)
    params: list[Params] = [
        {"model": "cnn", "model.kernel": draw.randint(1, 7)} if i % 2 else {"model": "mlp"} for i in range(40)
    ]
    values = [float(p.get("model.kernel") or 0) for p in params]
    found = importances(params, values, read_dimensions(None, params), "maximize")
    assert {importance.key for importance in found} == {"model", "model.kernel"}


def test_good_trials_are_a_tenth_of_many_and_half_of_few() -> None:
    assert [target_quantile(n) for n in (15, 30, 60, 1000)] == [0.5, 0.5, 0.25, 0.1]


def test_a_driver_is_named_only_beyond_chance() -> None:
    params = [random_params(i) for i in range(40)]
    driver = strongest_driver(params, [-float(p["model.dropout"] or 0) for p in params], list(DIMENSIONS.values()))
    assert driver is not None
    assert (driver.key, round(driver.rho)) == ("model.dropout", -1)
    noise = random.Random(3)
    assert strongest_driver(params, [noise.random() for _ in params], list(DIMENSIONS.values())) is None


def boundary_texts(study: StudyData) -> list[str]:
    points = [trial.row.params for trial in study.compared]
    return [boundary.sentence for boundary in find_boundaries(points, study.dimensions)]


def test_a_best_trial_at_the_edge_says_which_way_to_widen(study_of: Callable[..., StudyData]) -> None:
    plans = [
        Plan({"optimizer.lr": lr, "model.depth": 3}, curves(5, reach=0.9 + lr)) for lr in (0.095, 0.09, 0.08, 0.001)
    ]
    (text,) = boundary_texts(study_of(*plans))
    assert text == (
        "The best trial's optimizer.lr = 0.095 lies at the upper end of the space (0.1), "
        "with 3 of the 4 best trials near it: widen it up, e.g. to 1."
    )


def test_one_trial_at_the_edge_may_be_chance(study_of: Callable[..., StudyData]) -> None:
    plans = [
        Plan({"model.depth": depth}, curves(5, reach=reach))
        for depth, reach in ((5, 0.97), (2, 0.96), (3, 0.95), (2, 0.9))
    ]
    (text,) = boundary_texts(study_of(*plans))
    assert "this may be chance; if not, widen it up, e.g. to 7." in text


@pytest.mark.parametrize(
    ("key", "low", "advice"), [("model.dropout", 0.0, "natural limit"), ("model.width", 32, "to 16")]
)
def test_a_lower_end_may_be_a_limit(study_of: Callable[..., StudyData], key: str, low: float, advice: str) -> None:
    (text,) = boundary_texts(study_of(*[Plan({key: low}, curves(5, reach=0.9 + i / 100)) for i in range(4)]))
    assert advice in text


def attempt(trial: int, begin: float, end: float, **changes: object) -> Attempt:
    made = Attempt(trial=trial, attempt=0, begin=begin, end=end, state=TrialState.COMPLETE, num_epochs=1)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_attempts_are_dealt_to_as_many_slots_as_ran_at_once() -> None:
    line = lay_out([attempt(0, 0, 10), attempt(1, 0, 4), attempt(2, 5, 10)])
    assert line is not None
    assert [bar.slot for bar in line.bars] == [0, 1, 1]
    assert (line.num_slots, line.seconds, line.idle_seconds) == (2, 10, pytest.approx(1.0))
    assert line.busy == pytest.approx(0.95)


def test_a_pause_between_sessions_is_left_out() -> None:
    line = lay_out([attempt(0, 1000, 1010), attempt(1, 9010, 9020)])
    assert line is not None
    assert line.pauses == ((10.0, 8000.0),)
    assert [(bar.begin, bar.end) for bar in line.bars] == [(0, 10), (10, 20)]
    assert (line.seconds, line.busy) == (20, 1.0)


def test_no_times_make_no_line() -> None:
    assert lay_out([]) is None


def test_pruning_saves_the_epochs_that_were_not_trained(study_of: Callable[..., StudyData]) -> None:
    pruned = replace(sample(1), curves=cut(curves(30), 3), state=TrialState.PRUNED, epoch_seconds=2.0)
    stopped = replace(sample(2), curves=curves(20), state=TrialState.COMPLETE)
    failed = replace(sample(3), curves={}, state=TrialState.FAILED, failure=FailureKind.NAN)
    savings = count_savings(study_of(pruned, stopped, failed))
    assert (savings.planned, savings.trained, savings.pruned, savings.stopped) == (60, 23, 27, 10)
    assert (savings.num_trials, savings.share, savings.seconds) == (2, 0.45, pytest.approx(54.0))
    assert savings.steps == ((0, 2), (3, 1), (20, 0))


def test_failures_are_grouped_by_cause_and_message_without_its_numbers(study_of: Callable[..., StudyData]) -> None:
    def failed(kind: FailureKind, message: str) -> Plan:
        return Plan({}, state=TrialState.FAILED, failure=kind, message=message)

    first, second = group_failures(
        study_of(
            failed(FailureKind.NAN, "nan in epoch 3"),
            failed(FailureKind.DATA, "a.png is no image"),
            failed(FailureKind.NAN, "nan in epoch 17"),
        )
    )
    assert (first.kind, first.trials, first.message) == ("nan", (0, 2), "nan in epoch 3")
    assert (second.kind, second.trials, second.log_path) == ("data", (1,), "1/attempts/0.log")


def test_the_front_holds_the_trials_that_none_beats_in_score_and_cost(study_of: Callable[..., StudyData]) -> None:
    def plan(reach: float, num_params: int) -> Plan:
        return Plan({}, curves(30, reach=reach), facts={"num_params": num_params})

    (by_params,) = tradeoffs(study_of(plan(0.97, 1000), plan(0.965, 100), plan(0.9, 500), plan(0.8, 50)))
    assert by_params.front == (3, 1, 0)
    assert by_params.is_bargain
    assert "Trial 1" in by_params.sentence
    assert "10 % of its model parameters" in by_params.sentence


def test_of_several_metrics_the_study_s_own_front_is_shown(study_of: Callable[..., StudyData]) -> None:
    def plan(reach: float, num_params: int) -> Plan:
        return Plan({}, curves(30, reach=reach), facts={"num_params": num_params})

    costs = Objective(others=(Goal(metric="params", direction="minimize"),))
    study = study_of(plan(0.97, 1000), plan(0.965, 100), plan(0.9, 500), plan(0.8, 50), objective=costs)
    (by_params,) = tradeoffs(study)
    assert (by_params.name, by_params.front, by_params.is_joint) == ("params", (3, 1, 0), False)
    assert by_params.costs[1] == 100
    assert by_params.sentence.startswith("Trials 0, 1 and 3 are the Pareto front")
    payload = build_payload(study, analyse(study), made="", sweep="", surroundings={})
    assert payload["asked"] == ["front", "params"]
    assert {trial["n"]: trial["asked"] for trial in payload["trials"]} == {
        0: ["yes", "1,000"],
        1: ["yes", "100"],
        2: ["", "500"],
        3: ["yes", "50"],
    }
