"""A data set small enough to count by hand, and ways to open it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from idealfit.data import ImageArrays, ImageData, ImageSource, open_source
from idealfit.spec import JSON


class Numbered(ImageSource):
    """`per_class` images of each of `num_classes`; the first pixel of image i is i, so that each can be recognised."""

    def __init__(
        self, per_class: int = 10, num_classes: int = 3, shape: tuple[int, int, int] = (1, 4, 5), num_test: int = 0
    ) -> None:
        self.arguments = [per_class, num_classes, *shape, num_test]
        self.per_class, self.num_classes, self.shape, self.num_test = per_class, num_classes, shape, num_test
        self.num_reads = 0

    def identity(self) -> JSON:
        return {"arguments": self.arguments}

    def read(self) -> ImageArrays:
        self.num_reads += 1
        images, labels = self._part(self.per_class * self.num_classes, seed=0)
        names = tuple(f"class {index}" for index in range(self.num_classes))
        if not self.num_test:
            return ImageArrays(images, labels, names)
        return ImageArrays(images, labels, names, *self._part(self.num_test, seed=1))

    def _part(self, count: int, seed: int) -> tuple[Any, Any]:
        images = np.random.default_rng(seed).integers(0, 256, (count, *self.shape), dtype=np.uint8)
        images[:, 0, 0, 0] = np.arange(count) % 256
        return images, np.arange(count) % self.num_classes


@pytest.fixture
def numbered() -> type[Numbered]:
    return Numbered


@pytest.fixture
def open_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ImageData]:
    """`open_source` with defaults for all that a test does not care about."""

    cache_dir = tmp_path_factory.mktemp("cache")

    def open_with(source: ImageSource, **changes: Any) -> ImageData:
        arguments: dict[str, Any] = {
            "batch_size": 4,
            "val_fraction": 0.2,
            "test_fraction": 0.2,
            "split_seed": 0,
            "limit": None,
            "cache_dir": cache_dir,
        }
        return open_source(source, **{**arguments, **changes})

    return open_with
