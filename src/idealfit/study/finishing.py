"""What follows a trial, off the loop: draw its picture, then hand it to the mirror."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from idealfit.overfit import summarize
from idealfit.predictions import Predictions
from idealfit.range_test import FACT
from idealfit.record import Record
from idealfit.spec import TrialResult, TrialSpec
from idealfit.study.mirroring import RunMirror


def draw_pictures(record: Record, spec: TrialSpec) -> None:
    """Draw what the record knows into it; a trial without an epoch has no picture."""
    from idealfit.pictures import (
        class_curves,
        confusion_matrix,
        feature_maps,
        first_layer,
        learning_rate_curve,
        nearest_neighbours,
        overfitting_curve,
        range_test_curve,
        saliency,
        worst_images,
    )

    curves, result, folder = record.curves(), record.read_result(), record.pictures_dir
    tested = result.facts.get(FACT) if result else None
    if not curves and not (tested and tested["rates"]):
        return
    folder.mkdir(parents=True, exist_ok=True)
    if tested:
        range_test_curve(**tested, path=folder / "lr_range.png", title=spec.label)
        return
    overfitting_curve(curves, summarize(curves, spec.objective), folder / "overfitting_curve.png", title=spec.label)
    if "lr" in curves:
        learning_rate_curve(curves["lr"], folder / "learning_rate.png", title=spec.label)
    predictions = Predictions.read(record.predictions_path)
    if predictions is None or result is None:
        return
    names = class_names(result, predictions.num_classes)
    confusion_matrix(predictions, names, folder / "confusion_matrix.png", title=spec.label)
    class_curves(predictions, names, folder / "roc_and_precision_recall.png", title=spec.label)
    worst_images(predictions, names, folder / "worst_images.png", title=spec.label)
    first_layer(predictions.kernels, names, folder / "first_layer.png", title=spec.label)
    saliency(predictions, names, folder / "saliency.png", title=spec.label)
    feature_maps(predictions, folder / "feature_maps.png", title=spec.label)
    nearest_neighbours(predictions, folder / "nearest_neighbours.png", title=spec.label)


def class_names(result: TrialResult, num_classes: int) -> list[str]:
    """The names that the result tells; numbers where they are missing."""
    names = [str(name) for name in result.facts.get("class_names", ())]
    return names if len(names) == num_classes else [str(index) for index in range(num_classes)]


class Finisher:
    """Hears of started and ended trials; draws and mirrors on a thread of its own, in order.

    Args:
        mirror: Where runs go.
        pictures: Whether to draw.
        on_problem: Told when a picture fails; a picture is never worth a study.
    """

    def __init__(self, mirror: RunMirror, *, pictures: bool, on_problem: Callable[[str], None]) -> None:
        self._mirror = mirror
        self._pictures = pictures
        self._on_problem = on_problem
        self._queue: queue.SimpleQueue[tuple[Record, TrialSpec] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="idealfit-finisher", daemon=True)
        self._thread.start()

    def trial_started(self, record: Record, spec: TrialSpec) -> None:
        """Make its run in MLflow."""
        self._mirror.trial_started(record)

    def trial_ended(self, record: Record, spec: TrialSpec, result: TrialResult) -> None:
        """Draw and mirror it, soon."""
        self._queue.put((record, spec))

    def close(self) -> None:
        """Wait until all is drawn and handed over."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            record, spec = item
            if self._pictures:
                try:
                    draw_pictures(record, spec)
                except Exception as error:  # noqa: BLE001 - whatever matplotlib meets, the study goes on
                    self._on_problem(f"no picture of trial {spec.label}: {error!r}")
            self._mirror.trial_ended(record)
