"""The metrics of each task on images that count so and so often: once each for the value, as drawn for its interval.

All functions here turn weights `[R, N]`, each row of which adds up to N, into values `[R]` of each metric. They agree
with those of `train.measuring`, but that a class or label without an image has no area under a curve and is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from idealfit.selection.bootstrap import Statistics
from idealfit.tasks import BINARY, MULTI_LABEL, Task
from idealfit.train.measuring import TOP_K

Floats = NDArray[np.float64]
RANKED = ("roc_auc", "pr_auc", "map")


def statistics_of(task: Task, targets: NDArray[np.generic], scores: Floats, names: Iterable[str]) -> Statistics:
    """The metrics `names` of a task; those that are no function of weights are left out.

    Args:
        task: Of the config.
        targets: Integers `[N]`, the right class of each image; of other tasks floats `[N, outputs]`.
        scores: `[N, num_classes]` or `[N, outputs]`: probabilities, or numbers.
        names: What is wanted.
    """
    wanted = tuple(names)
    if task.is_of_classes:
        columns = targets[:, None] == np.arange(scores.shape[1])
        counted = _of_classes(targets.astype(np.int64), scores, positive_only=task.name == BINARY)
    elif task.name == MULTI_LABEL:
        columns = np.asarray(targets > np.float64(0.5))
        counted = _of_labels(columns, scores > 0.5)
    else:
        columns = np.zeros((len(targets), 0), dtype=bool)
        counted = _of_numbers(targets.astype(np.float64)[:, 0], scores[:, 0])
    first = 1 if task.name == BINARY else 0
    ranked = _ranked(columns[:, first:], scores[:, first:]) if columns.size and set(wanted) & set(RANKED) else None

    def statistics(weights: Floats) -> dict[str, Floats]:
        found = dict(counted(weights)) | (dict(ranked(weights)) if ranked else {})
        return {name: found[name] for name in wanted if name in found}

    return statistics


def _of_classes(labels: NDArray[np.int64], scores: Floats, *, positive_only: bool) -> Statistics:
    num_images, num_classes = scores.shape
    given = scores.argmax(axis=1)
    right = given == labels
    own = scores[np.arange(num_images), labels][:, None]
    comes_first = np.arange(num_classes) < labels[:, None]  # of equal scores, as in argmax
    rank = ((scores > own) | (scores == own) & comes_first).sum(axis=1)

    def per_class(classes: NDArray[np.int64], weights: Floats) -> Floats:
        rows = np.arange(len(weights))[:, None] * num_classes + classes
        counts = np.bincount(rows.ravel(), weights.ravel(), len(weights) * num_classes).astype(np.float64, copy=False)
        return counts.reshape(len(weights), num_classes)

    def statistics(weights: Floats) -> dict[str, Floats]:
        counts = per_class(labels, weights * right), per_class(given, weights), per_class(labels, weights)
        if positive_only:
            hits, told, true = (each[:, 1:] for each in counts)
        else:
            hits, told, true = counts
        return {
            "accuracy": weights @ right / num_images,
            "top5_accuracy": weights @ (rank < TOP_K) / num_images,
            **_recognised(hits, told, true, absent=np.nan),
        }

    return statistics


def _of_labels(true: NDArray[np.bool_], given: NDArray[np.bool_]) -> Statistics:
    right = true == given
    counts = [each.astype(np.float64) for each in (true & given, given, true)]
    never = ~(true | given).any(axis=0)

    def statistics(weights: Floats) -> dict[str, Floats]:
        hits, told, having = (weights @ each for each in counts)
        return {
            "accuracy": weights @ right.mean(axis=1) / len(right),
            "exact_match": weights @ right.all(axis=1) / len(right),
            **_recognised(hits, told, having, absent=np.where(never, 0.0, np.nan)),
        }

    return statistics


def _recognised(hits: Floats, given: Floats, true: Floats, *, absent: float | Floats) -> dict[str, Floats]:
    """Precision, recall and F1, the mean over columns `[R, K]`; `absent` of a column that is neither given nor true."""
    is_there = given + true > 0
    pairs = {"precision": (hits, given), "recall": (hits, true), "f1": (2 * hits, given + true)}
    return {
        name: _mean(np.where(is_there, above / np.maximum(below, 1e-9), absent))
        for name, (above, below) in pairs.items()
    }


def _of_numbers(true: Floats, given: Floats) -> Statistics:
    errors, centred = given - true, true - true.mean()
    sums = np.stack([np.abs(errors), errors**2, centred, centred**2], axis=1)

    def statistics(weights: Floats) -> dict[str, Floats]:
        absolute, squared, total, squares = (weights @ sums / len(true)).T
        variation = squares - total**2
        explained = np.full_like(variation, np.nan)
        np.divide(squared, variation, out=explained, where=variation > 1e-15)
        return {"mae": absolute, "mse": squared, "rmse": np.sqrt(squared), "r2": 1 - explained}

    return statistics


def _ranked(true: NDArray[np.bool_], scores: Floats) -> Statistics:
    columns = [_Ranks(true[:, column], scores[:, column]) for column in range(true.shape[1])]

    def statistics(weights: Floats) -> dict[str, Floats]:
        areas: Sequence[tuple[Floats, Floats]] = [column.areas(weights) for column in columns]
        roc, pr = (_mean(np.stack(each, axis=1)) for each in zip(*areas, strict=True))
        return {"roc_auc": roc, "pr_auc": pr, "map": pr}

    return statistics


class _Ranks:
    """Images in the order of a score, the highest first; those with the same score count as one step."""

    def __init__(self, true: NDArray[np.bool_], scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self._true = true[self._order]

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """Under the ROC and under the precision-recall curve (average precision), each `[R]`."""
        drawn = weights[:, self._order]
        positive = np.add.reduceat(drawn * self._true, self._starts, axis=1)
        all_ = np.add.reduceat(drawn, self._starts, axis=1)
        above, above_all = positive.cumsum(axis=1), all_.cumsum(axis=1)
        num_positive, num_negative = above[:, -1], above_all[:, -1] - above[:, -1]
        pairs = ((all_ - positive) * (above - positive / 2)).sum(axis=1)
        precise = (positive * above / np.maximum(above_all, 1e-9)).sum(axis=1)
        has_both = (num_positive > 0) & (num_negative > 0)
        roc = np.where(has_both, pairs / np.maximum(num_positive * num_negative, 1e-9), np.nan)
        return roc, np.where(num_positive > 0, precise / np.maximum(num_positive, 1e-9), np.nan)


def _mean(columns: Floats) -> Floats:
    """Of `[R, K]` over columns, without those that are NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a row with none: its mean is NaN
        return np.asarray(np.nanmean(columns, axis=1))
