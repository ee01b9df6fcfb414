"""A study ends before its budget where its target is reached, or where nothing gets better beyond the noise."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from idealfit.record import Record, iter_records
from idealfit.spec import Objective, TrialState
from idealfit.study.device_time import study_device_seconds
from idealfit.study.enough import Enough, measure_noise
from idealfit.study.outcome import TrialRow

sys.path.insert(0, str(Path(__file__).parent))
import toys
from test_loop import drive


def rows(values: Sequence[float | None], *, depths: Sequence[int] = (), pruned: Sequence[int] = ()) -> list[TrialRow]:
    return [
        TrialRow(
            study="s",
            number=number,
            state=TrialState.PRUNED if number in pruned else TrialState.COMPLETE,
            value=value,
            params={"model.depth": depths[number] if depths else number},
        )
        for number, value in enumerate(values)
    ]


def patient(patience: int) -> Enough:
    return Enough(objective=Objective(), patience=patience)


def test_the_target_ends_it_in_either_direction() -> None:
    up = Enough(objective=Objective(), target=0.9)
    assert up.reason(rows([0.5, 0.89])) == ""
    assert up.reason(rows([0.5, 0.95], pruned=[1])) == "", "a pruned trial was cut short"
    assert up.reason(rows([0.5, 0.9])) == "trial 1 reached the target of 0.9 with 0.9000"
    down = Enough(objective=Objective(metric="val/loss", direction="minimize"), target=0.1)
    assert down.reason(rows([0.5, 0.2])) == ""
    assert down.reason(rows([0.5, 0.05]))


def test_a_trial_that_breaks_a_constraint_reaches_no_target() -> None:
    up = Enough(objective=Objective(), target=0.9)
    broken = [replace(row, violations=("params 900, not <= 100",)) for row in rows([0.5, 0.95])]
    assert up.reason(broken) == ""


def test_patience_counts_trials_since_the_last_improvement() -> None:
    assert patient(3).reason(rows([0.5, 0.6, 0.6, 0.6])) == ""
    reason = patient(3).reason(rows([0.5, 0.6, 0.6, None, 0.5]))
    assert reason.startswith("no improvement in 3 trials at all (no trial was replicated")
    assert patient(3).reason(rows([0.5, 0.4, 0.4, 0.4, 0.51])) == ""
    assert patient(3).reason(rows([None, None, None, None])) == "", "no score yet is no plateau"


def test_the_noise_is_that_of_the_better_half_of_the_repeated_points() -> None:
    repeated = rows([0.9, 0.92, 0.1, 0.5, 0.3], depths=[1, 1, 2, 2, 3])
    up, down = measure_noise(repeated, Objective()), measure_noise(repeated, Objective(direction="minimize"))
    assert (up.deviation, up.num_trials) == (pytest.approx(0.02 / 2**0.5), 2)
    assert down.deviation == pytest.approx(0.4 / 2**0.5)


def test_improvements_within_the_noise_of_replicates_do_not_count() -> None:
    depths = [1, 1, 2, 3, 4]
    noisy = rows([0.50, 0.54, 0.55, 0.56, 0.57], depths=depths)
    reason = patient(3).reason(noisy)
    assert reason == ""  # by the fourth step together they are more than the noise
    noise = measure_noise(noisy, Objective())
    assert noise.deviation == pytest.approx(0.04 / 2**0.5)
    assert noise.threshold == pytest.approx(0.04)
    reason = patient(3).reason(rows([0.50, 0.54, 0.53, 0.53, 0.53], depths=depths))
    assert "by more than 0.04, the noise that 2 replicates show" in reason


@pytest.mark.usefixtures("in_tmp_dir")
def test_a_study_stops_at_its_target_and_goes_on_when_it_is_raised() -> None:
    driven = drive(toys.score, "study.budget.target=-0.05", "study.budget.trials=50")
    assert driven.ending == "done"
    assert "reached the target of -0.05" in driven.reason
    assert len(driven.progress.rows) < 50
    again = drive(toys.score, "study.budget.target=-0.05", "study.budget.trials=50")
    assert again.heard.started == []
    assert len(drive(toys.score, "study.budget.target=null", "study.budget.trials=9").progress.rows) == 9


@pytest.mark.usefixtures("in_tmp_dir")
def test_a_study_stops_when_nothing_gets_better() -> None:
    driven = drive(toys.prune_odd, "study.budget.patience=4", "study.budget.trials=50")
    assert driven.reason.startswith("no improvement in 4 trials")
    assert len(driven.progress.rows) == 5


@pytest.mark.usefixtures("in_tmp_dir")
def test_device_seconds_are_counted_over_sessions_and_devices() -> None:
    two = ("study.budget.gpu_seconds=10", "trainer.devices=2")
    driven = drive(toys.takes_three_seconds, *two, "study.budget.trials=1")
    assert driven.reason == "the budget of 1 trial is used up"
    driven = drive(toys.takes_three_seconds, *two)
    assert driven.reason == "the budget of 10 device seconds is used up"
    assert len(driven.progress.rows) == 2, "6 seconds each"


@pytest.mark.usefixtures("in_tmp_dir")
def test_device_seconds_of_an_attempt_whose_controller_was_killed_count_too() -> None:
    two = ("study.budget.gpu_seconds=40", "trainer.devices=2")
    plan = drive(toys.takes_three_seconds, *two, "study.budget.trials=1").plan
    spec = next(iter_records(plan.runs_dir, plan.name)).read_spec()
    left = Record.create(spec.with_(number=1, record_dir=str(plan.study_dir / "1")))
    for epoch, moment in enumerate((100.0, 104.0, 107.0)):  # three epochs, the first of 5 seconds, and no result
        row = {"epoch": epoch, "time": moment, "attempt": 0, "metrics": {"epoch_seconds": 5.0 if epoch == 0 else 3.0}}
        with left.metrics_path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    assert study_device_seconds(plan.runs_dir, plan.name) == 2 * 3.0 + 2 * (7.0 + 5.0)
    driven = drive(toys.takes_three_seconds, *two)
    assert driven.reason == "the budget of 40 device seconds is used up"
    assert len(driven.progress.rows) == 3, "6 and 24 seconds, 6 for the rest of the second trial, 6 for a third"
