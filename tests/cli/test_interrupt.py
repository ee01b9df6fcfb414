"""Ctrl-C on a real study: running trials are saved, the state is true everywhere, nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from idealfit.record import Record, iter_records
from idealfit.spec import TrialState

COMMAND = [
    "sweep",
    "lr_dropout_depth",
    "study.pruner=none",
    "trainer.max_epochs=2000",
    "trainer.accelerator=cpu",
    "engine.slots=1",
]


@pytest.mark.parametrize("trainer", ["default", "ddp"])
def test_the_first_ctrl_c_stops_well(tmp_path: Path, trainer: str) -> None:
    study = subprocess.Popen(
        [sys.executable, "-m", "idealfit", *COMMAND, f"trainer={trainer}"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    record = Record(tmp_path / "runs" / "lr_dropout_depth" / "0")
    deadline = time.monotonic() + 120
    while len(record.read_metrics()) < 3:
        assert study.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    study.send_signal(signal.SIGINT)
    printed, _ = study.communicate(timeout=60)
    assert study.returncode == 130
    assert printed.splitlines()[-1].startswith("go on     idealfit ")
    states = [r.read_result().state for r in iter_records(tmp_path / "runs", "lr_dropout_depth")]  # type: ignore[union-attr]
    assert states == [TrialState.INTERRUPTED]
    assert list(record.checkpoint_dir.iterdir()), "it can go on from here"
    assert mlflow_states(tmp_path) == {("lr_dropout_depth", "KILLED"), ("trial 0", "KILLED")}


def mlflow_states(place: Path) -> set[tuple[str, str]]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{place}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {(str(run.info.run_name), str(run.info.status)) for run in client.search_runs(experiments)}
