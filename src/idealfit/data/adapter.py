"""A user's own LightningDataModule as `TrainingData`: its loaders as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from idealfit.data.augment import apply_augment
from idealfit.data.loader import Batch, Part, share_of
from idealfit.data.opening import check_augment
from idealfit.data.rng import RandomStream, derive_seed
from idealfit.spec import DataError, sha256_of


class DataModule(Protocol):
    """The part of a LightningDataModule that is used here."""

    def prepare_data(self) -> None:
        """Download or build what is missing."""
        ...

    def setup(self, stage: str) -> None:
        """Make the data sets."""
        ...

    def train_dataloader(self) -> Any:
        """Batches to train on: (images, labels)."""
        ...

    def val_dataloader(self) -> Any:
        """Batches to validate on: (images, labels)."""
        ...


@final
class LoaderData:
    """`TrainingData` over a data module's own loaders.

    For data that memory cannot hold. Batches come normalised from the module; `num_classes` from its attribute of that
    name, or from `classes` (their names). Part "train" of evaluation is the first batches of its train loader, always
    the same ones, with whatever augmentation the loader does itself.

    Raises:
        DataError: The module lacks something of this, or its loaders fail.
    """

    def __init__(self, module: DataModule, *, seed: int, augment: nn.Module | None = None) -> None:
        self._name = type(module).__name__
        module.prepare_data()
        module.setup("fit")
        self._loaders = {"train": module.train_dataloader(), "val": module.val_dataloader()}
        self._seed = seed
        self._augment = augment
        self._device = torch.device("cpu")
        self.num_train_batches = self._length("train", self._loaders["train"])
        self.sizes = {
            part: self._length(part, getattr(self._loaders[part], "dataset", None)) for part in ("train", "val")
        }
        images, labels = self._first_batch()
        channels, height, width = images.shape[1:]
        self.image_shape = (channels, height, width)
        self.class_names = self._find_classes(module)
        self.num_classes = self.num_outputs = len(self.class_names)
        if int(labels.min()) < 0 or int(labels.max()) >= self.num_classes:
            found = f"{int(labels.min())}..{int(labels.max())}"
            raise DataError(f"{self._name}: labels must lie in 0..{self.num_classes - 1}, got {found}")
        if augment is not None:
            check_augment(augment, (2, *self.image_shape))
        # The contents are the module's own affair: what can be said without a pass over them is this.
        self.fingerprint = sha256_of([self._name, self.sizes, self.image_shape, self.class_names])
        self.split_sha256 = self.fingerprint

    def to(self, device: torch.device | str) -> None:
        """Make batches on `device` from now on."""
        self._device = torch.device(device)
        if self._augment is not None:
            self._augment.to(self._device)

    def train_batches(self, epoch: int, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """See `TrainingData`; the few images of a batch that do not go round the ranks are left out."""
        augment = self._augment
        stream = RandomStream(derive_seed("augment", self._seed, epoch, rank))
        for images, labels in self._batches("train", derive_seed("order", self._seed, epoch)):
            even = len(labels) // world_size * world_size or len(labels)
            share = share_of(even, rank, world_size).to(labels.device)
            batch, targets = images[share], labels[share]
            if augment is not None:
                batch, targets = apply_augment(augment, batch, targets, num_classes=self.num_classes, stream=stream)
            yield batch, targets

    def train_weights(self, *, rank: int, world_size: int) -> list[float]:
        """See `TrainingData`; shares are equal."""
        return [1.0] * self.num_train_batches

    def eval_batches(self, part: Part, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """See `TrainingData`."""
        left = self.sizes["val"]
        for images, labels in self._batches(part, derive_seed("eval", self._seed)):
            share = slice(rank, left, world_size)
            if len(labels[share]):
                yield images[share], labels[share]
            left -= len(labels)
            if left <= 0:
                return

    def _batches(self, part: str, seed: int) -> Iterator[Batch]:
        # A loader that shuffles takes its order from the global random numbers, at moments of its own choosing.
        stream = RandomStream(seed)
        iterator = stream.run(lambda: iter(self._loaders[part]))
        while (batch := stream.run(lambda: next(iterator, None))) is not None:
            images, labels = batch
            yield images.to(self._device, non_blocking=True), labels.to(self._device, non_blocking=True)

    def _length(self, part: str, thing: Any) -> int:
        try:
            length = len(thing) if isinstance(thing, Sized) else 0
        except TypeError:  # a DataLoader has __len__ even where its data set has none
            length = 0
        if not length:
            raise DataError(f"{self._name}: the {part} loader and its data set must have a length, and not 0")
        return length

    def _first_batch(self) -> Batch:
        batch = RandomStream(0).run(lambda: next(iter(self._loaders["train"])))
        if not (
            isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
        ):
            raise DataError(
                f"{self._name}: a batch must be a pair of tensors (images, labels), got {type(batch).__name__}"
            )
        images, labels = batch
        if images.ndim != 4 or not images.is_floating_point() or labels.shape != images.shape[:1]:
            raise DataError(
                f"{self._name}: a batch must be float images [B, C, H, W] and labels [B], "
                f"got {images.dtype} {list(images.shape)} and {labels.dtype} {list(labels.shape)}"
            )
        return images, labels

    def _find_classes(self, module: DataModule) -> tuple[str, ...]:
        classes = getattr(module, "classes", None)
        if classes is not None:
            return tuple(map(str, classes))
        count = getattr(module, "num_classes", None)
        if isinstance(count, int) and count > 0:
            return tuple(map(str, range(count)))
        raise DataError(
            f"{self._name}: give the data module an attribute `num_classes` (a number) or `classes` (names)"
        )
