"""Batches from images that stay uint8 in memory: gathered, normalised and augmented whole, where the images are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idealfit.data.augment import apply_augment
from idealfit.data.cache import Decoded, moments_of
from idealfit.data.normalize import Normalizer
from idealfit.data.rng import RandomStream, derive_seed
from idealfit.data.split import Indices, Split
from idealfit.data.targets import Targets, check_targets
from idealfit.spec import DataError

Batch = tuple[Tensor, Tensor]
Part = Literal["train", "val"]


class TrainingData(Protocol):
    """What training needs to know of a data set, and the batches of it."""

    image_shape: tuple[int, int, int]
    """C, H, W."""
    num_classes: int
    class_names: tuple[str, ...]
    """What is told apart, or what is measured; as many as `num_classes`."""
    num_outputs: int
    """Of the network: one for each class, but one for two classes of a binary task."""
    sizes: dict[str, int]
    """Number of images in "train" and "val"."""
    fingerprint: str
    """Hash of the contents: the same images, the same hash."""
    split_sha256: str
    """Hash of which images train and which validate."""
    num_train_batches: int
    """Batches in an epoch; every rank gets as many."""

    def to(self, device: torch.device | str) -> None:
        """Make batches on `device` from now on."""
        ...

    def train_batches(self, epoch: int, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """Float32 `[B, C, H, W]`, normalised and augmented, and int64 `[B]`, in the order of (seed, epoch).

        Where augmentation mixes images, labels are probabilities, float `[B, num_classes]`. Where the task is another
        one than to tell classes apart, they are targets, float32 `[B, num_outputs]`.

        A batch of the configured size is shared by all ranks: each gets a part of it, every rank as many batches.
        """
        ...

    def train_weights(self, *, rank: int, world_size: int) -> list[float]:
        """By batch: the factor on the rank's mean loss with which the mean over ranks is the mean over the batch."""
        ...

    def eval_batches(self, part: Part, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """The same, un-augmented: the validation part, or a fixed part of the training part that is as large.

        Of several ranks each gets other images, and together they get each image once.
        """
        ...


@final
class ImageData:
    """`TrainingData` over decoded images.

    The last batch is smaller; where it would hold a single image, which batch norm cannot take, that image joins the
    batch before it. No float copy is kept, of evaluation batches neither: making them is 1 % of an epoch on MNIST.
    """

    def __init__(
        self,
        decoded: Decoded,
        split: Split,
        targets: Targets,
        *,
        batch_size: int,
        eval_batch_size: int,
        seed: int,
        augment: nn.Module | None = None,
        unlock_test: bool = False,
    ) -> None:
        arrays = decoded.arrays
        channels, height, width = arrays.images.shape[1:]
        self.image_shape = (channels, height, width)
        self.class_names = targets.class_names
        self.num_classes = len(self.class_names)
        self.num_outputs = targets.num_outputs
        self.sizes = {"train": len(split.train), "val": len(split.val)}
        self.fingerprint = decoded.fingerprint
        self.split_sha256 = split.sha256
        self._ends = _batch_ends(len(split.train), batch_size)
        self.num_train_batches = len(self._ends)
        self._batch_size = batch_size
        self._eval_batch_size = eval_batch_size
        self._seed = seed
        self._augment = augment
        self._images = torch.from_numpy(arrays.images)
        learned = targets(arrays.labels, decoded.moments, height * width)
        check_targets(learned[split.train], targets.task)
        self._labels = torch.from_numpy(learned)
        self._train = torch.from_numpy(split.train)
        self._eval = {"train": torch.from_numpy(split.eval_train), "val": torch.from_numpy(split.val)}
        self._normalize = Normalizer.from_moments(decoded.moments[split.train], height * width)
        self.mean, self.std = self._normalize.mean, self._normalize.std  # by channel, pixels 0..255
        published = arrays.test_images
        self.num_test_images = len(split.test) if published is None else len(published)
        # Locked, the test images are not even in here.
        self._test = _test_part(decoded, split.test, targets) if unlock_test else None

    def to(self, device: torch.device | str) -> None:
        """Make batches on `device`: an accelerator gets the uint8 images once; for the CPU they stay memory-mapped."""
        target = torch.device(device)
        self._images, self._labels = self._images.to(target), self._labels.to(target)
        self._normalize.to(target)
        if self._augment is not None:
            self._augment.to(target)

    def train_batches(self, epoch: int, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """See `TrainingData`.

        Raises:
            DataError: There are more ranks than images in a batch.
        """
        if self._batch_size < world_size:
            raise DataError(f"data.batch_size={self._batch_size} cannot be shared by {world_size} devices")
        generator = torch.Generator().manual_seed(derive_seed("order", self._seed, epoch))
        order = self._train[torch.randperm(len(self._train), generator=generator)]
        stream = RandomStream(derive_seed("augment", self._seed, epoch, rank))
        least = _least_share(self._batch_size, world_size)
        batches = [order[start:end] for start, end in self._places()]
        if world_size > 1:
            batches = [batch[share_of(len(batch), rank, world_size, least)] for batch in batches]
        return self._augmented(batches, stream)

    def train_pixels(self) -> Iterator[Tensor]:
        """The images of the training part as they are stored: batches of uint8 `[B, C, H, W]`, in no order."""
        for indices in torch.split(self._train, self._eval_batch_size):
            yield self._images.index_select(0, indices.to(self._images.device))

    def train_weights(self, *, rank: int, world_size: int) -> list[float]:
        """See `TrainingData`."""
        least = _least_share(self._batch_size, world_size)
        return [weight_of(end - start, rank, world_size, least) for start, end in self._places()]

    def eval_batches(self, part: Part, *, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """See `TrainingData`.

        Raises:
            DataError: `part` is another one, "test" above all.
        """
        if part not in self._eval:
            raise DataError(
                f"there is no part {part!r} to evaluate on: train or val. The test part is locked in a study."
            )
        indices = self._eval[part][rank::world_size]
        if not len(indices):  # fewer images than ranks
            return iter(())
        return self._gathered(self._images, self._labels, torch.split(indices, self._eval_batch_size))

    def test_batches(self) -> Iterator[Batch]:
        """Un-augmented batches of the test part.

        Raises:
            DataError: It is locked, or the data have none.
        """
        if self._test is None:
            raise DataError("the test part is locked: a study never sees it, `promote` opens it once")
        images, labels = self._test
        if not len(images):
            raise DataError("there is no test part: the data set has none published and data.test_fraction is 0")
        images, labels = images.to(self._images.device), labels.to(self._images.device)
        return self._gathered(images, labels, torch.split(torch.arange(len(images)), self._eval_batch_size))

    def _places(self) -> Iterator[tuple[int, int]]:
        """Where each batch begins and ends in an epoch's order."""
        return zip([0, *self._ends], self._ends, strict=False)

    def _augmented(self, batches: list[Tensor], stream: RandomStream) -> Iterator[Batch]:
        augment = self._augment
        for images, labels in self._gathered(self._images, self._labels, batches):
            if augment is None:
                yield images, labels
                continue
            yield apply_augment(augment, images, labels, num_classes=self.num_classes, stream=stream)

    def _gathered(self, images: Tensor, labels: Tensor, batches: list[Tensor] | tuple[Tensor, ...]) -> Iterator[Batch]:
        sizes = [len(batch) for batch in batches]
        # One move and one gather of labels for the whole epoch; a batch is then a view, which costs next to nothing.
        indices = torch.cat(list(batches)).to(images.device)
        for chosen, chosen_labels in zip(
            torch.split(indices, sizes), torch.split(labels.index_select(0, indices), sizes), strict=True
        ):
            # index_select copies whole images (8 us for 128 of MNIST); images[chosen] goes byte by byte (81 us).
            yield self._normalize(images.index_select(0, chosen)), chosen_labels


def _batch_ends(num_images: int, batch_size: int) -> list[int]:
    """Where each batch ends in an epoch's order; a last batch of 1 is joined to the one before it."""
    ends = [*range(batch_size, num_images, batch_size), num_images]
    if len(ends) > 1 and batch_size > 1 and ends[-1] - ends[-2] == 1:
        del ends[-2]
    return ends


def share_of(size: int, rank: int, world_size: int, least: int = 1) -> Tensor:
    """One rank's places in a batch of `size` images: each image is in one rank's share, and shares differ by one.

    A batch too small to give each rank `least` is begun again until it does, so that some of its images count twice.
    """
    if size < least * world_size:
        return torch.arange(rank, min(least, size) * world_size, world_size) % size
    return torch.arange(rank, size, world_size)


def weight_of(size: int, rank: int, world_size: int, least: int = 1) -> float:
    """The factor on the mean loss of `share_of` with which the mean over ranks is the mean over the batch."""
    if size < least * world_size:
        return 1.0
    return len(range(rank, size, world_size)) * world_size / size


def _least_share(batch_size: int, world_size: int) -> int:
    """Images that batch norm needs of a batch on one rank, as far as a whole batch gives them."""
    return min(2, -(-batch_size // world_size))


def _test_part(decoded: Decoded, indices: Indices, targets: Targets) -> tuple[Tensor, Tensor]:
    arrays = decoded.arrays
    images: NDArray[np.uint8] = arrays.images[indices] if arrays.test_images is None else arrays.test_images
    labels = arrays.labels[indices] if arrays.test_labels is None else arrays.test_labels
    learned = targets(labels, moments_of(images), images.shape[2] * images.shape[3])
    return torch.from_numpy(images), torch.from_numpy(learned)
