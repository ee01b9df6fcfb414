from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from idealfit.data import LoaderData, TrainingData
from idealfit.spec import ConfigError, DataError


class Mine(pl.LightningDataModule):
    """What a user brings: shuffled training batches, fixed validation batches."""

    num_classes = 3

    def __init__(self, num_train: int = 23, num_val: int = 9) -> None:
        super().__init__()
        self.num_train, self.num_val = num_train, num_val

    def setup(self, stage: str) -> None:
        self.train_set, self.val_set = self.part(0, self.num_train), self.part(100, self.num_val)

    def part(self, start: int, count: int) -> TensorDataset:
        numbers = torch.arange(start, start + count)
        return TensorDataset(numbers.float().view(-1, 1, 1, 1).expand(-1, 1, 4, 5), numbers % 3)

    def train_dataloader(self) -> Any:
        return DataLoader(self.train_set, batch_size=5, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(self.val_set, batch_size=4)


class Noise(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images + torch.rand_like(images)


def numbers(batches: Any) -> list[int]:
    return [int(number) for images, _ in batches for number in images[:, 0, 0, 0]]


def test_facts_come_from_the_module_and_a_first_batch() -> None:
    data: TrainingData = LoaderData(Mine(), seed=0)
    assert data.image_shape == (1, 4, 5)
    assert data.num_classes == 3
    assert data.sizes == {"train": 23, "val": 9}
    assert data.num_train_batches == 5
    assert len(data.fingerprint) == 64


def test_an_epoch_is_the_loaders_own_in_an_order_of_seed_and_epoch() -> None:
    data = LoaderData(Mine(), seed=0)
    first = numbers(data.train_batches(0))
    assert sorted(first) == list(range(23))
    torch.manual_seed(99)
    assert numbers(data.train_batches(0)) == first
    assert numbers(data.train_batches(1)) != first
    assert numbers(LoaderData(Mine(), seed=1).train_batches(0)) != first


def test_evaluation_is_fixed_and_both_parts_are_as_large() -> None:
    data = LoaderData(Mine(), seed=0)
    assert numbers(data.eval_batches("val")) == list(range(100, 109))
    train = numbers(data.eval_batches("train"))
    assert len(train) == 9
    assert numbers(data.eval_batches("train")) == train


def test_ranks_share_every_batch_equally() -> None:
    data = LoaderData(Mine(), seed=0)
    ranks = [list(data.train_batches(0, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [len(labels) for _, labels in ranks[0]] == [len(labels) for _, labels in ranks[1]] == [2, 2, 2, 2, 1]
    assert not set(numbers(ranks[0])) & set(numbers(ranks[1]))
    assert data.train_weights(rank=1, world_size=2) == [1.0] * 5


def test_ranks_evaluate_each_image_once() -> None:
    data = LoaderData(Mine(), seed=0)
    shares = [numbers(data.eval_batches("val", rank=rank, world_size=2)) for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == list(range(100, 109))


def test_augmentation_is_of_training_batches_and_repeatable() -> None:
    plain, noisy = LoaderData(Mine(), seed=0), LoaderData(Mine(), seed=0, augment=Noise())
    first, again = (torch.cat([images for images, _ in noisy.train_batches(0)]) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.cat([images for images, _ in plain.train_batches(0)]))
    assert numbers(noisy.eval_batches("val")) == numbers(plain.eval_batches("val"))


def test_the_global_random_numbers_are_left_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    data = LoaderData(Mine(), seed=0, augment=Noise())
    list(data.train_batches(0))
    assert torch.equal(torch.rand(3), expected)


def test_class_names_come_from_classes() -> None:
    class Named(Mine):
        classes = ("cat", "dog", "eel")

    assert LoaderData(Named(), seed=0).class_names == ("cat", "dog", "eel")


def broken(**attributes: Any) -> Mine:
    module: Mine = type("Broken", (Mine,), attributes)()
    return module


class Endless(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        while True:
            yield torch.zeros(1, 2, 2), 0


def loader_of(*tensors: Tensor) -> Callable[[Any], Any]:
    return lambda self: DataLoader(TensorDataset(*tensors), batch_size=2)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"num_classes": None}, "Broken: give the data module an attribute `num_classes`"),
        ({"num_classes": 2}, r"labels must lie in 0\.\.1, got 0\.\.2"),
        (
            {"train_dataloader": lambda self: DataLoader(Endless())},
            "the train loader and its data set must have a length",
        ),
        ({"val_dataloader": lambda self: []}, "the val loader and its data set must have a length"),
        ({"train_dataloader": loader_of(torch.zeros(4, 1, 2, 2))}, r"pair of tensors \(images, labels\)"),
        (
            {"train_dataloader": loader_of(torch.zeros(4, 2, 2), torch.zeros(4))},
            r"float images \[B, C, H, W\].* got torch.float32 \[2, 2, 2\]",
        ),
        (
            {"train_dataloader": loader_of(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(4))},
            "got torch.uint8",
        ),
    ],
)
def test_a_module_that_lacks_something_is_told_what(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        LoaderData(broken(**attributes), seed=0)


def test_an_augmentation_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="Flatten must turn"):
        LoaderData(Mine(), seed=0, augment=nn.Flatten())
