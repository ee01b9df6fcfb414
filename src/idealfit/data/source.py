"""What a data set is to the package: a source that decodes its images once, and says cheaply which they are."""

from __future__ import annotations

import hashlib
import inspect
import math
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from idealfit.spec import JSON, DataError, sha256_of

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
LARGE_BYTES = 2**30
NPY_ERRORS = (OSError, ValueError, EOFError, OverflowError, SyntaxError, TokenError)
"""What `numpy.load` raises on a damaged file."""


@dataclass(frozen=True, eq=False)
class ImageArrays:
    """A decoded data set.

    Attributes:
        images: uint8 `[N, C, H, W]`: everything that training and validation may use.
        labels: int64 `[N]`, each an index into `class_names`; of images with any number of labels 0 or 1,
            `[N, len(class_names)]`.
        class_names: One name for each class, in label order.
        test_images: uint8 `[M, C, H, W]`, the published test set where there is one.
        test_labels: int64 `[M]` or `[M, len(class_names)]`, with `test_images`.
    """

    images: Images
    labels: Labels
    class_names: tuple[str, ...]
    test_images: Images | None = None
    test_labels: Labels | None = None


class ImageSource(ABC):
    """Where images come from. For a data set of your own: two methods, and cache, splits and loader follow.

    A source is made from its own keys of the `data` node (`root`, ...); it does nothing until it is asked.
    """

    @abstractmethod
    def identity(self) -> JSON:
        """What decides the images, as JSON: parameters, and names, sizes, times of files. Cheap: asked at every start.

        Raises:
            DataError: A file or folder is missing.
        """

    @abstractmethod
    def read(self) -> ImageArrays:
        """Decode everything. Called once; later starts open the cache for as long as `identity` stays the same.

        Raises:
            DataError: An image cannot be read (it is named), or a class has none.
        """

    has_pixels: ClassVar[bool] = True
    """Whether its images are pictures, so that their brightness means something."""

    scratch_dir: Path | None = None
    """Where `empty_images` may put what is too large for memory; the cache says so before it calls `read`."""

    def empty_images(self, *shape: int) -> Images:
        """An array uint8 `[N, C, H, W]` to decode into: in memory, or from 1 GiB on in a nameless file on disk.

        Raises:
            DataError: The disk has no room for it.
        """
        num_bytes = math.prod(shape)
        if self.scratch_dir is None or num_bytes < LARGE_BYTES:
            return np.empty(shape, np.uint8)
        try:
            with tempfile.TemporaryFile(dir=self.scratch_dir) as file:  # the map keeps it; then it is gone
                os.posix_fallocate(file.fileno(), 0, num_bytes)  # a full disk would end the process later
                return np.memmap(file, np.uint8, mode="r+", shape=shape)
        except OSError as error:
            raise DataError(
                f"{type(self).__name__}: no room for {num_bytes / 2**30:.1f} GiB of images in {self.scratch_dir}: "
                f"{error.strerror}. Set data.cache_dir to a folder with room."
            ) from error

    def files(self) -> list[Any]:
        """The files behind the images as `file_identity` lists them, so that a change has a name; [] for none."""
        return []


def cache_key(source: ImageSource) -> str:
    """Hash of what decides the decoded images: the source's identity, its class and the code that defines it."""
    cls = type(source)
    try:
        # A mended `read` must not meet images that the old one decoded.
        code = Path(inspect.getfile(cls)).read_bytes()
    except (OSError, TypeError):  # a class typed into an interactive session has no file
        code = b""
    return sha256_of([f"{cls.__module__}.{cls.__qualname__}", hashlib.sha256(code).hexdigest(), source.identity()])


def file_identity(root: Path, files: Iterable[Path]) -> list[Any]:
    """Name under `root`, size in bytes and modification time in ns of each file, for `ImageSource.identity`."""
    return [[str(path.relative_to(root)), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in files]


def check_arrays(arrays: ImageArrays, name: str) -> ImageArrays:
    """The same arrays, contiguous and sound.

    Raises:
        DataError: A shape, type or label is wrong, or a class has no image.
    """
    class_names = tuple(map(str, arrays.class_names))
    if len(class_names) < 2:
        raise DataError(f"{name}: a classifier needs at least 2 classes, got {len(class_names)}: {list(class_names)}")
    images, labels = _checked_part(arrays.images, arrays.labels, class_names, name)
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(class_names))
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        names = ", ".join(repr(class_names[index]) for index in empty[:5])
        raise DataError(
            f"{name}: no image in {len(empty)} of {len(class_names)} classes: {names}. Add images or leave it out."
        )
    if arrays.test_images is None or arrays.test_labels is None:
        return ImageArrays(images, labels, class_names)
    test_images, test_labels = _checked_part(arrays.test_images, arrays.test_labels, class_names, f"{name}, test set")
    if test_images.shape[1:] != images.shape[1:]:
        raise DataError(f"{name}: test images are {test_images.shape[1:]}, the others {images.shape[1:]}")
    return ImageArrays(images, labels, class_names, test_images, test_labels)


def _checked_part(images: Any, labels: Any, class_names: tuple[str, ...], name: str) -> tuple[Images, Labels]:
    images, labels = np.ascontiguousarray(images), np.asarray(labels)
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise DataError(f"{name}: images must be uint8 [N, C, H, W] and not empty, got {images.dtype} {images.shape}")
    shape = images.shape[:1] if labels.ndim != 2 else (len(images), len(class_names))
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != shape:
        raise DataError(
            f"{name}: labels must be integers, one for each of {len(images)} images, got {labels.dtype} {labels.shape}"
        )
    labels = np.ascontiguousarray(labels, dtype=np.int64)
    if labels.ndim == 2:
        if labels.min() < 0 or labels.max() > 1:
            raise DataError(f"{name}: labels of each image must be 0 or 1, got {labels.min()}..{labels.max()}")
        return images, labels
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(
            f"{name}: labels must lie in 0..{len(class_names) - 1} (there are {len(class_names)} class names), "
            f"got {labels.min()}..{labels.max()}"
        )
    return images, labels
