from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from idealfit.data import ImageData
from idealfit.spec import DataError

Open = Callable[..., ImageData]


class Noise(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images + torch.randn_like(images)


def numbers(data: ImageData, batches: Iterator[tuple[Tensor, Tensor]]) -> list[list[int]]:
    """Which images are in each batch, read back from their first pixels."""
    mean, std = data._normalize.mean[0], data._normalize.std[0]
    return [(images[:, 0, 0, 0] * std + mean).round().int().tolist() for images, _ in batches]


def flat(batches: list[list[int]]) -> list[int]:
    return [number for batch in batches for number in batch]


def test_an_epoch_holds_every_training_image_once_with_its_label(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered())
    batches = list(data.train_batches(0))
    seen = flat(numbers(data, iter(batches)))
    assert len(seen) == len(set(seen)) == data.sizes["train"]
    assert [int(label) for _, labels in batches for label in labels] == [number % 3 for number in seen]
    assert len(batches) == data.num_train_batches
    images, labels = batches[0]
    assert images.shape == (4, *data.image_shape)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)


def test_training_images_are_normalised_by_their_own_statistics(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered(per_class=40, shape=(3, 6, 6)))
    images = torch.cat([images for images, _ in data.train_batches(0)])
    assert images.mean((0, 2, 3)).abs().max() < 1e-5
    assert (images.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_order_comes_from_seed_and_epoch_and_nothing_else(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered())
    first = numbers(data, data.train_batches(5))
    torch.manual_seed(123)
    assert numbers(data, data.train_batches(5)) == first
    assert numbers(data, data.train_batches(6)) != first
    assert numbers(data, open_data(numbered(), seed=1).train_batches(5)) != first
    assert numbers(data, open_data(numbered(), seed=0).train_batches(5)) == first


def test_another_seed_on_the_same_split_seed_keeps_the_parts(numbered: Any, open_data: Open) -> None:
    data, other = open_data(numbered()), open_data(numbered(), seed=9)
    assert data.split_sha256 == other.split_sha256
    assert numbers(data, data.eval_batches("train")) == numbers(other, other.eval_batches("train"))


def test_evaluation_parts_are_fixed_as_large_as_each_other_and_apart(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered(), eval_batch_size=3)
    train, val = flat(numbers(data, data.eval_batches("train"))), flat(numbers(data, data.eval_batches("val")))
    learned = set(flat(numbers(data, data.train_batches(0))))
    assert len(train) == len(val) == data.sizes["val"]
    assert set(train) <= learned
    assert not set(val) & learned
    assert numbers(data, data.eval_batches("train")) == numbers(data, data.eval_batches("train"))


def test_the_validation_part_stays_the_same_under_a_limit(numbered: Any, open_data: Open) -> None:
    whole, limited = open_data(numbered()), open_data(numbered(), limit=6)
    assert limited.sizes == {"train": 6, "val": whole.sizes["val"]}
    labels = [int(label) for _, labels in limited.eval_batches("val") for label in labels]
    assert labels == [int(label) for _, labels in whole.eval_batches("val") for label in labels]


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(7, [7, 7, 4]), (17, [18]), (9, [9, 9]), (18, [18]), (500, [18]), (1, [1] * 18)],
)
def test_the_last_batch_is_smaller_but_never_a_single_image(
    numbered: Any, open_data: Open, batch_size: int, sizes: list[int]
) -> None:
    data = open_data(numbered(), batch_size=batch_size, limit=18)
    assert [len(labels) for _, labels in data.train_batches(0)] == sizes
    assert data.num_train_batches == len(sizes)


