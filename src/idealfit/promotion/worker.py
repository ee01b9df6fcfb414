"""The look at the test set, in a worker: the controller imports no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from idealfit.engines.failures import failed
from idealfit.engines.worker import make_importable
from idealfit.predictions import Predictions, kept_scores
from idealfit.record import Record
from idealfit.spec import FailureKind, StopSignal, TrialResult, TrialSpec, TrialState, UserError


def score_test(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Score the test images with the weights of the record `spec.number` beside `spec.record_dir`.

    The measures are in the facts; each image's class goes to `RECORD_DIR/look-N.npz`, where N is `spec.attempt`.
    """
    from idealfit.promotion.measures import measure
    from idealfit.train.testing import score_test_images

    place = Path(spec.record_dir)
    record = Record(place.parent / str(spec.number))
    result = record.read_result()
    record = record.trained(result)  # of several folds, the best one's network
    try:
        make_importable(spec)
        labels, scores = score_test_images(
            record.read_spec().config,
            weights=record.best_weights_path,
            objective=spec.objective,
            trusted=spec.trusted_packages,
            refit=spec.refit,
        )
    except UserError as error:
        return failed(spec, FailureKind.INPUT, str(error))
    names = result.facts["class_names"] if result else [str(index) for index in range(scores.shape[1])]
    place.mkdir(parents=True, exist_ok=True)
    scored = kept_scores(len(labels), scores.shape[1])
    Predictions(
        labels=labels,
        predicted=scores.argmax(axis=1),
        scored=scored,
        scores=scores[scored].astype(np.float16),
        worst=np.zeros(0, dtype=np.int64),
        worst_images=np.zeros((0, 1, 1, 1), dtype=np.uint8),
    ).write(place / f"look-{spec.attempt}.npz")
    return TrialResult(
        state=TrialState.COMPLETE, facts={"measures": measure(labels, scores, names)}, attempt=spec.attempt
    )
