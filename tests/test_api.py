"""The Python API, and with it a whole study: real training, real processes, real MLflow, once for the whole module."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import idealfit
from idealfit.cli import main
from idealfit.record import Record, iter_records
from idealfit.spec import StudyError, TrialState

NUM_TRIALS, NUM_EPOCHS = 4, 3

# As users write scripts: no `if __name__ == "__main__"`, although trials run in processes of their own.
SCRIPT = f"""
import json
import idealfit

study = idealfit.sweep(
    "lr_dropout_depth", "study.budget.trials={NUM_TRIALS}", "trainer.max_epochs={NUM_EPOCHS}", "engine.slots=2"
)
frame, curves = study.trials(), study.curves()
print("RESULT " + json.dumps({{
    "best": study.best.number,
    "ending": study.ending,
    "trials": list(map(int, frame.index)),
    "columns": list(frame.columns),
    "epochs": len(curves),
    "heavy": [name for name in ("torch", "lightning") if name in __import__("sys").modules],
}}))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study")
    (place / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (place / "stdout").write_text(done.stdout)
    return place


@pytest.fixture(scope="module")
def returned(place: Path) -> dict[str, Any]:
    last = (place / "stdout").read_text().splitlines()[-1]
    found: dict[str, Any] = json.loads(last.removeprefix("RESULT "))
    return found


def test_a_script_gets_results_as_frames(returned: dict[str, Any]) -> None:
    assert returned["ending"] == "done"
    assert sorted(returned["trials"]) == list(range(NUM_TRIALS))
    assert returned["best"] == returned["trials"][0]
    assert {"state", "value", "params.optimizer.lr", "best/val_accuracy", "overfit/gap_at_best"} <= set(
        returned["columns"]
    )
    assert NUM_TRIALS <= returned["epochs"] <= NUM_TRIALS * NUM_EPOCHS


def test_the_controller_never_loads_torch(returned: dict[str, Any]) -> None:
    assert returned["heavy"] == []


def test_the_terminal_tells_each_trial_and_the_winner(place: Path, returned: dict[str, Any]) -> None:
    text = (place / "stdout").read_text()
    assert text.count("] trial ") == NUM_TRIALS
    assert f"winner    trial {returned['best']}: val/accuracy" in text
    assert "idealfit ui lr_dropout_depth" in text


def test_every_trial_left_a_whole_record(place: Path) -> None:
    records = list(iter_records(place / "runs", "lr_dropout_depth"))
    assert len(records) == NUM_TRIALS
    for record in records:
        result = record.read_result()
        assert result is not None
        assert result.state in (TrialState.COMPLETE, TrialState.PRUNED)
        assert len(record.read_metrics()) == result.num_epochs
        assert {"train/loss", "val/loss", "train/accuracy", "val/accuracy", "lr"} <= set(record.curves())
        assert result.value == max(record.curves()["val/accuracy"])
        assert (record.pictures_dir / "overfitting_curve.png").stat().st_size > 5000


def test_the_report_opens_without_network(place: Path) -> None:
    report = place / "runs" / "lr_dropout_depth" / "report"
    assert {path.name for path in report.iterdir()} == {"leaderboard.csv", "report.html"}
    page = (report / "report.html").read_text()
    assert "Which learning rate, dropout and depth fit the digits best" in page
    assert "idealfit sweep lr_dropout_depth study.budget.trials=4" in page
    assert "report    runs/lr_dropout_depth/report/report.html" in (place / "stdout").read_text()
    assert '<script src="' not in page


def test_mlflow_mirrors_the_records(place: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db")
    experiment = client.get_experiment_by_name("lr_dropout_depth")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert parent.info.status == "FINISHED"
    assert {a.path for a in client.list_artifacts(parent.info.run_id)} >= {"leaderboard.csv", "report.html"}
    assert len(children) == NUM_TRIALS
    for run in children:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        record = Record(place / "runs" / "lr_dropout_depth" / run.data.tags["trial"])
        history = client.get_metric_history(run.info.run_id, "val/loss")
        assert [point.value for point in history] == record.curves()["val/loss"]
        result = record.read_result()
        assert result is not None
        assert run.info.status == {"complete": "FINISHED", "pruned": "KILLED"}[result.state]
        assert run.data.metrics["best/val_accuracy"] == result.summaries["best/val_accuracy"]


def test_no_process_is_left(place: Path) -> None:
    left = [p for p in Path("/proc").glob("[0-9]*/cwd") if _target(p) == place]
    assert not left


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


def test_a_finished_study_says_so_and_trains_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    arguments = ["sweep", "lr_dropout_depth", f"study.budget.trials={NUM_TRIALS}", f"trainer.max_epochs={NUM_EPOCHS}"]
    assert main(arguments) == 0
    assert "complete already: the budget of 4 trials is used up" in capsys.readouterr().out
    assert main([*arguments, "model.width=32"]) == 2
    assert "model.width: 128 -> 32" in capsys.readouterr().err


def test_a_study_loads_from_its_records(place: Path) -> None:
    study = idealfit.load_study("lr_dropout_depth", place / "runs")
    assert study.best is not None
    run = study.run(study.best.number)
    assert run.result.value == study.best.value
    assert run.curves().loc[:, "val/accuracy"].max() == study.best.value
    with pytest.raises(StudyError, match="no trial '99'"):
        study.run(99)
    with pytest.raises(StudyError, match="Did you mean 'lr_dropout_depth'"):
        idealfit.load_study("lr_dropout", place / "runs")


def test_a_single_run_is_recorded_and_numbered(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = idealfit.train("trainer.max_epochs=2", "tracking=none")
    assert run.label == "train/0"
    assert run.result.state is TrialState.COMPLETE
    assert list(run.curves().index) == [0, 1]
    header, first, second, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["epoch", "train/loss", "val/loss", "train/accuracy", "val/accuracy"]
    assert (first.split()[0], second.split()[0]) == ("0", "1")
    assert idealfit.train("trainer.max_epochs=1", "tracking=none", quiet=True).label == "train/1"


def test_the_verb_train_survives_the_package_of_that_name() -> None:
    package = importlib.import_module("idealfit.train")
    assert callable(idealfit.train)
    assert package.fit is importlib.import_module("idealfit.train.fit").fit


def test_hydras_multirun_is_a_study_of_every_combination(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "model.depth=1,2", "trainer.max_epochs=1", "engine=inline", "tracking=none"]) == 0
    assert "2 trials (2 complete)" in capsys.readouterr().out
    (folder,) = (in_tmp_dir / "runs").iterdir()
    assert {record.read_spec().params["model.depth"] for record in iter_records("runs", folder.name)} == {1, 2}
