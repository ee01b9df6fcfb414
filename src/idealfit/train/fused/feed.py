"""The batches of a group: one pass over the images where its trials see the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from idealfit.data import ImageData, Part, TrainingData
from idealfit.train.batches import Batch

MAX_EVAL_ROWS = 2048
"""Images of all trials together that are evaluated at once: more need more memory and are no faster."""


class Feed:
    """Batches for trials with data of one shape, each at an epoch of its own.

    A batch is shared, `[B, ...]`, where all trials would see the same images alone: with the same seed, augmentation
    and epoch. Else it is folded, `[K * B, ...]`.
    """

    def __init__(self) -> None:
        self._trials: list[tuple[TrainingData, int]] = []
        self.num_train_batches = 0

    def begin_epoch(self, trials: Sequence[tuple[TrainingData, int]]) -> None:
        """The data and the epoch of each trial."""
        self._trials = list(trials)
        self.num_train_batches = trials[0][0].num_train_batches

    @property
    def shares_training(self) -> bool:
        """Whether training batches are shared."""
        return len({(id(data), epoch) for data, epoch in self._trials}) == 1

    @property
    def shares_evaluation(self) -> bool:
        """Whether batches of evaluation are shared."""
        return len({eval_key(data) for data, _ in self._trials}) == 1

    @property
    def num_classes(self) -> int:
        """Of all trials' images."""
        return self._trials[0][0].num_classes

    def train_batches(self, epoch: int, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """The batches of each trial's own epoch, whichever the trainer counts."""
        keys = [(id(data), own_epoch) for data, own_epoch in self._trials]
        make = [lambda d=data, e=own: d.train_batches(e) for data, own in self._trials]
        return _folded(keys, make, self.num_classes)

    def train_weights(self, *, rank: int, world_size: int) -> list[float]:
        """A group has one rank."""
        return [1.0] * self.num_train_batches

    def eval_batches(self, part: Part) -> Iterator[Batch]:
        """Batches of `part` in pieces, un-augmented."""
        keys = [eval_key(data) for data, _ in self._trials]
        num_rows = max(1, MAX_EVAL_ROWS // len(self._trials))
        make = [lambda d=data: _pieces(d.eval_batches(part), num_rows) for data, _ in self._trials]
        return _folded(keys, make, self.num_classes)


def eval_key(data: TrainingData) -> Any:
    """Equal for data that are evaluated on the same images."""
    return (data.fingerprint, data.split_sha256) if isinstance(data, ImageData) else id(data)


def _folded(keys: Sequence[Any], make: Sequence[Any], num_classes: int) -> Iterator[Batch]:
    kinds = list(dict.fromkeys(keys))
    iterators = [make[keys.index(kind)]() for kind in kinds]
    if len(kinds) == 1:
        yield from iterators[0]
        return
    which = [kinds.index(key) for key in keys]
    for batches in zip(*iterators, strict=True):
        labels = _alike([batch[1] for batch in batches], num_classes)
        yield torch.cat([batches[i][0] for i in which]), torch.cat([labels[i] for i in which])


def _alike(labels: Sequence[Tensor], num_classes: int) -> Sequence[Tensor]:
    """All as probabilities where the augmentation of some trials mixes them."""
    dtype = next((each.dtype for each in labels if each.is_floating_point()), None)
    if dtype is None:
        return labels
    return [each if each.is_floating_point() else F.one_hot(each, num_classes).to(dtype) for each in labels]


def _pieces(batches: Iterator[Batch], num_rows: int) -> Iterator[Batch]:
    for images, labels in batches:
        yield from zip(_split(images, num_rows), _split(labels, num_rows), strict=True)


def _split(rows: Tensor, num_rows: int) -> Sequence[Tensor]:
    return torch.split(rows, num_rows) if len(rows) > num_rows else (rows,)
