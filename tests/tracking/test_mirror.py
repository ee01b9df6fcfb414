from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import pytest
import yaml
from mirrored import NUM_EPOCHS, Asked, Study, epoch_metrics

from idealfit.spec import TrialResult, TrialState, sha256_of
from idealfit.study.outcome import read_rows
from idealfit.tracking import Mirror


def mirror_of(uri: str, experiment: str = "digits") -> Mirror:
    return Mirror(uri=uri, experiment=experiment, interval_s=0.05)


def mirrored(uri: str, study: Study, *records: object) -> list[str]:
    mirror = mirror_of(uri)
    study.open(mirror)
    for record in records:
        mirror.finish_trial(record)  # type: ignore[arg-type]
    return mirror.close()


def test_a_finished_study_is_in_mlflow_metric_by_metric(uri: str, study: Study, asked: Asked) -> None:
    mirror = mirror_of(uri)
    study.open(mirror)
    records = [study.record(number) for number in range(3)]
    for record in records:
        mirror.start_trial(record)
        study.train(record)
        study.end(record)
        record.pictures_dir.mkdir()
        (record.pictures_dir / "curve.png").write_bytes(b"png")
        mirror.finish_trial(record)
    report = study.dir / "report"
    report.mkdir()
    (report / "leaderboard.csv").write_text("rank\n")
    mirror.finish_study(state="done", description="**[trial 2](trial:2)** wins, not [7](trial:7)", artifacts_dir=report)
    assert mirror.close() == []

    assert all(asked.mirrors(record) for record in records)
    parent, run = asked.parent(), asked.trial(2)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "trial 2"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id == mirror.parent_run_id
    assert run.data.tags["state"] == "complete"
    assert run.data.tags["protocol"] == "hold-out"
    assert run.data.tags["config_sha256"] == sha256_of(records[2].read_spec().config)
    assert "overfits from epoch 4" in run.data.tags["mlflow.note.content"]
    assert run.data.params == {
        "data": "Digits",
        "model": "MLP",
        "optimizer": "Adam",
        "seed": "7",
        "trainer.max_epochs": "12",
        "optimizer.lr": "0.03",
        "model.depth": "3",
    }
    assert {file.path for file in asked.client.list_artifacts(run.info.run_id)} == {"config.yaml", "pictures"}
    local = asked.client.download_artifacts(run.info.run_id, "config.yaml")
    assert yaml.safe_load(Path(local).read_text()) == records[2].read_spec().config
    assert parent.info.status == "FINISHED"
    page = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    assert parent.data.tags["mlflow.note.content"] == f"**[trial 2]({page})** wins, not 7"
    assert parent.data.params == {"sampler": "tpe"}
    assert [file.path for file in asked.client.list_artifacts(parent.info.run_id)] == ["leaderboard.csv"]


def test_trials_filter_flat_by_tags_and_summaries(uri: str, study: Study, asked: Asked) -> None:
    mirrored(uri, study, *(study.finished(number) for number in range(4)))
    best = asked.runs("tags.study = 'digits' and metrics.`best/val_accuracy` > 0.6")
    assert {run.data.tags["trial"] for run in best} == {"3"}


@pytest.mark.parametrize(
    ("state", "status", "failure"),
    [
        (TrialState.COMPLETE, "FINISHED", None),
        (TrialState.PRUNED, "KILLED", None),
        (TrialState.INTERRUPTED, "KILLED", None),
        (TrialState.FAILED, "FAILED", "oom"),
    ],
)
def test_the_status_tells_how_the_trial_ended(
    uri: str, study: Study, asked: Asked, state: TrialState, status: str, failure: str | None
) -> None:
    record = study.record(0)
    study.end(record, state, message="Traceback ...\nout of memory" if failure else "")
    assert mirrored(uri, study, record) == []
    run = asked.trial(0)
    assert (run.info.status, run.data.tags["state"], run.data.tags.get("failure")) == (status, state.value, failure)
    if failure:
        assert run.data.tags["mlflow.note.content"] == "failed: oom: out of memory"


