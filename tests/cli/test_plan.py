"""`idealfit plan`: what a study would do, from what is on record, and nothing trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealfit.cli import main
from idealfit.config import Composer
from idealfit.record import Record
from idealfit.spec import TrialResult, TrialSpec, TrialState, record_path

pytestmark = pytest.mark.usefixtures("in_tmp_dir")


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["plan", *arguments]) == 0
    return capsys.readouterr().out


def trained(number: int, *overrides: str, epoch_seconds: float, study: str = "earlier") -> None:
    config = Composer("train", overrides).trial_config({})
    spec = TrialSpec(study=study, number=number, config=config, record_dir=str(record_path("runs", study, number)))
    done = TrialResult(state=TrialState.COMPLETE, value=0.9, num_epochs=5, fit_seconds=5 * epoch_seconds)
    Record.create(spec).write_result(done)


def test_it_shows_space_size_rules_and_ten_trials_and_trains_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys, "model_families")
    assert "model.kernel_size  choice(3, 5) when model=cnn, nuisance" in shown
    assert "size       410 points" in shown
    assert "forbidden  model=linear and model.dropout>0" in shown
    assert "derived    optimizer.weight_decay = 1e-5 / optimizer.lr" in shown
    lines = shown.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("trial  model"))
    trials = lines[header + 1 : header + 11]
    assert [line.split()[0] for line in trials] == list(map(str, range(10)))
    assert trials[0].split()[1:4] == ["linear", "0", "0.01"], (
        "the first starting point, without what a linear model lacks"
    )
    assert not Path("runs").exists()


def test_it_never_makes_up_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys, "lr_dropout_depth", "data.limit=300")
    assert "time       unknown" in shown
    assert "idealfit train data=digits data.limit=300 trainer.max_epochs=5" in shown
    trained(0, "data.limit=100", epoch_seconds=1)
    assert "time       unknown" in plan(capsys, "lr_dropout_depth", "data.limit=300"), "other data have another pace"


def test_time_and_disk_follow_from_records_on_the_same_data(capsys: pytest.CaptureFixture[str]) -> None:
    for number, seconds in enumerate((1.0, 2.0, 9.0)):
        trained(number, epoch_seconds=seconds)
    trained(3, "model=cnn", epoch_seconds=100)
    shown = plan(capsys, "lr_dropout_depth", "study.budget.trials=3", "trainer.max_epochs=10")
    assert "time       1:00 of training" in shown, "3 trials of 10 epochs at the median of 2 s of this model"
    assert "by         4 recorded trials on this data (earlier)" in shown
    assert " KB of records" in shown
    shown = plan(capsys, "lr_dropout_depth", "model=linear", "~study.space.model.depth")
    assert "none of them of Linear" in shown


def test_a_study_that_is_under_way_is_planned_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    trained(0, epoch_seconds=1, study="lr_dropout_depth")
    assert "to run     19 of 20 trials" in plan(capsys, "lr_dropout_depth")


def test_it_says_of_how_many_training_runs_a_score_is(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys, "lr_dropout_depth", "protocol=kfold")
    assert "(best epoch), the mean of 5 folds" in shown
    assert "at most 30 epochs each of 5 folds" in shown


def test_it_says_what_a_sampler_cannot_learn(capsys: pytest.CaptureFixture[str]) -> None:
    assert "gp learns only keys that every trial has" in plan(capsys, "model_families", "study.sampler=gp")
    assert "590 trials at least repeat a point" in plan(capsys, "model_families", "study.budget.trials=1000")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "model_familes"], "no sweep 'model_familes' in sweeps/. Did you mean 'model_families'"),
        (["plan", "model_families", "study.forbid=[{modle:cnn}]"], "Did you mean 'model'"),
        (["plan", "model_families", "study.warm_start.study=nothing"], "there is no study 'nothing'"),
        (["plan", "model_families", "study.derive={optimizer.weight_dcay:1}"], "no key 'optimizer.weight_dcay'"),
        (["plan", "model_families", "study.budget.patience=0"], "study.budget.patience must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err
