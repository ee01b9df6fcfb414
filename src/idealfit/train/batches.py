"""How a trainer is fed: several batches in one training step, each made when it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images `[B, C, H, W]` and labels `[B]`."""


class TrainBatches(Protocol):
    """Where training images come from: `data.TrainingData` is one."""

    @property
    def num_train_batches(self) -> int:
        """Batches of one epoch on one rank."""
        ...

    def train_batches(self, epoch: int, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """The batches of `epoch`, in an order that depends on seed and epoch alone."""
        ...

    def train_weights(self, *, rank: int, world_size: int) -> list[float]:
        """By batch: the factor on the rank's mean loss with which the mean over ranks is the mean over the batch."""
        ...


class EpochLoader:
    """The batches of one epoch after the other, in the trainer's precision; `epoch` is set before an epoch begins."""

    def __init__(self, data: TrainBatches) -> None:
        self._data = data
        self._ranks = {"rank": 0, "world_size": 1}
        self._precision: Any = None
        self.epoch = 0

    def attach(self, trainer: pl.Trainer) -> None:
        """Take rank and precision from the trainer."""
        self._ranks = {"rank": trainer.global_rank, "world_size": trainer.world_size}
        self._precision = None if trainer.precision_plugin.precision == "32-true" else trainer.precision_plugin

    @property
    def num_batches(self) -> int:
        """Batches of one epoch on this rank."""
        return self._data.num_train_batches

    @property
    def weights(self) -> list[float]:
        """By batch: the factor on its mean loss."""
        return self._data.train_weights(**self._ranks)

    def batches(self) -> Iterator[Batch]:
        """The batches of the current epoch."""
        batches = self._data.train_batches(self.epoch, **self._ranks)
        return batches if self._precision is None else self._converted(batches)

    def _converted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Made outside the step's autocast: where augmentation puts a pixel takes more than the 8 bits of bfloat16."""
        device = self._precision.device if isinstance(self._precision, MixedPrecision) else "cpu"
        while True:
            with torch.autocast(device, enabled=False):
                batch = next(batches, None)
            if batch is None:
                return
            yield cast("Batch", self._precision.convert_input(batch))


class Chunk:
    """The next batches of a running epoch, each made when it is used: it is still in the processor's cache.

    Args:
        batches: Of the epoch, from the next one on.
        weights: One for each batch of the chunk: the factor on its mean loss.
    """

    def __init__(self, batches: Iterator[Batch], weights: Sequence[float]) -> None:
        self._batches = batches
        self._weights = weights
        self.num_samples = 0

    def __iter__(self) -> Iterator[tuple[Batch, float]]:
        for weight in self._weights:
            batch = next(self._batches)
            self.num_samples += len(batch[1])
            yield batch, weight


class ChunkLoader(EpochLoader):
    """Yields `Chunk`s of `chunk_size` batches, for `Classifier`."""

    def __init__(self, data: TrainBatches, chunk_size: int) -> None:
        super().__init__(data)
        self._chunk_size = chunk_size

    def __len__(self) -> int:
        return -(-self.num_batches // self._chunk_size)

    def __iter__(self) -> Iterator[Chunk]:
        # A generator: Lightning asks for the iterator before `epoch` is set, and for the first chunk after that.
        batches, weights = self.batches(), self.weights
        for start in range(0, self.num_batches, self._chunk_size):
            yield Chunk(batches, weights[start : start + self._chunk_size])


class PieceLoader(EpochLoader):
    """Yields single batches, for a user's own LightningModule; each in `num_pieces` where gradients are accumulated."""

    def __init__(self, data: TrainBatches, num_pieces: int) -> None:
        super().__init__(data)
        self._num_pieces = num_pieces

    def __len__(self) -> int:
        return self.num_batches * self._num_pieces

    def __iter__(self) -> Iterator[Batch]:
        for images, labels in self.batches():
            yield from zip(*(part.tensor_split(self._num_pieces) for part in (images, labels)), strict=True)