@pytest.mark.parametrize(("batch_size", "world_size"), [(4, 2), (4, 4), (5, 2), (6, 3), (17, 2), (100, 3), (2, 2)])
def test_ranks_share_every_batch(numbered: Any, open_data: Open, batch_size: int, world_size: int) -> None:
    data = open_data(numbered(), batch_size=batch_size, limit=18)
    ranks = [numbers(data, data.train_batches(3, rank=rank, world_size=world_size)) for rank in range(world_size)]
    weights = [data.train_weights(rank=rank, world_size=world_size) for rank in range(world_size)]
    whole = numbers(data, data.train_batches(3))
    assert {len(batches) for batches in ranks} == {data.num_train_batches}
    for parts, shares, batch in zip(zip(*ranks, strict=True), zip(*weights, strict=True), whole, strict=True):
        assert {number for part in parts for number in part} == set(batch)
        if len(batch) >= world_size * min(2, -(-batch_size // world_size)):  # else some images count twice
            assert sorted(number for part in parts for number in part) == sorted(batch)
            means = [weight * sum(part) / len(part) for weight, part in zip(shares, parts, strict=True)]
            assert sum(means) / world_size == pytest.approx(sum(batch) / len(batch))


@pytest.mark.parametrize("world_size", [2, 3, 50])
def test_ranks_evaluate_each_image_once(numbered: Any, open_data: Open, world_size: int) -> None:
    data = open_data(numbered(), eval_batch_size=3)
    for part in ("train", "val"):
        shares = [data.eval_batches(part, rank=rank, world_size=world_size) for rank in range(world_size)]
        together = [number for share in shares for number in flat(numbers(data, share))]
        assert sorted(together) == sorted(flat(numbers(data, data.eval_batches(part))))


def test_no_rank_gets_a_single_image_of_a_last_batch(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered(), batch_size=8, limit=18)  # 8, 8, 2
    assert [len(labels) for _, labels in data.train_batches(0, rank=1, world_size=2)] == [4, 4, 2]


def test_more_ranks_than_images_in_a_batch_are_refused(numbered: Any, open_data: Open) -> None:
    with pytest.raises(DataError, match="batch_size=2 cannot be shared by 3 devices"):
        open_data(numbered(), batch_size=2).train_batches(0, world_size=3)


def test_only_training_batches_are_augmented(numbered: Any, open_data: Open) -> None:
    plain, noisy = open_data(numbered()), open_data(numbered(), augment=Noise())
    for part in ("train", "val"):
        pairs = zip(plain.eval_batches(part), noisy.eval_batches(part), strict=True)
        assert all(torch.equal(one[0], other[0]) for one, other in pairs)
    pairs = zip(plain.train_batches(0), noisy.train_batches(0), strict=True)
    assert all(torch.equal(one[1], other[1]) and not torch.equal(one[0], other[0]) for one, other in pairs)


def test_augmentation_depends_on_epoch_and_rank_but_not_on_other_random_draws(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered(), augment=Noise())

    def images(epoch: int = 0, **rank: int) -> Tensor:
        return torch.cat([images for images, _ in data.train_batches(epoch, **rank)])

    torch.manual_seed(1)
    first = images()
    torch.manual_seed(2)
    drawn = []
    for batch, _ in data.train_batches(0):
        torch.rand(5)  # what dropout does between batches
        drawn.append(batch)
    assert torch.equal(first, torch.cat(drawn))
    assert not torch.equal(first, images(1))
    assert not torch.equal(images(rank=0, world_size=2), images(rank=1, world_size=2))


def test_making_batches_leaves_the_global_random_numbers_alone(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered(), augment=Noise())
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    list(data.train_batches(0))
    list(data.eval_batches("train"))
    assert torch.equal(torch.rand(3), expected)


def test_batches_carry_no_gradient_of_the_augmentation(numbered: Any, open_data: Open) -> None:
    class Learned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(()))

        def forward(self, images: Tensor) -> Tensor:
            return images * self.gain

    data = open_data(numbered(), augment=Learned())
    assert not any(images.requires_grad for images, _ in data.train_batches(0))


def test_batches_do_not_share_memory(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered())
    batches = list(data.train_batches(0))
    for images, _ in batches:
        images.zero_()
    assert all(images.abs().max() > 0 for images, _ in data.train_batches(0))


@pytest.mark.parametrize("num_test", [0, 9])
def test_the_test_part_is_locked(numbered: Any, open_data: Open, num_test: int) -> None:
    data = open_data(numbered(num_test=num_test))
    with pytest.raises(DataError, match="locked"):
        data.test_batches()
    with pytest.raises(DataError, match=r"no part 'test'.*locked"):
        data.eval_batches("test")  # type: ignore[arg-type]


def test_unlocked_it_is_the_published_one(numbered: Any, open_data: Open) -> None:
    source = numbered(num_test=9)
    data = open_data(source, unlock_test=True, eval_batch_size=4)
    assert flat(numbers(data, data.test_batches())) == list(range(9))
    assert data.sizes == {"train": 24, "val": 6}  # no test images were taken from the training part


def test_unlocked_it_is_a_part_that_training_never_sees(numbered: Any, open_data: Open) -> None:
    data = open_data(numbered(), unlock_test=True)
    test = set(flat(numbers(data, data.test_batches())))
    seen = set(flat(numbers(data, data.train_batches(0)) + numbers(data, data.eval_batches("val"))))
    assert len(test) == 6
    assert not test & seen
    assert test | seen == set(range(30))


def test_no_test_part_at_all_is_said(numbered: Any, open_data: Open) -> None:
    with pytest.raises(DataError, match="no test part"):
        open_data(numbered(), test_fraction=0, unlock_test=True).test_batches()


def test_moving_to_a_device_changes_no_batch(numbered: Any, open_data: Open) -> None:
    data, moved = open_data(numbered(), augment=Noise()), open_data(numbered(), augment=Noise())
    moved.to("cpu")
    for one, other in zip(data.train_batches(2), moved.train_batches(2), strict=True):
        assert torch.equal(one[0], other[0])
