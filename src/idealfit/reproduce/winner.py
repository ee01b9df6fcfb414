"""The winner of a study, exported in a worker: the controller, which imports no torch, hands it to MLflow."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idealfit.record import Record
from idealfit.spec import FailureKind, StopSignal, TrialResult, TrialSpec, TrialState, UserError


def export_winner(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Export the trial `spec.number` of the study in whose folder `spec.record_dir` lies, to `RECORD_DIR/model`.

    Its network is built behind the trust gate, as for `idealfit export`. Beside it goes `example.npz`: `image`, a
    validation image as uint8 `[1, C, H, W]`, and `num_classes`.
    """
    from idealfit.reproduce.export import export
    from idealfit.reproduce.trained import trained

    place = Path(spec.record_dir)
    record = Record(place.parent / str(spec.number))
    try:
        run = trained(record, trusted=spec.trusted_packages)
        shutil.rmtree(place / "model", ignore_errors=True)
        export(run, place / "model")
        image = _example(record, run.facts["image_shape"])
        np.savez(place / "example.npz", image=image, num_classes=run.facts["num_classes"])
    except UserError as error:
        failure = FailureKind.INPUT
        return TrialResult(state=TrialState.FAILED, failure=failure, message=str(error), attempt=spec.attempt)
    return TrialResult(state=TrialState.COMPLETE, attempt=spec.attempt)


def _example(record: Record, image_shape: list[int]) -> NDArray[np.uint8]:
    from PIL import Image

    from idealfit.predictions import Predictions

    predictions = Predictions.read(record.predictions_path)
    channels, height, width = image_shape
    if predictions is None or not len(predictions.worst_images):
        return np.zeros((1, channels, height, width), dtype=np.uint8)
    image = predictions.worst_images[-1]  # kept small where it is large
    planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR) for plane in image]
    return np.stack([np.asarray(plane) for plane in planes])[None]
