"""Drawings that memory cannot hold: decoded and cached by way of the disk."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from idealfit.data import QuickDraw, source
from idealfit.data.cache import open_decoded
from idealfit.data.source import Images


def test_memory_does_not_grow_with_the_drawings(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared_data / "quickdraw" / "numpy_bitmap"
    monkeypatch.setattr(source, "LARGE_BYTES", 2**20)

    def peak(per_class: int | None) -> tuple[int, Images]:
        """Most bytes that NumPy and Python held, which a mapped file does not count in; and the images."""
        tracemalloc.start()
        try:
            decoded = open_decoded(QuickDraw(folder, per_class=per_class), tmp_path)
            return tracemalloc.get_traced_memory()[1], decoded.arrays.images
        finally:
            tracemalloc.stop()

    peak(10)  # imports
    (few_bytes, few), (all_bytes, images) = peak(1000), peak(None)
    assert images.nbytes - few.nbytes > 15_000_000
    assert all_bytes - few_bytes < 0.2 * (images.nbytes - few.nbytes)
    first = np.load(sorted(folder.glob("*.npy"))[0], mmap_mode="r")
    assert np.array_equal(images[:50].reshape(50, -1), first[:50])
