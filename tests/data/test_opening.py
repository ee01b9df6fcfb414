from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from idealfit.data import ImageData, TrainingData
from idealfit.spec import ConfigError, DataError

Open = Callable[..., ImageData]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "data.batch_size must be a whole number from 1 up, got 0"),
        ({"batch_size": "128"}, "got '128'"),
        ({"batch_size": 12.5}, "got 12.5"),
        ({"batch_size": True}, "got True"),
        ({"eval_batch_size": -1}, "eval_batch_size"),
        ({"limit": 0}, "data.limit"),
        ({"split_seed": None}, "data.split_seed must be a whole number, got None"),
        ({"val_fraction": 0}, "data.val_fraction must be a number between 0 and 1, got 0"),
        ({"val_fraction": 1.0}, "data.val_fraction"),
        ({"val_fraction": float("nan")}, "data.val_fraction"),
        ({"test_fraction": -0.1}, "data.test_fraction"),
        ({"test_fraction": "a fifth"}, "data.test_fraction"),
    ],
)
def test_values_out_of_range_are_refused_before_anything_is_read(
    numbered: Any, open_data: Open, changes: dict[str, Any], message: str
) -> None:
    source = numbered()
    with pytest.raises(DataError, match=message):
        open_data(source, **changes)
    assert source.num_reads == 0


def test_facts_come_from_the_data(numbered: Any, open_data: Open) -> None:
    data: TrainingData = open_data(numbered(per_class=10, num_classes=4, shape=(3, 6, 7)), test_fraction=0.25)
    assert data.image_shape == (3, 6, 7)
    assert data.num_classes == 4
    assert data.class_names == ("class 0", "class 1", "class 2", "class 3")
    assert data.sizes == {"train": 24, "val": 6}
    assert len(data.fingerprint) == len(data.split_sha256) == 64


class Crop(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images[..., 1:]


class ToUint8(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.to(torch.uint8)


class Pair(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


class Crash(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise KeyError("colour")


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (
            Crop(),
            r"Crop must turn a float batch \[2, 1, 4, 5\] into one of that shape, got torch.float32 \[2, 1, 4, 4\]",
        ),
        (ToUint8(), "got torch.uint8"),
        (Pair(), "got tuple"),
        (Crash(), "Crash fails on a batch of images .*colour"),
    ],
)
def test_an_augmentation_that_does_not_fit_is_refused(
    numbered: Any, open_data: Open, augment: nn.Module, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        open_data(numbered(), augment=augment)
