"""What the test images say of a network, from the right classes and a probability for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idealfit.selection import share_interval
from idealfit.spec import JSON

NUM_BINS = 15
MAX_MATRIX_CLASSES = 100  # a larger matrix is left to the file of the predictions


def measure(labels: NDArray[np.int64], scores: NDArray[np.float64], class_names: Sequence[str]) -> JSON:
    """Accuracy with its interval, confusion matrix, each class by itself, calibration error.

    Args:
        labels: Integers `[N]`, the right class of each image.
        scores: `[N, num_classes]`, in full precision: ranks and calibration need it.
        class_names: One for each class.
    """
    predicted = scores.argmax(axis=1)
    hits, count = int((predicted == labels).sum()), len(labels)
    interval = share_interval(hits, count)
    num_classes = scores.shape[1]
    matrix = np.bincount(labels * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)
    classes = _by_class(labels, predicted, scores, class_names)
    return {
        "accuracy": hits / count,
        "low": interval.low,
        "high": interval.high,
        "num_right": hits,
        "num_images": count,
        "macro_f1": float(np.mean([each["f1"] for each in classes])),
        "calibration_error": calibration_error(labels, scores),
        "classes": classes,
        **({"confusion": matrix.tolist()} if num_classes <= MAX_MATRIX_CLASSES else {}),
    }


def calibration_error(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """How far confidence and accuracy lie apart, on average over images: ECE of 15 equal bins (Guo et al. 2017)."""
    confidence = scores.max(axis=1)
    right = scores.argmax(axis=1) == labels
    bins = np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _by_class(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], scores: NDArray[np.float64], names: Sequence[str]
) -> list[dict[str, Any]]:
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

    everything = range(len(names))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=list(everything), zero_division=0.0
    )
    found = []
    for index in everything:
        is_it = labels == index
        can_rank = 0 < support[index] < len(labels)
        found.append(
            {
                "name": str(names[index]),
                "num_images": int(support[index]),
                "precision": float(precision[index]),
                "recall": float(recall[index]),
                "f1": float(f1[index]),
                "roc_auc": float(roc_auc_score(is_it, scores[:, index])) if can_rank else None,
                "pr_auc": float(average_precision_score(is_it, scores[:, index])) if can_rank else None,
            }
        )
    return found
