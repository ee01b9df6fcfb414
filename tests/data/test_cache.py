from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idealfit.data.cache import fingerprint_of, open_decoded
from idealfit.data.source import check_arrays
from idealfit.spec import DataError


def entry_of(cache_dir: Path) -> Path:
    return next(path for path in cache_dir.iterdir() if path.is_dir())


def test_images_are_decoded_once(tmp_path: Path, numbered: Any) -> None:
    source = numbered(num_test=9)
    first, second = open_decoded(source, tmp_path), open_decoded(source, tmp_path)
    fresh = source.read()
    assert source.num_reads == 2  # one of them is ours
    for decoded in (first, second):
        assert decoded.arrays.class_names == fresh.class_names
        for name in ("images", "labels", "test_images", "test_labels"):
            assert np.array_equal(getattr(decoded.arrays, name), getattr(fresh, name))


def test_another_identity_is_another_entry(tmp_path: Path, numbered: Any) -> None:
    open_decoded(numbered(per_class=5), tmp_path)
    assert len(open_decoded(numbered(per_class=6), tmp_path).arrays.labels) == 18


def test_workers_that_come_at_once_decode_once(tmp_path: Path, numbered: Any) -> None:
    source = numbered()
    with ThreadPoolExecutor(8) as pool:
        fingerprints = list(pool.map(lambda _: open_decoded(source, tmp_path).fingerprint, range(16)))
    assert source.num_reads == 1
    assert len(set(fingerprints)) == 1


def test_writing_to_the_opened_images_does_not_reach_the_file(tmp_path: Path, numbered: Any) -> None:
    source = numbered()
    decoded = open_decoded(source, tmp_path)
    decoded.arrays.images[:] = 0
    assert open_decoded(source, tmp_path).arrays.images.max() > 0
    assert source.num_reads == 1


def cut_off(entry: Path) -> None:
    os.truncate(entry / "images.npy", 200)


def overwrite(entry: Path) -> None:
    with (entry / "images.npy").open("r+b") as file:
        file.seek(150)
        file.write(b"\xff" * 20)


def lose_labels(entry: Path) -> None:
    (entry / "labels.npy").unlink()


def lose_meta(entry: Path) -> None:
    (entry / "meta.json").unlink()


def garble_meta(entry: Path) -> None:
    (entry / "meta.json").write_bytes(b"\xff\xfe{")


def empty_meta(entry: Path) -> None:
    (entry / "meta.json").write_text("[]")


def claim_to_be_empty(entry: Path) -> None:
    for path in entry.glob("*.npy"):
        path.unlink()
    (entry / "meta.json").write_text(json.dumps({"files": {}, "class_names": [], "fingerprint": ""}))


@pytest.mark.parametrize(
    "damage", [cut_off, overwrite, lose_labels, lose_meta, garble_meta, empty_meta, claim_to_be_empty]
)
def test_a_damaged_entry_is_made_again(tmp_path: Path, numbered: Any, damage: Callable[[Path], None]) -> None:
    source = numbered()
    whole = open_decoded(source, tmp_path).fingerprint
    damage(entry_of(tmp_path))
    mended = open_decoded(source, tmp_path)
    assert source.num_reads == 2
    assert fingerprint_of(mended.arrays) == whole == mended.fingerprint


def test_what_a_killed_decoder_left_is_cleared(tmp_path: Path, numbered: Any) -> None:
    source = numbered()
    open_decoded(source, tmp_path)
    entry = entry_of(tmp_path)
    entry.rename(f"{entry}.partial")
    open_decoded(source, tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [entry]


def test_the_fingerprint_is_of_the_contents_alone(tmp_path: Path, numbered: Any) -> None:
    arrays = numbered().read()
    same = open_decoded(numbered(), tmp_path).fingerprint
    assert fingerprint_of(check_arrays(arrays, "again")) == same
    arrays.images[3, 0, 2, 2] ^= 1
    assert fingerprint_of(check_arrays(arrays, "one pixel")) != same


def test_a_finished_cache_may_be_read_only(tmp_path: Path, numbered: Any) -> None:
    source = numbered()
    open_decoded(source, tmp_path)
    (lock,) = tmp_path.glob("*.lock")
    lock.unlink()
    tmp_path.chmod(0o500)
    try:
        open_decoded(source, tmp_path)
        assert not list(tmp_path.glob("*.lock"))  # root may write anywhere, so that is what can be seen
    finally:
        tmp_path.chmod(0o700)


def test_a_cache_that_cannot_be_made_says_where_and_what_to_do(tmp_path: Path, numbered: Any) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written to .*file.*Set data.cache_dir"):
        open_decoded(numbered(), tmp_path / "file" / "cache")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 1,000 bytes, for this process: nor may the file that pytest's own output goes to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_said_and_leaves_nothing_half_done(tmp_path: Path, numbered: Any) -> None:
    with pytest.raises(DataError, match="cannot be written"), full_disk():
        open_decoded(numbered(per_class=100), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_odd_folder_names_do(tmp_path: Path, numbered: Any) -> None:
    odd = tmp_path / 'it\'s "a"\nfölder' / "cache"
    assert len(open_decoded(numbered(), odd).arrays.labels) == 30
    assert len(open_decoded(numbered(), odd).arrays.labels) == 30
