"""scikit-learn's bundled digits: real images with no file and no network."""

from __future__ import annotations

from importlib.metadata import version
from typing import final

import numpy as np

from idealfit.data.source import ImageArrays, ImageSource
from idealfit.spec import JSON


@final
class Digits(ImageSource):
    """1,797 handwritten digits, 8x8, grey levels 0..16 scaled to 0..255. No published test set."""

    def identity(self) -> JSON:
        """See `ImageSource`."""
        return {"scikit-learn": version("scikit-learn")}

    def read(self) -> ImageArrays:
        """See `ImageSource`."""
        from sklearn.datasets import load_digits  # a second of import, needed once

        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, np.newaxis]
        return ImageArrays(images, digits.target.astype(np.int64), tuple(map(str, digits.target_names)))
