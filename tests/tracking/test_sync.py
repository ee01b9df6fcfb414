from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mirrored import Asked, Study

from idealfit.record import iter_records
from idealfit.spec import TrackingError, TrialState
from idealfit.tracking import SyncReport, sync


def synced(uri: str, study: Study, **options: bool) -> SyncReport:
    return sync(iter_records(study.runs_dir, study.name), study=study.name, study_dir=study.dir, uri=uri, **options)


def test_everything_missing_is_sent_once(uri: str, study: Study, asked: Asked) -> None:
    records = [study.finished(0), study.finished(1, TrialState.PRUNED)]
    assert synced(uri, study).num_sent == 2
    assert all(asked.mirrors(record) for record in records)
    assert asked.trial(1).data.tags["mlflow.parentRunId"] == asked.parent().info.run_id
    report = synced(uri, study)
    assert (report.num_trials, report.num_sent, report.failures) == (2, 0, [])


def test_progress_is_told_trial_by_trial(uri: str, study: Study) -> None:
    study.finished(0)
    told: list[tuple[int, str]] = []
    records = iter_records(study.runs_dir, study.name)
    sync(records, study="digits", study_dir=study.dir, uri=uri, on_trial=lambda *news: told.append(news))
    assert told == [(1, "digits/0")]


def test_a_trial_that_nobody_runs_is_told_interrupted(uri: str, study: Study, asked: Asked) -> None:
    record = study.record(0)
    study.train(record, range(3))
    synced(uri, study, is_running=True)
    assert asked.trial(0).info.status == "RUNNING"
    synced(uri, study)
    assert (asked.trial(0).info.status, asked.trial(0).data.tags["state"]) == ("KILLED", "interrupted")
    study.train(record, range(3, 12))
    study.end(record)
    synced(uri, study)
    assert asked.trial(0).info.status == "FINISHED"
    assert asked.mirrors(record)


def test_another_store_gets_everything_too(uri: str, study: Study, tmp_path: Path, empty_database: Path) -> None:
    record = study.finished(0)
    synced(uri, study)
    (tmp_path / "elsewhere.db").write_bytes(empty_database.read_bytes())
    other = f"sqlite:///{tmp_path}/elsewhere.db"
    assert synced(other, study).num_sent == 1
    assert Asked(other, "digits").mirrors(record)


def test_a_store_that_lost_its_runs_gets_them_again(
    uri: str, study: Study, tmp_path: Path, empty_database: Path
) -> None:
    record = study.finished(0)
    synced(uri, study)
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    assert synced(f"{uri}?timeout=20", study).num_sent == 1  # another address, for MLflow keeps connections by address
    assert Asked(f"{uri}?timeout=20", "digits").mirrors(record)


def test_a_run_that_the_user_deleted_stays_deleted(uri: str, study: Study, asked: Asked) -> None:
    study.finished(0)
    synced(uri, study)
    asked.client.delete_run(asked.trial(0).info.run_id)
    assert synced(uri, study).num_sent == 0
    assert [run.data.tags.get("trial") for run in asked.runs()] == [None]


def test_a_deleted_experiment_is_restored(uri: str, study: Study, asked: Asked) -> None:
    study.finished(0)
    synced(uri, study)
    asked.client.delete_experiment(asked.parent().info.experiment_id)
    record = study.finished(1)
    assert synced(uri, study).failures == []
    assert asked.mirrors(record)


def test_a_damaged_record_is_named_and_the_rest_is_sent(uri: str, study: Study, asked: Asked) -> None:
    study.finished(0).result_path.write_text("[]")
    good = study.finished(1)
    (failure,) = synced(uri, study).failures
    assert failure.startswith("digits/0: ")
    assert asked.mirrors(good)


def test_a_database_of_another_mlflow_is_refused_with_the_cure(uri: str, study: Study, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.commit()
    with pytest.raises(TrackingError, match="mlflow db upgrade"):
        synced(uri, study)
