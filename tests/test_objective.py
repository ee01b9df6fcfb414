"""What counts as better: penalties, constraints and fronts, on made curves and rows."""

from __future__ import annotations

from typing import Any

import pytest

from idealfit.objective import Constraint, Goal, Penalty
from idealfit.overfit import summarize
from idealfit.spec import Objective, TrialResult, TrialSpec, TrialState
from idealfit.study.outcome import TrialRow, pareto_front, rank, winner

CURVES = {
    "train/accuracy": [0.5, 0.9, 1.0],
    "val/accuracy": [0.6, 0.88, 0.9],
    "train/loss": [1.0, 0.5, 0.1],
    "val/loss": [1.0, 0.6, 0.7],
    "epoch_seconds": [2.0, 1.0, 1.0],
}
SMALL = Constraint(metric="params", relation="<=", bound=100)
COSTS = Objective(others=(Goal(metric="params", direction="minimize"),))


def test_a_penalty_moves_the_epoch_that_counts() -> None:
    objective = Objective(penalty=(Penalty(metric="gap", weight=1.0),))
    assert objective.label == "val/accuracy - 1*max(0, gap)"
    curve = objective.curve(CURVES)
    assert curve == pytest.approx([0.6, 0.86, 0.8]), "a gap below 0 is no merit"
    assert objective.best_epoch(curve) == 1
    assert Objective().best_epoch(CURVES["val/accuracy"]) == 2


def test_a_penalty_makes_a_loss_larger() -> None:
    objective = Objective(metric="val/loss", direction="minimize", penalty=(Penalty(metric="params", weight=0.01),))
    assert objective.curve(CURVES, {"params": 10.0}) == pytest.approx([1.1, 0.7, 0.8])


@pytest.mark.parametrize(
    ("epoch", "gap"), [("best", 0.1), ("last", 0.1), ("mean_of_last_k", (-0.1 + 0.02 + 0.1) / 3)], ids=str
)
def test_measures_follow_the_rule_of_the_epoch(epoch: Any, gap: float) -> None:
    asked = (Constraint(metric="gap", relation="<=", bound=1), Constraint(metric="seconds", relation="<=", bound=9))
    summaries = summarize(CURVES, Objective(epoch=epoch, constraints=(*asked, SMALL)), {"params": 7.0})
    assert summaries["measure/gap"] == pytest.approx(gap)
    assert (summaries["measure/seconds"], summaries["measure/params"]) == (4.0, 7.0)


def test_a_trial_that_never_overfits_has_its_onset_after_any_epoch() -> None:
    late = Objective(constraints=(Constraint(metric="onset", relation=">=", bound=10),))
    assert late.violations({"best/epoch": 1.0}) == ()
    assert late.violations({"overfit/onset_epoch": 4.0}) == ("onset 4, not >= 10",)
    assert list(late.excesses({"overfit/onset_epoch": 4.0}).values()) == pytest.approx([0.6])


def test_what_nobody_measured_keeps_no_constraint() -> None:
    assert Objective(constraints=(SMALL,)).violations({"best/epoch": 1.0}) == ("params unknown, not <= 100",)


def test_json_gives_it_back_and_a_plain_one_looks_as_it_always_did() -> None:
    rich = Objective(
        penalty=(Penalty(metric="gap", weight=0.5),),
        constraints=(SMALL,),
        others=(Goal(metric="x", direction="minimize"),),
    )
    spec = TrialSpec(study="s", number=0, config={}, record_dir="/r", objective=rich)
    assert TrialSpec.from_json(spec.to_json()) == spec
    assert Objective().to_json() == {"metric": "val/accuracy", "direction": "maximize", "epoch": "best", "k": 3}


def row(number: int, value: float, params: float, objective: Objective, *, pruned: bool = False) -> TrialRow:
    spec = TrialSpec(study="s", number=number, config={}, record_dir="/r", objective=objective)
    state = TrialState.PRUNED if pruned else TrialState.COMPLETE
    return TrialRow.of(spec, TrialResult(state=state, value=value, summaries={"measure/params": params}))


def test_feasible_trials_rank_first_and_the_others_by_how_far_they_miss() -> None:
    objective = Objective(constraints=(SMALL,))
    values = [(0.99, 300.0), (0.98, 150.0), (0.5, 100.0), (0.9, 50.0)]
    rows = [row(n, value, params, objective) for n, (value, params) in enumerate(values)]
    ranked = rank([*rows, row(4, 0.95, 10.0, objective, pruned=True)], objective)
    assert [r.number for r in ranked] == [3, 2, 4, 1, 0]
    assert winner(ranked) is ranked[0]
    assert winner(rank(rows[:2], objective)) is None, "a trial that breaks a constraint never wins"


def test_the_front_holds_what_none_beats_in_all() -> None:
    values = [(0.9, 100.0), (0.95, 200.0), (0.9, 150.0), (0.8, 10.0), (0.95, 190.0)]
    rows = [row(n, value, params, COSTS) for n, (value, params) in enumerate(values)]
    ranked = rank([*rows, row(5, 0.99, 1.0, COSTS, pruned=True)], COSTS)
    assert [r.number for r in pareto_front(ranked, COSTS)] == [4, 0, 3]
    assert [r.number for r in ranked[:3]] == [4, 0, 3]
    assert winner(ranked) is ranked[0]


def test_a_gap_below_zero_beats_no_gap_of_zero() -> None:
    objective = Objective(others=(Goal(metric="gap", direction="minimize"),))
    assert objective.values(0.9, {"measure/gap": -0.1}) == objective.values(0.9, {"measure/gap": 0.0}) == (0.9, 0.0)
