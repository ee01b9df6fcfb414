"""Data sets that torchvision reads in the layout they are published in, and can download."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar, final

import numpy as np
from filelock import FileLock

from idealfit.data.source import ImageArrays, ImageSource, file_identity
from idealfit.spec import JSON, DataError


class _Published(ImageSource):
    """Files under `root` that a class of torchvision.datasets reads.

    Args:
        root: The folder that torchvision calls root too.
        download: Fetch the files where they are missing.
    """

    _name: ClassVar[str]
    _folder: ClassVar[str]
    _file_names: ClassVar[tuple[str, ...]]

    def __init__(self, root: str | Path, download: bool = False) -> None:
        self.root = Path(root).expanduser()
        self.download = download

    def identity(self) -> JSON:
        """See `ImageSource`."""
        folder = self.root / self._folder
        files = [folder / name for name in self._file_names]
        if self.download and not all(map(Path.is_file, files)):
            self._fetch()
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise DataError(
                f"{self._name}: {', '.join(missing)} not found in {folder}. Set data.root to the folder that holds "
                f"{'them' if self._folder == '.' else self._folder}, or data.download=true to fetch the files there."
            )
        return {"files": file_identity(folder, files)}

    def read(self) -> ImageArrays:
        """See `ImageSource`."""
        try:
            train, test = self._open(train=True), self._open(train=False)
        except (OSError, ValueError, RuntimeError, AssertionError, EOFError, IndexError, UnpicklingError) as error:
            raise DataError(
                f"{self._name}: the files in {self.root / self._folder} are damaged: {error}. Fetch them again."
            ) from error
        return ImageArrays(*_arrays(train), self._classes(train), *_arrays(test))

    def _classes(self, data_set: Any) -> tuple[str, ...]:
        return tuple(data_set.classes)

    def _open(self, *, train: bool, download: bool = False) -> Any:
        import torchvision.datasets  # two seconds, needed once: later starts read our own cache

        return getattr(torchvision.datasets, self._name)(root=str(self.root), train=train, download=download)

    def _fetch(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f".{self._name}.lock"):
                self._open(train=True, download=True)
        except (OSError, RuntimeError) as error:
            raise DataError(f"{self._name}: the files cannot be downloaded to {self.root}: {error}") from error


_IDX_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


@final
class MNIST(_Published):
    """Handwritten digits, 28x28 grey: 60,000 and a published test set of 10,000, from `ROOT/MNIST/raw`."""

    _name = "MNIST"
    _folder = "MNIST/raw"
    _file_names = _IDX_FILES


@final
class FashionMNIST(_Published):
    """Photographs of clothing, 28x28 grey: 60,000 and a published test set of 10,000, from `ROOT/FashionMNIST/raw`."""

    _name = "FashionMNIST"
    _folder = "FashionMNIST/raw"
    _file_names = _IDX_FILES


@final
class KMNIST(_Published):
    """Cursive Japanese characters, 28x28 grey: 60,000 and a published test set of 10,000, from `ROOT/KMNIST/raw`."""

    _name = "KMNIST"
    _folder = "KMNIST/raw"
    _file_names = _IDX_FILES


@final
class CIFAR10(_Published):
    """Small photographs, 32x32 colour: 50,000 and a published test set of 10,000, from `ROOT/cifar-10-batches-py`."""

    _name = "CIFAR10"
    _folder = "cifar-10-batches-py"
    _file_names = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")


@final
class CIFAR100(_Published):
    """CIFAR-10's sister of 100 classes, 500 photographs each, and 10,000 for the test, from `ROOT/cifar-100-python`."""

    _name = "CIFAR100"
    _folder = "cifar-100-python"
    _file_names = ("train", "test", "meta")


@final
class SVHN(_Published):
    """Cropped house numbers, 32x32 colour: 73,257 and a published test set of 26,032, from `ROOT/*_32x32.mat`.

    The 531,131 easier ones that are published as extra are left out.
    """

    _name = "SVHN"
    _folder = "."
    _file_names = ("train_32x32.mat", "test_32x32.mat")

    def _open(self, *, train: bool, download: bool = False) -> Any:
        import torchvision.datasets
        from scipy.io.matlab import MatReadError

        made = None
        for part in ("train", "test") if download else ("train" if train else "test",):
            try:
                made = torchvision.datasets.SVHN(root=str(self.root), split=part, download=download)
            except (MatReadError, KeyError, TypeError, NotImplementedError) as error:
                raise ValueError(f"{part}_32x32.mat: {error}") from error
        return made

    def _classes(self, data_set: Any) -> tuple[str, ...]:
        return tuple("0123456789")


def _arrays(data_set: Any) -> tuple[Any, Any]:
    """uint8 `[N, C, H, W]` and labels `[N]` of a torchvision data set: grey, or colour with the channels anywhere."""
    images = np.asarray(data_set.data)
    if images.ndim == 3:
        images = images[:, np.newaxis]
    elif images.shape[1] != 3:
        images = images.transpose(0, 3, 1, 2)
    return images, np.asarray(data_set.targets if hasattr(data_set, "targets") else data_set.labels)
