"""Quick, Draw!: sketches of everyday things, in the published "numpy bitmap" form."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np

from idealfit.data.source import NPY_ERRORS, ImageArrays, Images
from idealfit.data.sources.categories import CategoryFiles
from idealfit.spec import DataError

SIDE = 28


@final
class QuickDraw(CategoryFiles):
    """Sketches, 28x28 grey, white lines on black, from `ROOT/CATEGORY.npy`. No published test set.

    Args:
        root: The folder with one file for each category.
        categories: Which to take, in label order; None takes every file there is, by name.
        per_class: Take the first so many of each category; None takes all.

    Raises:
        DataError: An argument makes no sense.
    """

    suffix = "npy"
    contents = "numpy bitmaps"

    def read(self) -> ImageArrays:
        """See `ImageSource`."""
        files = self.category_files()
        drawings = [self._read_category(path) for path in files.values()]
        labels = np.repeat(np.arange(len(drawings)), [len(images) for images in drawings])
        images = self.empty_images(len(labels), 1, SIDE, SIDE)
        np.concatenate(drawings, out=images)
        return ImageArrays(images, labels, tuple(files))

    def _read_category(self, path: Path) -> Images:
        try:
            drawings = np.load(path, mmap_mode="r", allow_pickle=False)
        except NPY_ERRORS as error:
            raise DataError(f"QuickDraw: {path} cannot be read: {error}. Fetch it again.") from error
        if not isinstance(drawings, np.ndarray):
            raise DataError(f"QuickDraw: {path} is an archive, no bitmap. Fetch it again.")
        if drawings.dtype != np.uint8 or drawings.ndim != 2 or drawings.shape[1] != SIDE * SIDE:
            raise DataError(f"QuickDraw: {path} must hold uint8 [n, 784], got {drawings.dtype} {list(drawings.shape)}")
        return drawings[: self.per_class].reshape(-1, 1, SIDE, SIDE)  # still on disk
