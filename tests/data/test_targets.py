"""What is learned of an image: worked out from its class or its pixels, and refused where it makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from idealfit.data import Digits, ImageData, open_source
from idealfit.data.targets import check_targets, make_targets
from idealfit.spec import DataError

DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def opened(cache: Path, task: dict[str, Any] | None, **more: Any) -> ImageData:
    keys: dict[str, Any] = {"batch_size": 64, "val_fraction": 0.2, "test_fraction": 0.2, "split_seed": 0, "limit": None}
    return open_source(Digits(), cache_dir=cache, task=task, **keys, **more)


def rows(data: ImageData) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*data.eval_batches("val"), strict=True)
    return torch.cat(images), torch.cat(labels)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"name": "binary", "positive": ["1", "3", "5", "7", "9"]}, lambda d: [[float(d % 2)]]),
        ({"name": "regression", "target": "class_value"}, lambda d: [[float(d)]]),
        (
            {"name": "regression", "target": "class_value", "values": {n: int(n) / 9 for n in DIGITS}},
            lambda d: [[d / 9]],
        ),
        (
            {"name": "multi_label", "labels": {"even": [0, 2, 4, 6, 8], "seven": ["7"]}},
            lambda d: [[d % 2 == 0, d == 7]],
        ),
    ],
)
def test_targets_follow_the_class_on_the_same_split(task: dict[str, Any], expected: Any, cache: Path) -> None:
    plain, data = opened(cache, None), opened(cache, task)
    images, classes = rows(plain)
    same_images, targets = rows(data)
    assert torch.equal(images, same_images)
    assert data.split_sha256 == plain.split_sha256, "tasks compare on the same images"
    wanted = torch.tensor([row for digit in classes.tolist() for row in expected(digit)], dtype=torch.float32)
    assert targets.dtype == torch.float32
    assert torch.allclose(targets, wanted)
    assert data.num_outputs == targets.shape[1]


def test_binary_data_have_two_classes_and_one_output(cache: Path) -> None:
    data = opened(cache, {"name": "binary", "positive": ["0", "1"]})
    assert (data.num_classes, data.num_outputs) == (2, 1)
    assert data.class_names == ("2 3 4 5 ...", "0 1")


def test_brightness_is_the_mean_of_the_pixels(cache: Path) -> None:
    data = opened(cache, {"name": "unit_regression", "target": "brightness"}, unlock_test=True)
    images, targets = rows(data)
    pixels = images * torch.tensor(data.std).view(1, -1, 1, 1) + torch.tensor(data.mean).view(1, -1, 1, 1)
    assert torch.allclose(targets[:, 0], pixels.mean(dim=(1, 2, 3)) / 255, atol=1e-5)
    tested = torch.cat([labels for _, labels in data.test_batches()])
    assert tested.shape == (data.num_test_images, 1)
    assert 0.1 < tested.mean() < 0.5


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"name": "binary"}, r"which of the 10 classes are the positive ones\? Name them, e.g. task.positive=\[1\]"),
        ({"name": "binary", "positive": ["10"]}, r"task.positive: there is no class '10'. Did you mean '1'"),
        ({"name": "binary", "positive": list(DIGITS)}, "must name some of the classes and leave some"),
        (
            {"name": "multi_label", "labels": {}},
            r"no labels of their own.*task.labels.*for digits take task=digit_traits",
        ),
        ({"name": "multi_label", "labels": {"even": "24"}}, "task.labels.even must be a list of classes, got '24'"),
        ({"name": "multi_label", "labels": {"any": DIGITS}}, "task.labels.any must name some of the classes"),
        ({"name": "regression", "values": {"3": 1.0}}, r"class '0' has no number in task.values"),
        ({"name": "regression", "values": dict.fromkeys(DIGITS, 2)}, "all classes have the number 2"),
        ({"name": "unit_regression", "target": "class_value"}, "between 0 and 1, and class '2' has 2.*task=regression"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(task: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_targets(task, DIGITS)


def test_names_that_are_no_numbers_need_some() -> None:
    with pytest.raises(DataError, match=r"class 'cat' is no number.*task.values=\{cat: 1.0, ...\}.*target=brightness"):
        make_targets({"name": "regression"}, ["cat", "fish"])
    numbers = make_targets({"name": "regression", "values": {"cat": 4.0, "fish": 0.3}}, ["cat", "fish"])
    given = numbers(np.array([1, 0]), np.zeros((2, 1, 2), np.int64), 1)
    assert given[:, 0].tolist() == pytest.approx([0.3, 4.0])


def test_a_digit_of_torchvision_has_its_number() -> None:
    names = ["0 - zero", "1 - one", "2 - two"]
    numbers = make_targets({"name": "regression"}, names)
    assert numbers(np.arange(3), np.zeros((3, 1, 2), np.int64), 1)[:, 0].tolist() == [0, 1, 2]
    binary = make_targets({"name": "binary", "positive": ["1", "2 - two"]}, names)
    assert binary.class_names == ("0 - zero", "1 - one 2 - two")


def test_what_never_differs_is_not_learned() -> None:
    with pytest.raises(DataError, match="all training images have the same target"):
        check_targets(np.ones((5, 1), np.float32), "regression")
