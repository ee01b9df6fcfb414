"""The look at the test set, in a worker: the controller imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from idealfit.engines.failures import failed
from idealfit.engines.worker import make_importable
from idealfit.predictions import Predictions, kept_scores
from idealfit.record import Record
from idealfit.spec import FailureKind, StopSignal, TrialResult, TrialSpec, TrialState, UserError

if TYPE_CHECKING:
    from idealfit.train.testing import Scored


def score_test(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Score the test images with the weights of the record `spec.number` beside `spec.record_dir`.

    The measures are in the facts; what was right and what was said of each image goes to `RECORD_DIR/look-N.npz`,
    where N is `spec.attempt`.
    """
    from idealfit.promotion.measures import measure
    from idealfit.train.testing import score_test_images

    place = Path(spec.record_dir)
    record = Record(place.parent / str(spec.number))
    result = record.read_result()
    record = record.trained(result)  # of several folds, the best one's network
    try:
        make_importable(spec)
        scored = score_test_images(
            record.read_spec().config,
            weights=record.best_weights_path,
            objective=spec.objective,
            trusted=spec.trusted_packages,
            refit=spec.refit,
        )
    except UserError as error:
        return failed(spec, FailureKind.INPUT, str(error))
    names = result.facts["class_names"] if result else [str(index) for index in range(scored.scores.shape[1])]
    measures = measure(scored.task, scored.targets, scored.scores, names, scored.more)
    place.mkdir(parents=True, exist_ok=True)
    _keep(scored, place / f"look-{spec.attempt}.npz")
    return TrialResult(state=TrialState.COMPLETE, facts={"measures": measures}, attempt=spec.attempt)


def _keep(scored: Scored, path: Path) -> None:
    """Of classes as the predictions of a trial are kept; else the arrays `targets` and `scores`, image by image."""
    kept = kept_scores(*scored.scores.shape)
    if not scored.task.is_of_classes:
        np.savez_compressed(path, targets=scored.targets[kept], scores=scored.scores[kept].astype(np.float32))
        return
    Predictions(
        labels=scored.targets.astype(np.int64),
        predicted=scored.scores.argmax(axis=1),
        scored=kept,
        scores=scored.scores[kept].astype(np.float16),
        worst=np.zeros(0, dtype=np.int64),
        worst_images=np.zeros((0, 1, 1, 1), dtype=np.uint8),
    ).write(path)
