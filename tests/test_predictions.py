from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)
from torch import nn

from idealfit.config import Composer
from idealfit.pictures import class_curves, confusion_matrix, learning_rate_curve, worst_images
from idealfit.pictures.canvas import HEIGHT_PX, WIDTH_PX, short
from idealfit.pictures.rates import F1, one_against_rest
from idealfit.predictions import MAX_SCORES, Predictions, kept_scores
from idealfit.record import Record
from idealfit.spec import StudyError, TrialSpec, record_path
from idealfit.study.finishing import draw_pictures
from idealfit.train.predicting import predict_validation
from idealfit.trial import run_trial


def made(num_images: int, num_classes: int, *, channels: int = 1, seed: int = 0) -> Predictions:
    """A classifier that is right four times in five."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num_images)
    scored = kept_scores(num_images, num_classes)
    scores = rng.random((len(scored), num_classes)) * 0.1
    given = np.where(rng.random(num_images) < 0.8, labels, rng.integers(num_classes, size=num_images))
    scores[np.arange(len(scored)), given[scored]] += 0.8
    worst = np.arange(min(24, num_images))
    return Predictions(
        labels=labels,
        predicted=given,
        scored=scored,
        scores=scores.astype(np.float16),
        worst=worst,
        worst_images=rng.integers(256, size=(len(worst), channels, 12, 9)).astype(np.uint8),
    )


def test_predictions_read_back_as_written(tmp_path: Path) -> None:
    predictions = made(50, 4)
    predictions.write(tmp_path / "p.npz")
    back = Predictions.read(tmp_path / "p.npz")
    assert back is not None
    for name in ("labels", "predicted", "scored", "scores", "worst", "worst_images"):
        assert np.array_equal(getattr(back, name), getattr(predictions, name)), name
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]


def test_a_record_without_predictions_has_none(tmp_path: Path) -> None:
    assert Predictions.read(tmp_path / "p.npz") is None


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def pickled(path: Path) -> None:
    np.savez(path, labels=np.array([print], dtype=object))


def out_of_range(path: Path) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["labels"][0] = 99
    np.savez(path, **arrays)


@pytest.mark.parametrize("damage", [cut, pickled, out_of_range])
def test_damaged_predictions_are_said_to_be(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "p.npz"
    made(50, 4).write(path)
    damage(path)
    with pytest.raises(StudyError, match="damaged"):
        Predictions.read(path)


def test_scores_of_many_classes_stay_bounded() -> None:
    kept = kept_scores(48_000, 345)
    assert len(kept) * 345 <= MAX_SCORES
    assert (kept[0], kept[-1]) == (0, 47_999)
    assert len(np.unique(kept)) == len(kept)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


# Of 10,000 classes there are too few images of each for curves.
SHAPES = [(1, 2, 1), (300, 2, 3), (500, 10, 1), (9000, 345, 3), (5000, 10_000, 1)]


@pytest.mark.parametrize(("num_images", "num_classes", "channels"), SHAPES)
def test_every_picture_is_drawn_for_few_and_many_classes(
    tmp_path: Path, num_images: int, num_classes: int, channels: int
) -> None:
    predictions = made(num_images, num_classes, channels=channels)
    names = [f"$class$ {index} größe 数" for index in range(num_classes)]
    for draw in (confusion_matrix, class_curves, worst_images):
        draw(predictions, names, tmp_path / f"{draw.__name__}.png", "s/0")
    drawn = {path.stem: size_of(path) for path in tmp_path.glob("*.png")}
    expected = {"confusion_matrix", "worst_images"} | ({"class_curves"} if num_images > 1 else set())
    assert drawn == dict.fromkeys(expected, (WIDTH_PX, HEIGHT_PX))


def test_names_that_are_too_long_stay_apart() -> None:
    names = [short(f"class number {index}") for index in range(8, 12)]
    assert len(set(names)) == 4
    assert max(map(len, names)) <= 14
    assert short("cat") == "cat"


@pytest.mark.parametrize("curve", [[0.1], [0.1, 0.01, 1e-5], [0.0, 0.0], [float("nan")]])
def test_a_learning_rate_of_any_shape_is_drawn(tmp_path: Path, curve: list[float]) -> None:
    learning_rate_curve(curve, tmp_path / "lr.png", "s/0")
    assert size_of(tmp_path / "lr.png") == (WIDTH_PX, HEIGHT_PX)


class Batches:
    """Six images of one pixel, whose value is the logit of class 1."""

    def eval_batches(self, part: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
        assert part == "val"
        pixels = torch.tensor([3.0, -4.0, 2.0, -1.0, 5.0, 0.5]).reshape(6, 1, 1, 1)
        labels = torch.tensor([1, 0, 0, 1, 1, 0])
        return [(pixels[:4], labels[:4]), (pixels[4:], labels[4:])]


def test_the_worst_images_are_those_with_the_least_probability_of_their_class(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    torch.save({"1.weight": torch.tensor([[0.0], [1.0]]), "1.bias": torch.zeros(2)}, tmp_path / "best.pt")
    found = predict_validation(
        net,
        Batches(),
        weights=tmp_path / "best.pt",
        activation=lambda logits: logits.softmax(dim=1),
        num_images=6,
        num_classes=2,
    )
    assert found.predicted.tolist() == [1, 0, 1, 0, 1, 1]
    assert found.worst.tolist() == [2, 3, 5, 0, 1, 4]
    assert found.scores[0].tolist() == pytest.approx(torch.tensor([0.0, 3.0]).softmax(0).tolist(), abs=1e-3)


def test_a_trained_trial_leaves_all_its_pictures(in_tmp_dir: Path) -> None:
    config = Composer("train", ["trainer.max_epochs=3", "optimizer=adam"]).trial_config()
    spec = TrialSpec(study="s", number=0, config=config, record_dir=str(record_path("runs", "s", 0)))
    result = run_trial(spec, threading.Event())
    record = Record(spec.record_dir)
    predictions = Predictions.read(record.predictions_path)
    assert predictions is not None
    assert (predictions.labels == predictions.predicted).mean() == pytest.approx(result.value)
    draw_pictures(record, spec)
    assert {path.name for path in record.pictures_dir.iterdir()} == {
        "overfitting_curve.png",
        "learning_rate.png",
        "confusion_matrix.png",
        "roc_and_precision_recall.png",
        "worst_images.png",
        "first_layer.png",
    }


def test_the_curves_are_those_of_scikit_learn() -> None:
    predictions = made(700, 5)  # float16 scores: many are equal
    for index in range(5):
        curve = one_against_rest(predictions, index, "")
        is_class, scores = predictions.labels == index, predictions.scores[:, index].astype(np.float32)
        assert curve.area == pytest.approx(roc_auc_score(is_class, scores))
        assert curve.average_precision == pytest.approx(average_precision_score(is_class, scores))
        false, true, _ = roc_curve(is_class, scores, drop_intermediate=False)
        precision, recall, _ = precision_recall_curve(is_class, scores)
        ours = (curve.false, curve.true, curve.precision, curve.recall)
        for mine, other in zip(ours, (false, true, precision[::-1], recall[::-1]), strict=True):
            np.testing.assert_allclose(mine, other)


def test_f1_is_that_of_scikit_learn() -> None:
    predictions = made(40, 30)  # some classes have no image, some are never given
    f1 = F1.of(predictions)
    precision, recall, values, support = precision_recall_fscore_support(
        predictions.labels, predictions.predicted, labels=range(30), zero_division=0.0
    )
    has_images = support > 0
    assert np.isnan(f1.values[~has_images]).all()
    for mine, other in ((f1.precision, precision), (f1.recall, recall), (f1.values, values)):
        np.testing.assert_allclose(mine[has_images], other[has_images])
    assert set(f1.hardest) == set(np.flatnonzero(has_images))
