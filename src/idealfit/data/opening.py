"""From a source and the keys that every data set has to the batches of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from idealfit.data.cache import open_decoded
from idealfit.data.loader import ImageData
from idealfit.data.rng import RandomStream
from idealfit.data.source import ImageArrays, ImageSource
from idealfit.data.sources.arguments import checked_whole
from idealfit.data.split import Split, make_folds, make_split, strata, with_validation
from idealfit.data.targets import make_targets
from idealfit.spec import ConfigError, DataError

DATA_KEYS = ("batch_size", "val_fraction", "test_fraction", "split_seed", "limit", "cache_dir")
"""Keys of the `data` node that every data set has; all others go to the source's constructor."""


def open_source(
    source: ImageSource,
    *,
    batch_size: int,
    val_fraction: float,
    test_fraction: float,
    split_seed: int,
    limit: int | None,
    cache_dir: str | Path,
    augment: nn.Module | None = None,
    eval_batch_size: int = 1024,
    seed: int | None = None,
    train_on_val: bool = False,
    unlock_test: bool = False,
    fold: tuple[int, int] | None = None,
    task: Mapping[str, Any] | None = None,
) -> ImageData:
    """Decode `source` or open its cache, split it, and make batches of it.

    Args:
        source: What to decode.
        batch_size: Images in one optimizer step, over all devices together.
        val_fraction: Share of the training part that validates, between 0 and 1.
        test_fraction: Share of all images that is locked away for the test; unused where a test set is published.
        split_seed: Decides the parts.
        limit: Keep this many training images; None keeps all.
        cache_dir: Where decoded images are kept.
        augment: Batch to batch, on normalised images of the training part only.
        eval_batch_size: Images in one batch of evaluation.
        seed: Decides the order of batches and the augmentation; None takes `split_seed`.
        train_on_val: Train on the validation images too, which then measure nothing any more.
        unlock_test: Allow `test_batches`. Never in a study.
        fold: Which fold validates, from 0, and how many there are, in the place of `val_fraction`; None: no folds.
        task: What is learned of each image, as the `task` node of a config; None: its class.

    Raises:
        DataError: The data cannot be read, split or cached, or one of these values is out of range.
        ConfigError: `augment` does not give back a batch of the shape that it gets.
    """
    checked_whole("batch_size", batch_size)
    checked_whole("eval_batch_size", eval_batch_size)
    parts = _Parts(val_fraction, test_fraction, split_seed, limit, fold)
    decoded = open_decoded(source, cache_dir)
    targets = make_targets(
        task or {},
        decoded.arrays.class_names,
        has_pixels=source.has_pixels,
        has_labels=decoded.arrays.labels.ndim == 2,
    )
    split = parts.of(decoded.arrays)
    if train_on_val:
        split = with_validation(split)
    if augment is not None:
        check_augment(augment, (2, *decoded.arrays.images.shape[1:]))
    return ImageData(
        decoded,
        split,
        targets,
        batch_size=batch_size,
        eval_batch_size=eval_batch_size,
        seed=split_seed if seed is None else seed,
        augment=augment,
        unlock_test=unlock_test,
    )


@dataclass(frozen=True)
class _Parts:
    """Which images train, validate and test, as `open_source` was told; checked."""

    val_fraction: float
    test_fraction: float
    seed: int
    limit: int | None
    fold: tuple[int, int] | None

    def __post_init__(self) -> None:
        checked_whole("split_seed", self.seed, low=None)
        if self.limit is not None:
            checked_whole("limit", self.limit)
        _check_fraction("val_fraction", self.val_fraction)
        if self.test_fraction != 0:
            _check_fraction("test_fraction", self.test_fraction)

    def of(self, arrays: ImageArrays) -> Split:
        """The parts of these images."""
        index, folds = self.fold or (0, 0)
        labels, class_names = strata(arrays.labels, arrays.class_names, smallest=max(4, folds))
        test = self.test_fraction if arrays.test_images is None else 0
        drawn: dict[str, Any] = {"test_fraction": test, "seed": self.seed, "limit": self.limit}
        if self.fold is None:
            return make_split(labels, class_names, val_fraction=self.val_fraction, **drawn)
        return make_folds(labels, class_names, folds=folds, **drawn)[index]


def check_augment(augment: nn.Module, shape: tuple[int, ...]) -> None:
    """Try `augment` on a batch of noise of this shape.

    Raises:
        ConfigError: It fails, or gives back something else than a float batch of the same shape.
    """
    name = type(augment).__name__
    stream = RandomStream(0)
    try:
        with torch.no_grad():
            given: Any = stream.run(lambda: augment(torch.randn(shape)))
    except Exception as error:  # a user's own module may raise anything
        raise ConfigError(f"augment {name} fails on a batch of images {list(shape)}: {error}") from error
    if not isinstance(given, Tensor) or not given.is_floating_point() or tuple(given.shape) != shape:
        what = f"{given.dtype} {list(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
        raise ConfigError(f"augment {name} must turn a float batch {list(shape)} into one of that shape, got {what}")


def _check_fraction(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise DataError(f"data.{name} must be a number between 0 and 1, got {value!r}")
