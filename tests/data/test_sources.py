"""The data sets that come with the package, on their real files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idealfit.data import (
    CIFAR10,
    CIFAR100,
    KMNIST,
    MNIST,
    SVHN,
    Digits,
    FashionMNIST,
    ImageData,
    ImageSource,
    QuickDraw,
)
from idealfit.data.cache import open_decoded
from idealfit.data.source import check_arrays
from idealfit.spec import DataError

Open = Callable[..., ImageData]


def test_digits_span_the_whole_range_of_a_byte(open_data: Open) -> None:
    arrays = Digits().read()
    assert arrays.images.shape == (1797, 1, 8, 8)
    assert (arrays.images.min(), arrays.images.max()) == (0, 255)
    assert sorted(set(arrays.images.ravel().tolist())) == [round(level * 255 / 16) for level in range(17)]
    data = open_data(Digits())
    assert data.class_names == tuple("0123456789")
    assert data.sizes == {"train": 1150, "val": 288}


def test_mnist_is_read_as_published(shared_data: Path, tmp_path: Path, open_data: Open) -> None:
    source = MNIST(root=shared_data / "mnist")
    data = open_data(source, cache_dir=tmp_path, batch_size=128, unlock_test=True)
    assert data.image_shape == (1, 28, 28)
    assert data.sizes == {"train": 48_000, "val": 12_000}
    assert data.num_train_batches == 375
    assert sum(len(labels) for _, labels in data.test_batches()) == 10_000
    images = open_decoded(source, tmp_path).arrays.images
    raw = (shared_data / "mnist/MNIST/raw/train-images-idx3-ubyte").read_bytes()[16:]
    assert images.tobytes() == raw
    counts = np.bincount(np.concatenate([labels.numpy() for _, labels in data.eval_batches("val")]))
    published = np.array([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    assert np.abs(counts - published / 5).max() <= 1


@pytest.mark.parametrize("source_type", [MNIST, FashionMNIST, KMNIST, CIFAR10, CIFAR100, SVHN])
def test_missing_files_are_named_with_the_cure(source_type: type, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not found in .*Set data.root to .*data.download=true"):
        source_type(root=tmp_path / "nowhere").identity()


def test_half_a_data_set_is_refused(tmp_path: Path, shared_data: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (shared_data / "mnist/MNIST/raw").iterdir():
        (raw / path.name).write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"MNIST: the files in .*MNIST/raw are damaged"):
        MNIST(root=tmp_path).read()


def test_a_download_that_fails_is_the_users_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import mnist

    def no_network(*arguments: Any, **named: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(mnist, "download_and_extract_archive", no_network)
    with pytest.raises(DataError, match="FashionMNIST: the files cannot be downloaded to "):
        FashionMNIST(root=tmp_path / "new", download=True).identity()


@pytest.mark.parametrize(("source_type", "last_class"), [(FashionMNIST, "Ankle boot"), (KMNIST, "wo")])
def test_others_are_read_from_the_same_format_as_mnist(
    source_type: type[ImageSource], last_class: str, tmp_path: Path, shared_data: Path
) -> None:
    name = source_type.__name__
    (tmp_path / name).mkdir()
    (tmp_path / name / "raw").symlink_to(shared_data / "mnist/MNIST/raw")
    arrays = check_arrays(source_type(root=tmp_path).read(), name)  # type: ignore[call-arg]
    assert arrays.images.shape == (60_000, 1, 28, 28)
    assert arrays.class_names[9] == last_class


def test_cifar10_is_read_from_the_published_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import cifar

    monkeypatch.setattr(cifar, "check_integrity", lambda *_: True)  # our few images have other checksums
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (12, 3072), dtype=np.uint8)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": [*range(10), 0, 1]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"name {index}" for index in range(10)]}))
    source = CIFAR10(root=tmp_path)
    assert len(source.identity()["files"]) == 7
    arrays = check_arrays(source.read(), "CIFAR10")
    assert arrays.images.shape == (60, 3, 32, 32)
    assert np.array_equal(arrays.images[0], rows[0].reshape(3, 32, 32))
    assert arrays.test_images is not None
    assert len(arrays.test_images) == 12


def test_cifar100_is_read_by_its_fine_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import cifar

    monkeypatch.setattr(cifar, "check_integrity", lambda *_: True)
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (100, 3072), dtype=np.uint8)
    fine, coarse = list(range(100)), [index // 5 for index in range(100)]
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps({"data": rows, "fine_labels": fine, "coarse_labels": coarse}))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"name {index}" for index in range(100)]}))
    arrays = check_arrays(CIFAR100(root=tmp_path).read(), "CIFAR100")
    assert arrays.class_names[99] == "name 99"
    assert arrays.labels.tolist() == fine
    assert np.array_equal(arrays.images[7], rows[7].reshape(3, 32, 32))


def test_svhn_is_read_from_the_published_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images lie along the last axis of a MATLAB array, and the digit 0 has the label 10."""
    from scipy.io import savemat
    from torchvision.datasets import svhn

    monkeypatch.setattr(svhn, "check_integrity", lambda *_: True)
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
    labels = np.array([*range(1, 11)] * 2, np.uint8)[:, np.newaxis]
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": labels})
    source = SVHN(root=tmp_path)
    assert len(source.identity()["files"]) == 2
    arrays = check_arrays(source.read(), "SVHN")
    assert arrays.labels.tolist() == [*range(1, 10), 0] * 2
    assert np.array_equal(arrays.images[3], images[:, :, :, 3].transpose(2, 0, 1))
    assert arrays.test_images is not None
    assert len(arrays.test_images) == 20


