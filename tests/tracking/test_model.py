from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import idealfit
from idealfit.predictions import Predictions
from idealfit.record import Record
from idealfit.tracking.model import log_model
from idealfit.tracking.store import Store

LOAD = """
import sys
sys.modules["idealfit"] = None  # it must not be needed
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}")
assert model.metadata.signature is not None
print(model.predict(model.input_example).tolist())
np.save(sys.argv[4], model.predict(np.load(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study."""
    folder = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        overrides = ["study.budget.trials=2", "study.pruner=none", "trainer.max_epochs=3", "engine.slots=1"]
        idealfit.sweep("lr_dropout_depth", *overrides, quiet=True)
    return folder


def store_of(place: Path) -> Store:
    return Store(f"sqlite:///{place / 'mlflow.db'}", "lr_dropout_depth")


def test_the_winner_is_a_model_that_predicts_as_its_record_says(place: Path) -> None:
    store = store_of(place)
    (model,) = store.client.search_logged_models([store.experiment_id])
    parent = store.client.get_run(model.source_run_id)
    assert "mlflow.parentRunId" not in parent.data.tags
    assert [output.model_id for output in parent.outputs.model_outputs] == [model.model_id]
    study = idealfit.load_study("lr_dropout_depth", place / "runs")
    assert study.best is not None
    predictions = Predictions.read(Record(study.best.record_dir).predictions_path)
    assert predictions is not None
    images = validation_images()
    np.save(place / "images.npy", images)
    arguments = [store.uri, model.model_id, str(place / "images.npy"), str(place / "scores.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *arguments], check=True, capture_output=True, text=True)
    scores = np.load(place / "scores.npy")
    assert np.allclose(scores, predictions.scores, atol=2e-3)  # kept as float16
    assert (scores.argmax(axis=1) == predictions.predicted).all()


def validation_images() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Those of the default study, as they were decoded."""
    from idealfit.config import Composer
    from idealfit.data.sources.digits import Digits
    from idealfit.data.split import make_split

    data = Composer("train").trial_config()["data"]
    arrays = Digits().read()
    fractions = {key: data[key] for key in ("val_fraction", "test_fraction")}
    split = make_split(arrays.labels, arrays.class_names, seed=data["split_seed"], limit=None, **fractions)
    return arrays.images[split.val]


def test_a_study_killed_after_its_last_trial_ends_in_mlflow_all_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(place)
    (model,) = store.client.search_logged_models([store.experiment_id])
    page = place / "runs" / "lr_dropout_depth" / "mirror.json"
    page.write_text(json.dumps(json.loads(page.read_text()) | {"ending": "", "ended": False}))
    store.client.update_run(model.source_run_id, status="RUNNING")
    monkeypatch.chdir(place)
    again = idealfit.resume("lr_dropout_depth", quiet=True)
    assert (again.ending, len(again.rows)) == ("done", 2)
    assert store.client.get_run(model.source_run_id).info.status == "FINISHED"


def test_the_same_weights_are_logged_once(place: Path) -> None:
    store = store_of(place)
    (model,) = store.client.search_logged_models([store.experiment_id])
    folder = place / "runs" / "lr_dropout_depth" / "winner" / "model"
    assert log_model(store, model.source_run_id, folder, {}) == model.model_id
    assert len(store.client.search_logged_models([store.experiment_id])) == 1
