from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idealfit.data import ImageArrays, QuickDraw
from idealfit.data.source import cache_key, check_arrays, file_identity
from idealfit.spec import DataError


def arrays(**changes: Any) -> ImageArrays:
    whole: dict[str, Any] = {
        "images": np.zeros((4, 1, 2, 2), np.uint8),
        "labels": np.array([0, 1, 0, 1]),
        "class_names": ("cat", "dog"),
        **changes,
    }
    return ImageArrays(**whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((4, 2, 2), np.uint8)}, r"uint8 \[N, C, H, W\] and not empty, got uint8 \(4, 2, 2\)"),
        ({"images": np.zeros((4, 1, 2, 2), np.float32)}, "got float32"),
        ({"images": np.zeros((0, 1, 2, 2), np.uint8), "labels": np.zeros(0, int)}, "not empty"),
        ({"labels": np.array([0, 1, 0])}, r"one for each of 4 images, got int64 \(3,\)"),
        ({"labels": np.array([0.0, 1.0, np.nan, 1.0])}, "labels must be integers.*float64"),
        ({"labels": np.array([0, 1, 2, 1])}, r"0\.\.1 \(there are 2 class names\), got 0\.\.2"),
        ({"labels": np.array([0, 1, -1, 1])}, r"got -1\.\.1"),
        ({"labels": np.array([0, 0, 0, 0])}, "no image in 1 of 2 classes: 'dog'"),
        ({"class_names": ("cat",), "labels": np.zeros(4, int)}, r"at least 2 classes, got 1: \['cat'\]"),
        (
            {"test_images": np.zeros((1, 3, 2, 2), np.uint8), "test_labels": np.zeros(1, int)},
            r"test images are \(3, 2, 2\), the others \(1, 2, 2\)",
        ),
        (
            {"test_images": np.zeros((1, 1, 2, 2), np.uint8), "test_labels": np.array([7])},
            "Mine, test set: labels must lie",
        ),
    ],
)
def test_unsound_arrays_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_arrays(arrays(**changes), "Mine")


def test_sound_arrays_come_back_contiguous_with_int64_labels() -> None:
    given = arrays(images=np.zeros((2, 2, 1, 4), np.uint8).T, labels=np.array([0, 1, 0, 1], np.uint8))
    checked = check_arrays(given, "Mine")
    assert checked.images.flags.c_contiguous
    assert checked.labels.dtype == np.int64


def test_a_file_is_known_by_name_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a b.npy"
    path.write_bytes(b"123")
    ((name, size, time),) = file_identity(tmp_path, [path])
    assert (name, size, time) == ("a b.npy", 3, path.stat().st_mtime_ns)


def test_mended_code_of_a_users_own_source_is_another_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    keys = []
    for value in (1, 2):
        path.write_text(
            "from idealfit.data import ImageSource\n"
            "class Mine(ImageSource):\n"
            "    def identity(self): return {}\n"
            f"    def read(self): return {value}\n"
        )
        spec = importlib.util.spec_from_file_location("mine", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.Mine.__module__ = "mine"
        keys.append(cache_key_of(module.Mine(), module))
    assert keys[0] != keys[1]


def cache_key_of(source: Any, module: Any) -> str:
    import sys

    sys.modules["mine"] = module  # as an import would
    try:
        return cache_key(source)
    finally:
        del sys.modules["mine"]


def test_what_is_too_large_for_memory_is_decoded_on_disk_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_data: Path
) -> None:
    monkeypatch.setattr("idealfit.data.source.LARGE_BYTES", 1000)
    source = QuickDraw(shared_data / "quickdraw/numpy_bitmap", per_class=5)
    in_memory = source.read()
    source.scratch_dir = tmp_path
    on_disk = source.read()
    assert isinstance(on_disk.images, np.memmap)
    assert np.array_equal(on_disk.images, in_memory.images)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_named(tmp_path: Path) -> None:
    source = QuickDraw(tmp_path)
    source.scratch_dir = tmp_path
    with pytest.raises(DataError, match=r"no room for .* GiB of images in .*data\.cache_dir"):
        source.empty_images(2**50, 1, 28, 28)
