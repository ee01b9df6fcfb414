"""The decoded images on disk: written once, by whoever comes first, then memory-mapped: workers share the pages."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from idealfit.data.source import NPY_ERRORS, ImageArrays, Images, ImageSource, cache_key, check_arrays
from idealfit.spec import DataError, sha256_of

FORMAT = 1
_META = "meta.json"
_CHUNK = 4096  # images at a time, so that sums need little memory


@dataclass(frozen=True, eq=False)
class Decoded:
    """A data set as the cache keeps it.

    Attributes:
        arrays: The images (memory-mapped) and labels.
        moments: int64 `[N, C, 2]`: sum and sum of squares of each image's pixels, so that mean and standard deviation
            of any split are exact and cost nothing.
        fingerprint: sha256 of all pixels, labels and class names.
    """

    arrays: ImageArrays
    moments: NDArray[np.int64]
    fingerprint: str


def open_decoded(source: ImageSource, cache_dir: str | Path) -> Decoded:
    """The decoded images of `source`: from the cache, or decoded and cached now while other workers wait.

    Raises:
        DataError: The source cannot be read, or the cache cannot be written.
    """
    name = type(source).__name__
    entry = Path(cache_dir).expanduser().resolve() / f"{name.lower()}-{sha256_of([FORMAT, cache_key(source)])[:16]}"
    decoded = _read(entry)  # first without the lock, so that a finished cache may lie in a read-only place
    if decoded:
        return decoded
    lock = FileLock(f"{entry}.lock")  # a lock of the kernel: it dies with its process
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _not_writable(entry.parent, error) from error
    try:
        decoded = _read(entry)  # somebody else may have decoded while we waited
        if decoded:
            return decoded
        source.scratch_dir = entry.parent
        arrays = check_arrays(source.read(), name)
        try:
            _write(entry, arrays)
        except OSError as error:
            raise _not_writable(entry.parent, error) from error
    finally:
        lock.release()
    if decoded := _read(entry):
        return decoded
    raise DataError(f"the image cache written to {entry} was gone at once. Does something clean {entry.parent}?")


def _not_writable(cache_dir: Path, error: OSError) -> DataError:
    return DataError(
        f"the image cache cannot be written to {cache_dir}: {error.strerror or error}. "
        "Set data.cache_dir to a folder with room that you may write to."
    )


def _read(entry: Path) -> Decoded | None:
    """What `_write` left at `entry`; None where there is nothing whole.

    Sizes and times of the files are compared with the recorded ones: that finds what was cut off, swapped or written to
    since, without reading 50 MB at every start.
    """
    try:
        meta = json.loads((entry / _META).read_text())
        if meta["files"] != _file_facts(entry) or not {"images", "labels", "moments"} <= set(meta["files"]):
            return None
        # Copy-on-write: torch wants writable memory, and no worker can spoil the file.
        loaded = {name: np.load(entry / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in meta["files"]}
        moments = loaded.pop("moments")
        arrays = check_arrays(ImageArrays(class_names=tuple(meta["class_names"]), **loaded), entry.name)
        if moments.dtype != np.int64 or moments.shape != (*arrays.images.shape[:2], 2):
            return None
        return Decoded(arrays, moments, str(meta["fingerprint"]))
    except (*NPY_ERRORS, KeyError, TypeError, AttributeError, RecursionError, DataError):
        return None


def _write(entry: Path, arrays: ImageArrays) -> None:
    """Write under a temporary name, then rename. The caller holds the lock: what lies there is left over or broken."""
    partial = entry.with_name(f"{entry.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(entry, ignore_errors=True)
    contents = {name: array for name, array in vars(arrays).items() if isinstance(array, np.ndarray)}
    try:
        partial.mkdir()
        for name, array in {**contents, "moments": moments_of(arrays.images)}.items():
            with (partial / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave a file of the right size full of zeros
        meta = {"class_names": arrays.class_names, "fingerprint": fingerprint_of(arrays), "files": _file_facts(partial)}
        (partial / _META).write_text(json.dumps(meta))
        partial.replace(entry)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _file_facts(folder: Path) -> dict[str, list[int]]:
    stats = {path.stem: path.stat() for path in sorted(folder.glob("*.npy"))}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def moments_of(images: Images) -> NDArray[np.int64]:
    """Sum and sum of squares of each image's pixels, exactly: uint8 `[N, C, H, W]` to int64 `[N, C, 2]`."""
    moments = np.empty((*images.shape[:2], 2), np.int64)
    for start in range(0, len(images), _CHUNK):
        planes = images[start : start + _CHUNK].reshape(-1, images.shape[1], images.shape[2] * images.shape[3])
        moments[start : start + _CHUNK, :, 0] = planes.sum(-1, dtype=np.int64)
        squares = np.square(planes, dtype=np.uint16)  # 255 squared just fits
        moments[start : start + _CHUNK, :, 1] = squares.sum(-1, dtype=np.int64)
    return moments


def fingerprint_of(arrays: ImageArrays) -> str:
    """sha256 of pixels, labels and class names: the same for the same images, wherever and however they are stored."""
    digest = hashlib.sha256(json.dumps(arrays.class_names).encode())
    for name in ("images", "labels", "test_images", "test_labels"):
        array: NDArray[Any] | None = getattr(arrays, name)
        if array is not None:
            digest.update(f"{name}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()