def test_metrics_come_while_the_trial_runs(uri: str, study: Study, asked: Asked) -> None:
    mirror = mirror_of(uri)
    study.open(mirror)
    record = study.record(0)
    mirror.start_trial(record)
    study.train(record, range(3))
    assert mirror.flush()
    run = asked.trial(0)
    assert run.info.status == "RUNNING"
    assert run.data.tags["state"] == "running"
    assert len(asked.history(run, "val/loss")) == 3
    study.train(record, range(3, 5))
    assert mirror.flush()
    assert [epoch for epoch, _, _ in asked.history(run, "val/loss")] == [0, 1, 2, 3, 4]
    assert mirror.close() == []


def test_a_run_outside_a_study_has_no_parent(uri: str, study: Study, asked: Asked) -> None:
    mirror = mirror_of(uri)
    mirror.finish_trial(study.finished(0))
    assert mirror.close() == []
    (run,) = asked.runs()
    assert "mlflow.parentRunId" not in run.data.tags
    assert run.info.run_name == "digits/0"


def test_an_interrupted_trial_goes_on_in_its_run(uri: str, study: Study, asked: Asked) -> None:
    record = study.record(0)
    study.train(record, range(6))
    study.end(record, TrialState.INTERRUPTED)
    mirrored(uri, study, record)
    first = asked.trial(0).info.run_id

    mirror = mirror_of(uri)
    study.open(mirror)
    mirror.start_trial(record)
    assert mirror.flush()
    assert asked.trial(0).info.status == "RUNNING"
    assert asked.parent().info.status == "RUNNING"
    study.train(record, range(4, NUM_EPOCHS), attempt=1)  # from the checkpoint: epochs 4 and 5 once more, the same bits
    study.end(record)
    mirror.finish_trial(record)
    mirror.finish_study(state="done", description="")
    assert mirror.close() == []
    run = asked.trial(0)
    assert (run.info.run_id, run.info.status) == (first, "FINISHED")
    assert [epoch for epoch, _, _ in asked.history(run, "val/loss")] == list(range(NUM_EPOCHS))
    assert asked.parent().info.status == "FINISHED"


def test_a_repeated_epoch_with_other_values_leaves_only_what_counts(uri: str, study: Study, asked: Asked) -> None:
    record = study.record(0)
    mirror = mirror_of(uri)
    study.open(mirror)
    mirror.start_trial(record)
    study.train(record, range(8))
    assert mirror.flush()
    for epoch in range(5, 7):  # as on a GPU; and it stops earlier
        record.append_metrics(epoch, epoch_metrics(3, epoch), attempt=1)
    study.end(record)
    mirror.finish_trial(record)
    assert mirror.close() == []
    assert asked.mirrors(record)


def test_sending_everything_twice_changes_nothing(uri: str, study: Study, asked: Asked) -> None:
    record = study.finished(0)
    mirrored(uri, study, record)
    record.mirror_path.unlink()
    (study.dir / "mirror.json").write_text(
        json.dumps(json.loads((study.dir / "mirror.json").read_text()) | {"run_id": "", "opened": False})
    )
    mirrored(uri, study, record)
    assert asked.mirrors(record)
    assert len(asked.runs()) == 2


def test_the_budget_of_a_resumed_study_may_change_its_params(uri: str, study: Study, asked: Asked) -> None:
    mirror = mirror_of(uri)
    study.open(mirror, params={"trials": 5})
    mirror.close()
    mirror = mirror_of(uri)
    study.open(mirror, params={"trials": 9, "sampler": "gp"})
    assert mirror.close() == []
    assert asked.parent().data.params == {"trials": "5", "sampler": "gp"}


def test_values_that_mlflow_would_refuse_arrive_all_the_same(uri: str, study: Study, asked: Asked) -> None:
    record = study.record(0, params={"model.note": "x" * 9000, "a@b": None, "flag": True, "lr": 1e-05})
    record.append_metrics(0, {"val/acc@5": 0.5, "../up": 1.0, "val/loss": math.nan, "train/loss": math.inf})
    study.end(record, TrialState.FAILED, message="y" * 20000)
    assert mirrored(uri, study, record) == []
    run = asked.trial(0)
    assert len(run.data.params["model.note"]) == 5000
    assert (run.data.params["a_b"], run.data.params["flag"], run.data.params["lr"]) == ("null", "true", "1e-05")
    assert run.data.metrics["val/acc_5"] == 0.5
    assert math.isnan(run.data.metrics["val/loss"])
    assert run.data.metrics["train/loss"] > 1e300


