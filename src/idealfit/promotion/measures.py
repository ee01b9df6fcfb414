"""What the test images say of a network: each metric of its task with an interval, and each class by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idealfit.promotion.weighted import RANKED, statistics_of
from idealfit.selection import Interval, share_interval
from idealfit.selection.bootstrap import bootstrap_intervals
from idealfit.spec import JSON
from idealfit.tasks import BINARY, MULTI_CLASS, MULTI_LABEL, REGRESSION, UNIT_REGRESSION, Task
from idealfit.train.measuring import MIN_CLASSES_FOR_TOP_K, NUM_BINS

MAX_MATRIX_CLASSES = 100  # a larger matrix is left to the file of the predictions
MAX_RANKED = 2_000_000  # images times classes: beyond, intervals of areas under curves would take minutes
LOOKED_AT = {
    MULTI_CLASS: ("f1", "calibration_error"),
    BINARY: ("f1", "roc_auc", "calibration_error"),
    MULTI_LABEL: ("roc_auc", "map"),
    REGRESSION: ("rmse",),
    UNIT_REGRESSION: ("rmse",),
}
"""By task what a look tells beside the metrics of every epoch."""
SHARES = {
    MULTI_CLASS: ("accuracy", "top5_accuracy"),
    BINARY: ("accuracy",),
    MULTI_LABEL: ("exact_match",),
}
"""By task the metrics that are shares of the images. (Of several labels, the accuracy is a share of labels.)"""


def measure(
    task: Task,
    targets: NDArray[np.generic],
    scores: NDArray[np.float64],
    class_names: Sequence[str],
    more: Sequence[str] = (),
) -> JSON:
    """The metrics of a task, `{name: [value, low, high]}`, the first its objective; and what there is of classes.

    A share of images has Wilson's interval, the calibration error none (each resample adds to it what it measures),
    the others that of the bootstrap over images. Bounds are None where there is no interval.

    Args:
        task: Of the config.
        targets: Integers `[N]`, the right class of each image; of other tasks floats `[N, outputs]`.
        scores: `[N, num_classes]` or `[N, outputs]`, in full precision: ranks and calibration need it.
        class_names: One for each column of `scores`.
        more: Metrics beyond the usual ones that the run was asked for.
    """
    names = [task.objective.rpartition("/")[2], *task.metrics, *LOOKED_AT[task.name], *more]
    if scores.shape[1] < MIN_CLASSES_FOR_TOP_K:
        names = [name for name in names if name != "top5_accuracy"]
    found: JSON = {"num_images": len(targets), "metrics": _metrics(task, targets, scores, list(dict.fromkeys(names)))}
    if task.is_of_classes:
        found |= _of_classes(targets.astype(np.int64), scores, class_names)
    elif task.name == MULTI_LABEL:
        found["classes"] = _by_class(np.asarray(targets > np.float64(0.5)), scores > 0.5, scores, class_names)
    return found


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """How far confidence and accuracy lie apart, on average over images: ECE of 15 equal bins (Guo et al. 2017).

    Args:
        confidence: `[N]`: of the class that is given; of a binary task, that the image is positive.
        right: `[N]`: whether that is so.
    """
    bins = np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(right))


def _metrics(
    task: Task, targets: NDArray[np.generic], scores: NDArray[np.float64], names: Sequence[str]
) -> dict[str, list[float | None]]:
    count = len(targets)
    values = {
        name: float(value[0])
        for name, value in statistics_of(task, targets, scores, names)(np.ones((1, count))).items()
    }
    shares = SHARES.get(task.name, ())
    drawn = [name for name in values if name not in shares]
    if scores.size > MAX_RANKED:
        drawn = [name for name in drawn if name not in RANKED]
    intervals: dict[str, Interval | None] = {
        name: share_interval(round(values[name] * count), count) for name in values if name in shares
    }
    if drawn:
        intervals |= bootstrap_intervals(statistics_of(task, targets, scores, drawn), count)
    if "calibration_error" in names:
        given = np.ones(count, dtype=np.int64) if task.name == BINARY else scores.argmax(axis=1)
        values["calibration_error"] = calibration_error(scores[np.arange(count), given], given == targets)
    return {name: [_finite(values[name]), *(intervals.get(name) or (None, None))] for name in names if name in values}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _of_classes(labels: NDArray[np.int64], scores: NDArray[np.float64], names: Sequence[str]) -> JSON:
    """Hits, each class by itself, and the confusion matrix where it is not too large."""
    predicted, num_classes = scores.argmax(axis=1), scores.shape[1]
    matrix = np.bincount(labels * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)
    everything = np.arange(num_classes)
    classes = _by_class(labels[:, None] == everything, predicted[:, None] == everything, scores, names)
    return {
        "num_right": int((predicted == labels).sum()),
        "classes": classes,
        **({"confusion": matrix.tolist()} if num_classes <= MAX_MATRIX_CLASSES else {}),
    }


def _by_class(
    true: NDArray[np.bool_], given: NDArray[np.bool_], scores: NDArray[np.float64], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Of each column of `[N, K]`: what is recognised, and how well its scores rank."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    hits, told, having = (each.sum(axis=0) for each in (true & given, given, true))
    found = []
    for index, name in enumerate(names):
        is_it, can_rank = true[:, index], 0 < having[index] < len(true)
        found.append(
            {
                "name": str(name),
                "num_images": int(having[index]),
                "precision": float(hits[index] / max(told[index], 1)),
                "recall": float(hits[index] / max(having[index], 1)),
                "f1": float(2 * hits[index] / max(told[index] + having[index], 1)),
                "roc_auc": float(roc_auc_score(is_it, scores[:, index])) if can_rank else None,
                "pr_auc": float(average_precision_score(is_it, scores[:, index])) if can_rank else None,
            }
        )
    return found
