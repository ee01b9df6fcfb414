"""How well each class is told from the rest, in numbers: F1, and the points of ROC and precision-recall curves.

The same numbers as scikit-learn's, whose import takes a second of the controller's time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idealfit.predictions import Predictions

Values = NDArray[np.float64]


@dataclass(frozen=True)
class F1:
    """Precision, recall and their harmonic mean of each class, from the classes given; NaN where it has no image."""

    precision: Values
    recall: Values
    values: Values

    @classmethod
    def of(cls, predictions: Predictions) -> F1:
        """Count; a class that is never given has precision 0."""
        labels, given, num_classes = predictions.labels, predictions.predicted, predictions.num_classes
        hits, num_images, num_given = (
            np.bincount(each, minlength=num_classes) for each in (labels[labels == given], labels, given)
        )
        has_images = num_images > 0
        precision, recall = hits / np.maximum(num_given, 1), hits / np.maximum(num_images, 1)
        f1 = 2 * hits / np.maximum(num_images + num_given, 1)
        return cls(*(np.where(has_images, values, np.nan) for values in (precision, recall, f1)))

    @property
    def hardest(self) -> NDArray[np.int64]:
        """The classes that have images, the hardest first."""
        order = np.argsort(self.values, kind="stable")  # NaN comes last
        return order[: int(np.isfinite(self.values).sum())]


@dataclass(frozen=True)
class Curve:
    """One class against the rest, a point for each threshold, from the strictest on; `score` says how hard it is.

    Attributes:
        false, true: The ROC: rates of false and of true positives, from (0, 0) to (1, 1).
        precision: At each `recall`, from (0, 1) to recall 1.
        area: Under the ROC.
    """

    name: str
    score: float
    false: Values
    true: Values
    precision: Values
    area: float
    average_precision: float

    @property
    def recall(self) -> Values:
        """Another name of the rate of true positives."""
        return self.true


def one_against_rest(predictions: Predictions, index: int, name: str) -> Curve:
    """The curves of class `index`, scored by average precision; some images are of it, and some are not."""
    is_class = predictions.labels[predictions.scored] == index
    scores = predictions.scores[:, index].astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # equal scores have one threshold
    hits = np.cumsum(is_class[order])[ends]
    taken = ends + 1.0
    true = np.append(0.0, hits / hits[-1])
    false = np.append(0.0, (taken - hits) / (taken[-1] - hits[-1]))
    precision = np.append(1.0, hits / taken)
    average_precision = float(np.sum(np.diff(true) * precision[1:]))
    area = float(np.trapezoid(true, false))
    return Curve(name, average_precision, false, true, precision, area, average_precision)
