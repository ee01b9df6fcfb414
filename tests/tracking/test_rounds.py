"""Folds and seeds are runs under their trial's run: a study's grandchildren."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mirrored import NUM_EPOCHS, Asked, Study, epoch_metrics

from idealfit.record import Record, iter_records
from idealfit.spec import TrialResult, TrialState
from idealfit.tracking import Mirror, sync


def begin_round(trial: Record, index: int) -> Record:
    spec = trial.read_spec()
    config = {**spec.config, "protocol": {"name": "kfold", "folds": 3, "fold": index}}
    place = str(trial.round(index).path)
    return Record.create(spec.with_(config=config, record_dir=place, tags={"fold": str(index)}))


def finish_round(study: Study, trial: Record, index: int) -> Record:
    record = begin_round(trial, index)
    study.train(record)
    study.end(record)
    return record


def rounds_of(asked: Asked, number: int = 0) -> list[Any]:
    runs = asked.runs(f"tags.round_of = 'digits/{number}'")
    return sorted(runs, key=lambda run: run.data.tags["fold"])


def synced(uri: str, study: Study, *, is_running: bool = False) -> list[str]:
    records = iter_records(study.runs_dir, study.name)
    return sync(records, study=study.name, study_dir=study.dir, uri=uri, is_running=is_running).failures


def test_each_round_is_a_run_under_its_trial(uri: str, study: Study, asked: Asked) -> None:
    mirror = Mirror(uri=uri, experiment="digits", interval_s=0.05)
    study.open(mirror)
    trial = study.record(0)
    mirror.start_trial(trial)
    first = finish_round(study, trial, 0)
    assert mirror.flush()
    assert [run.info.status for run in rounds_of(asked)] == ["FINISHED"]  # while the trial goes on
    finish_round(study, trial, 1)
    study.train(trial)
    summaries = {"objective_std": 0.25, "best/val_accuracy": 0.5, "best/val_accuracy_std": 0.25}
    trial.write_result(TrialResult(state=TrialState.COMPLETE, value=0.5, summaries=summaries, scores=[0.25, 0.75]))
    mirror.finish_trial(trial)
    assert mirror.close() == []

    assert asked.mirrors(trial)
    parent = asked.trial(0)
    assert parent.data.metrics["objective_std"] == 0.25
    assert parent.data.tags["mlflow.note.content"].startswith("sd 0.3536 over 2 rounds, ")
    rounds = rounds_of(asked)
    assert [run.info.run_name for run in rounds] == ["fold 0", "fold 1"]
    assert {run.data.tags["mlflow.parentRunId"] for run in rounds} == {parent.info.run_id}
    curve = [value for _, value, _ in asked.history(rounds[0], "val/accuracy")]
    assert curve == [epoch_metrics(0, epoch)["val/accuracy"] for epoch in range(NUM_EPOCHS)]
    assert first.mirror_path.exists()


def test_a_filter_for_the_study_finds_trials_alone(uri: str, study: Study, asked: Asked) -> None:
    trial = study.finished(0)
    finish_round(study, trial, 0)
    mirror = Mirror(uri=uri, experiment="digits", interval_s=0.05)
    study.open(mirror, tags={"study": "digits"})
    mirror.finish_trial(trial)
    assert mirror.close() == []
    assert {run.info.run_name for run in asked.runs("tags.study = 'digits'")} == {"digits", "trial 0"}
    assert len(asked.runs()) == 3


def test_a_round_that_was_stopped_goes_on_in_its_run(uri: str, study: Study, asked: Asked) -> None:
    trial = study.record(0)
    part = begin_round(trial, 0)
    study.train(part, range(3))
    part.write_result(TrialResult(state=TrialState.INTERRUPTED))
    trial.write_result(TrialResult(state=TrialState.INTERRUPTED))
    assert synced(uri, study) == []
    (stopped,) = rounds_of(asked)
    assert (stopped.info.status, stopped.data.tags["state"]) == ("KILLED", "interrupted")

    part.result_path.unlink()
    trial.result_path.unlink()
    study.train(part, range(3, NUM_EPOCHS), attempt=1)
    assert synced(uri, study, is_running=True) == []
    (running,) = rounds_of(asked)
    assert (running.info.status, running.info.run_id) == ("RUNNING", stopped.info.run_id)
    study.end(part)
    study.train(trial)
    study.end(trial)
    assert synced(uri, study) == []
    (ended,) = rounds_of(asked)
    assert ended.info.status == "FINISHED"
    assert len(asked.history(ended, "val/loss")) == NUM_EPOCHS


@pytest.mark.parametrize("how", ["lost", "elsewhere"])
def test_a_store_without_them_gets_all_of_them_again(
    uri: str, study: Study, tmp_path: Path, empty_database: Path, how: str
) -> None:
    trial = study.finished(0)
    for index in range(2):
        finish_round(study, trial, index)
    assert synced(uri, study) == []
    database = tmp_path / ("mlflow.db" if how == "lost" else "elsewhere.db")
    database.write_bytes(empty_database.read_bytes())
    uri = f"sqlite:///{database}"
    assert synced(uri, study) == []
    asked = Asked(uri, "digits")
    rounds = rounds_of(asked)
    assert len(rounds) == 2
    assert {run.data.tags["mlflow.parentRunId"] for run in rounds} == {asked.trial(0).info.run_id}
    assert asked.mirrors(trial)
