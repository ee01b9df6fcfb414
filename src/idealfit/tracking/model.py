"""A run's network as an MLflow model: `mlflow.pyfunc.load_model` gives scores for uint8 images.

The model is code and numbers: a script of ours that runs the exported `predict.py`, and weights as safetensors. Nothing
in it is pickled, and it needs no idealfit where it is loaded.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from unittest.mock import patch

from idealfit.tracking.naming import quoted
from idealfit.tracking.store import Store

NAME = "model"
SCRIPT = '''"""The exported predict.py as an MLflow model."""

import runpy
from pathlib import Path

import mlflow
import numpy as np


class Classifier(mlflow.pyfunc.PythonModel):
    """uint8 images [B, C, H, W] to scores [B, num_classes]."""

    def load_context(self, context):
        self.program = runpy.run_path(str(Path(context.artifacts["export"]) / "predict.py"))

    def predict(self, context, model_input: np.ndarray, params=None):
        import torch

        images = torch.from_numpy(np.ascontiguousarray(model_input, dtype=np.uint8))
        return self.program["predict"](images).numpy()


mlflow.models.set_model(Classifier())
'''


def log_model(store: Store, run_id: str, folder: Path, tags: dict[str, str]) -> str:
    """Log an exported run as a model of `run_id`; the same weights are never logged twice.

    Args:
        store: Where to.
        run_id: The run that it belongs to.
        folder: As `idealfit export` writes it, with `example.npz` beside it.
        tags: Of the model.

    Returns:
        The model's id: `mlflow.pyfunc.load_model(f"models:/{id}")`.
    """
    digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    there = store.client.search_logged_models([store.experiment_id], f"source_run_id = '{run_id}'")
    for model in there:
        if model.tags.get("weights_sha256") == digest and str(model.status) == "READY":
            return str(model.model_id)
    model = store.client.create_logged_model(
        store.experiment_id, NAME, source_run_id=run_id, tags=tags | {"weights_sha256": digest}
    )
    try:
        with tempfile.TemporaryDirectory() as name:
            _save(folder, Path(name) / NAME, run_id=run_id, model_id=model.model_id)
            store.client.log_model_artifacts(model.model_id, str(Path(name) / NAME))
    except BaseException:
        store.client.delete_logged_model(model.model_id)  # what comes after tries again, and half a model helps nobody
        raise
    store.client.finalize_logged_model(model.model_id, "READY")
    _link(store, run_id, model.model_id)
    return str(model.model_id)


def register(store: Store, name: str, model_id: str, run_id: str, *, alias: str, tags: dict[str, str]) -> str:
    """Make a logged model the registered version that `alias` means; the same model is never registered twice.

    Returns:
        The version: `mlflow.pyfunc.load_model(f"models:/{name}@{alias}")`.
    """
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(name, tags={"study": name})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    there = store.client.search_model_versions(f"name = {quoted(name)}")
    found = next((each for each in there if each.model_id == model_id), None)
    if found is None:
        source = f"models:/{model_id}"
        found = store.client.create_model_version(name, source, run_id, model_id=model_id)
    for key, value in tags.items():
        store.client.set_model_version_tag(name, found.version, key, value)
    store.client.set_registered_model_alias(name, alias, found.version)
    return str(found.version)


def _save(folder: Path, place: Path, *, run_id: str, model_id: str) -> None:
    """Write the MLflow model to `place`."""
    import mlflow
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    with np.load(folder.parent / "example.npz", allow_pickle=False) as found:
        example, num_classes = found["image"], int(found["num_classes"])
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, *example.shape[1:]), name=None)]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, num_classes), name=None)]),
    )
    needed = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    with tempfile.TemporaryDirectory() as scripts:
        script = Path(scripts) / "classifier.py"
        script.write_text(SCRIPT, encoding="utf-8")
        # It would read the file list of every package, which takes a second, to warn of requirements that differ.
        with patch("mlflow.utils.environment.warn_dependency_requirement_mismatches"):
            mlflow.pyfunc.save_model(
                place,
                python_model=str(script),
                artifacts={"export": str(folder)},
                signature=signature,
                input_example=example,
                pip_requirements=[f"mlflow=={mlflow.__version__}", *needed],
                mlflow_model=Model(run_id=run_id, model_id=model_id),
            )


def _link(store: Store, run_id: str, model_id: str) -> None:
    """Show the model on its run's page."""
    from mlflow.entities import LoggedModelOutput

    store.client.log_outputs(run_id, [LoggedModelOutput(model_id=model_id, step=0)])