@pytest.mark.parametrize("name", ["it's a study", 'the "best" one', "groß/çà", "50% #1 {x} $y"])
def test_odd_names_of_studies(uri: str, tmp_path: Path, name: str) -> None:
    study = Study(tmp_path / "runs", name)
    mirror = mirror_of(uri, name)
    study.open(mirror)
    record = study.finished(0)
    mirror.finish_trial(record)
    assert mirror.close() == []
    assert Asked(uri, name).mirrors(record)


def test_odd_places(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "it's ünder 100% #1\nhere"
    place.mkdir()
    (place / "mlflow.db").write_bytes(empty_database.read_bytes())
    monkeypatch.chdir(place)
    study = Study(place / "runs", "digits")
    mirror = mirror_of("sqlite:///mlflow.db")
    monkeypatch.chdir(tmp_path)  # relative to where the mirror was made
    study.open(mirror)
    record = study.finished(0)
    mirror.finish_trial(record)
    assert mirror.close() == []
    asked = Asked(f"sqlite:///{place}/mlflow.db", "digits")
    assert asked.mirrors(record)
    assert len(list((place / "mlartifacts").rglob("config.yaml"))) == 1


def test_two_studies_in_one_experiment_and_one_name_in_two_places(uri: str, tmp_path: Path) -> None:
    studies = [Study(tmp_path / place / "runs", "digits") for place in ("a", "b")]
    for study in studies:
        mirrored(uri, study, study.finished(0))
    runs = Asked(uri, "digits").runs("tags.trial = '0'")
    assert len({run.info.run_id for run in runs}) == len({run.data.tags["mlflow.parentRunId"] for run in runs}) == 2


def test_a_damaged_record_does_not_stop_the_others(uri: str, study: Study, asked: Asked) -> None:
    damaged, good = study.finished(0), study.finished(1)
    damaged.spec_path.write_text("{")
    (problem,) = mirrored(uri, study, damaged, good)
    assert problem.startswith("digits/0: ")
    assert "damaged" in problem
    assert asked.mirrors(good)


def test_of_equal_scores_mlflows_first_row_is_the_winner(uri: str, study: Study, asked: Asked) -> None:
    records = [study.record(number) for number in range(4)]
    for seconds, record in enumerate(records):
        value = 0.5 if seconds == 3 else 0.9
        summaries = {"best/val_accuracy": value}
        record.write_result(TrialResult(state=TrialState.COMPLETE, value=value, summaries=summaries, num_epochs=1))
        os.utime(record.config_path, (1_000_000 + seconds, 1_000_000 + seconds))  # when it began
    assert mirrored(uri, study, *records) == []
    order = ["metrics.`best/val_accuracy` DESC"]
    found = asked.client.search_runs([asked.store.experiment_id], "tags.trial != ''", order_by=order)
    rows, _ = read_rows(study.runs_dir, study.name)
    assert [int(run.data.tags["trial"]) for run in found] == [row.number for row in rows] == [2, 1, 0, 3]


def test_the_start_of_a_trial_is_sent_at_once_and_epochs_of_others_when_they_are_due(
    uri: str, study: Study, asked: Asked
) -> None:
    mirror = Mirror(uri=uri, experiment="digits", interval_s=3600.0)
    study.open(mirror)
    runs = study.record(0)
    mirror.start_trial(runs)
    assert mirror.flush()
    study.train(runs)
    mirror.finish_trial(study.finished(1))
    deadline = time.monotonic() + 30
    while not asked.runs("tags.trial = '1' and attributes.status = 'FINISHED'"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not asked.trial(0).data.metrics
    assert mirror.flush()
    assert asked.mirrors(runs)
    mirror.close()