@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>", b"MATLAB 5.0 MAT-file" + b" " * 200])
def test_damaged_house_numbers_are_named(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import svhn

    monkeypatch.setattr(svhn, "check_integrity", lambda *_: True)
    for part in ("train", "test"):
        (tmp_path / f"{part}_32x32.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"SVHN: the files in .* are damaged: .*Fetch them again"):
        SVHN(root=tmp_path).read()


def test_quickdraw_takes_any_subset_in_the_order_named(shared_data: Path) -> None:
    root = shared_data / "quickdraw/numpy_bitmap"
    arrays = check_arrays(QuickDraw(root, categories=["train", "cat", "bowtie"], per_class=1500).read(), "QuickDraw")
    assert arrays.class_names == ("train", "cat", "bowtie")
    assert np.bincount(arrays.labels).tolist() == [1000, 1500, 1500]
    cats = np.load(root / "cat.npy")
    assert np.array_equal(arrays.images[arrays.labels == 1].reshape(-1, 784), cats[:1500])


def test_quickdraw_takes_all_there_is_by_default(shared_data: Path, open_data: Open) -> None:
    data = open_data(QuickDraw(shared_data / "quickdraw/numpy_bitmap", per_class=20))
    assert data.num_classes == 10
    assert data.class_names == tuple(sorted(data.class_names))


def test_quickdraw_parameters_decide_its_identity(shared_data: Path) -> None:
    root = shared_data / "quickdraw/numpy_bitmap"
    sources: list[ImageSource] = [
        QuickDraw(root),
        QuickDraw(root, categories=["cat", "eye"]),
        QuickDraw(root, categories=["eye", "cat"]),
        QuickDraw(root, categories=["cat", "eye"], per_class=5),
    ]
    assert len({str(source.identity()) for source in sources}) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"categories": ["cat", "bicicle"]}, r"no bicicle.npy in .*Did you mean 'bicycle'"),
        ({"categories": ["cat"]}, r"at least 2 categories, each once, got \['cat'\]"),
        ({"categories": "cat"}, r"got \['cat'\]"),
        ({"categories": ["cat", "cat"]}, "each once"),
        ({"per_class": 0}, "data.per_class must be a whole number from 1 up, or null for all, got 0"),
        ({"per_class": 2.5}, "got 2.5"),
    ],
)
def test_quickdraw_refuses_what_makes_no_sense(shared_data: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        QuickDraw(shared_data / "quickdraw/numpy_bitmap", **arguments).identity()


def test_quickdraw_names_a_folder_without_bitmaps(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no CATEGORY\.npy in"):
        QuickDraw(tmp_path / "nowhere").identity()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"<html>404 not found</html>", "cannot be read"),
        (pickle.dumps([1, 2]), "cannot be read"),
    ],
)
def test_quickdraw_names_a_file_that_is_no_bitmap(tmp_path: Path, content: bytes, message: str) -> None:
    np.save(tmp_path / "cat.npy", np.zeros((5, 784), np.uint8))
    (tmp_path / "dog.npy").write_bytes(content)
    with pytest.raises(DataError, match=f"dog.npy {message}"):
        QuickDraw(tmp_path).read()


def test_quickdraw_names_a_file_of_another_shape_and_a_category_without_drawings(tmp_path: Path) -> None:
    np.save(tmp_path / "cat.npy", np.zeros((5, 784), np.uint8))
    np.save(tmp_path / "dog.npy", np.zeros((0, 784), np.uint8))
    with pytest.raises(DataError, match="no image in 1 of 2 classes: 'dog'"):
        check_arrays(QuickDraw(tmp_path).read(), "QuickDraw")
    np.save(tmp_path / "dog.npy", np.zeros((5, 28, 28), np.float32))
    with pytest.raises(DataError, match=r"dog.npy must hold uint8 \[n, 784\], got float32 \[5, 28, 28\]"):
        QuickDraw(tmp_path).read()
