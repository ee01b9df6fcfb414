from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from studies import SPACE, Plan, curves, cut, sample, write_study

from idealfit.record import Record
from idealfit.report.html import StudyData, read_study
from idealfit.spec import Objective, StudyError, TrialState


def test_trials_come_best_first_and_complete_ones_before_pruned_ones(finished: StudyData) -> None:
    states = [t.state for t in finished.trials]
    assert states == sorted(states, key=[TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED].index)
    values = [t.row.value for t in finished.complete]
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]


def test_best_median_and_most_overfit_are_chosen_among_complete_trials(finished: StudyData) -> None:
    assert finished.best is finished.complete[0]
    assert finished.median is finished.complete[len(finished.complete) // 2]
    most = finished.most_overfit
    assert most is not None
    assert finished.final_gap(most) == max(finished.final_gap(t) or 0.0 for t in finished.complete)


def test_gap_is_positive_when_training_is_better_for_either_direction(tmp_path: Path) -> None:
    overfit = Plan({"model.depth": 5}, curves(30, overfit=3.0))
    for objective in (Objective(), Objective(metric="val/loss", direction="minimize")):
        study = read_study(write_study(tmp_path / objective.direction, [overfit], objective=objective))
        assert (study.final_gap(study.trials[0]) or 0.0) > 0


def test_a_running_trial_has_the_score_that_its_curve_reached(study_of: Callable[..., StudyData]) -> None:
    running = replace(sample(0), state=TrialState.RUNNING, curves=cut(sample(0).curves, 7))
    study = study_of(sample(3), running)
    trial = next(t for t in study.trials if t.state is TrialState.RUNNING)
    assert trial.row.value == max(running.curves["val/accuracy"])
    assert trial.row.num_epochs == 7
    assert trial.row.best_epoch == 6
    assert study.best is not None
    assert study.best.state is TrialState.COMPLETE


def test_a_trial_that_recorded_nothing_yet_has_no_score(study_of: Callable[..., StudyData]) -> None:
    study = study_of(replace(sample(0), state=TrialState.RUNNING, curves={}))
    assert study.best is None
    assert study.trials[0].row.value is None
    assert study.trials[0].attempts[0].state is TrialState.RUNNING


def test_a_damaged_record_is_named_and_left_out(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path / "s", [sample(number) for number in range(4)])
    Record(study_dir / "0").result_path.write_text('{"state": "comp')
    Record(study_dir / "1").spec_path.write_text("[]")
    spec = json.loads(Record(study_dir / "2").spec_path.read_text())
    Record(study_dir / "2").spec_path.write_text(json.dumps(spec | {"params": "no params"}))
    study = read_study(study_dir)
    assert [t.number for t in study.trials] == [3]
    assert len(study.damaged) == 3
    assert "trial 0" in study.damaged[0]
    assert "no params" in study.damaged[2]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no record"):
        read_study(tmp_path)


def test_a_parameter_that_is_none_of_json_s_scalars_is_named(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path / "s", [sample(1)])
    spec = json.loads(Record(study_dir / "0").spec_path.read_text())
    Record(study_dir / "0").spec_path.write_text(json.dumps(spec | {"params": {"a": [1, 2]}}))
    with pytest.raises(StudyError, match="its params can't be"):
        read_study(study_dir)


def test_attempts_take_the_times_of_the_run(finished_dir: Path, finished: StudyData) -> None:
    trial = finished.complete[0]
    record = Record(finished_dir / str(trial.number))
    (attempt,) = trial.attempts
    assert attempt.begin == record.spec_path.stat().st_mtime
    assert attempt.end == record.result_path.stat().st_mtime
    assert attempt.num_epochs == 30


def test_copied_records_take_times_from_the_metrics_alone(
    finished_dir: Path, finished: StudyData, tmp_path: Path
) -> None:
    copied = shutil.copytree(finished_dir, tmp_path / "copied", copy_function=shutil.copy)  # times of files are lost
    study = read_study(copied, space=SPACE)
    for original, copy in zip(finished.complete, study.complete, strict=True):
        assert copy.attempts[0].begin == pytest.approx(original.attempts[0].begin, abs=1.0)
        assert copy.attempts[0].end == pytest.approx(original.attempts[0].end, abs=1.0)


def test_a_resumed_trial_has_an_attempt_for_each_execution(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path / "s", [sample(1)])
    record = Record(study_dir / "0")
    rows = [json.loads(line) for line in record.metrics_path.read_text().splitlines()]
    for row in rows[10:]:
        row |= {"attempt": 1, "time": row["time"] + 3600}
    record.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = json.loads(record.result_path.read_text())
    record.result_path.write_text(json.dumps(result | {"attempt": 1}))
    os.utime(record.result_path, (rows[-1]["time"] + 1, rows[-1]["time"] + 1))
    first, second = read_study(study_dir).trials[0].attempts
    assert (first.num_epochs, second.num_epochs) == (10, 20)
    assert first.state is TrialState.INTERRUPTED
    assert second.state is TrialState.COMPLETE
    assert second.begin - first.end > 3500
