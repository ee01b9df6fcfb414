"""A user's own pictures: a folder for each class, images of any size and kind inside."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import numpy as np

from idealfit.data.source import ImageArrays, Images, ImageSource, Labels, file_identity
from idealfit.data.sources.arguments import checked_categories, checked_per_class, checked_size
from idealfit.data.sources.pictures import SUFFIXES, UnreadableError, decode
from idealfit.spec import JSON, DataError, nearest, sha256_of

PARTS = ("test", "val", "valid", "validation")
Listing = dict[str, list[Path]]  # the image files of each class, in order


@final
class ImageFolder(ImageSource):
    """Images in `ROOT/CLASS/...`, or in `ROOT/train/CLASS/...` and `ROOT/test/CLASS/...` with a published test set.

    Classes are the folders by name; their subfolders are searched too. Hidden files and files that are no images are
    passed over. Every image is turned as its camera says, laid on white where it is transparent, and resized.

    Args:
        root: The folder with a folder for each class.
        image_size: Height and width in pixels; one number for both.
        channels: 1 (grey) or 3 (colour).
        categories: Which classes to take, in label order; None takes every folder, by name.
        per_class: Take the first so many images of each class, by name; None takes all.
        test_folder: The published test set beside `train`; `val` for ImageNet, whose test labels are nobody's.

    Raises:
        DataError: An argument makes no sense.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int | Sequence[int] = 32,
        channels: int = 3,
        categories: Sequence[str] | None = None,
        per_class: int | None = None,
        test_folder: str = "test",
    ) -> None:
        self.root = Path(root).expanduser()
        self.size = checked_size(image_size)
        if channels not in (1, 3):
            raise DataError(f"data.channels must be 1 (grey) or 3 (colour), got {channels!r}")
        self.channels = channels
        self.categories = checked_categories(categories)
        self.per_class = checked_per_class(per_class)
        if test_folder not in PARTS:
            raise DataError(f"data.test_folder must be one of {', '.join(PARTS)}, got {test_folder!r}")
        self.test_folder = test_folder

    def identity(self) -> JSON:
        """See `ImageSource`."""
        train, test = self._listings()
        files = self._list_files(train, test)
        return {"size": self.size, "channels": self.channels, "classes": list(train), "files": sha256_of(files)}

    def files(self) -> list[Any]:
        """See `ImageSource`."""
        return [entry for entries in self._list_files(*self._listings()) for entry in entries]

    def _list_files(self, train: Listing, test: Listing | None) -> list[list[Any]]:
        return [file_identity(self.root, paths) for listing in (train, test or {}) for paths in listing.values()]

    def read(self) -> ImageArrays:
        """See `ImageSource`."""
        train, test = self._listings()
        names = tuple(train)
        images, labels = self._decode_all(train, names)
        if test is None:
            return ImageArrays(images, labels, names)
        return ImageArrays(images, labels, names, *self._decode_all(test, names))

    def _listings(self) -> tuple[Listing, Listing | None]:
        """The files of the training part and, where there is one, of the published test set."""
        folders = _subfolders(self.root)
        held_out = set(PARTS) & set(folders)
        # `train` beside one of these, each full of class folders, is the usual layout of parts and not two classes.
        if "train" not in folders or not held_out or not _subfolders(folders["train"]):
            return self._list_classes(self.root), None
        if others := sorted(held_out - {self.test_folder}):
            raise DataError(
                f"ImageFolder: {self.root} has a part {others[0]!r}. idealfit takes its validation images from train: "
                f"move those of {others[0]!r} into train, or take it for the test set: data.test_folder={others[0]}."
            )
        test_folder = folders[self.test_folder]
        train, test = self._list_classes(folders["train"]), self._list_classes(test_folder, optional=True)
        for name in sorted(set(test) - set(train)):
            raise DataError(f"ImageFolder: class {name!r} is in {test_folder} only. {nearest(name, train)}".rstrip())
        return train, test

    def _list_classes(self, folder: Path, *, optional: bool = False) -> Listing:
        folders = _subfolders(folder)
        if not folders:
            raise DataError(
                f"ImageFolder: no folders in {folder}. Put the images of each class into a folder of its own."
            )
        names = self.categories or sorted(folders)
        listing = {}
        for name in names:
            if name not in folders and not optional:
                raise DataError(f"ImageFolder: no class {name!r} in {folder}. {nearest(name, folders)}".rstrip())
            files = sorted(_image_files(folders[name])) if name in folders else []
            if not files and not optional:
                kinds = ", ".join(sorted(SUFFIXES))
                raise DataError(f"ImageFolder: class {name!r} has no image in {folders[name]} ({kinds}).")
            listing[name] = files[: self.per_class]
        return listing

    def _decode_all(self, listing: Listing, names: tuple[str, ...]) -> tuple[Images, Labels]:
        files = [path for name in names for path in listing.get(name, [])]
        labels = np.repeat(np.arange(len(names)), [len(listing.get(name, [])) for name in names])
        images = self.empty_images(len(files), self.channels, *self.size)

        def fill(index: int) -> str | None:
            try:
                images[index] = decode(files[index], self.size, self.channels)
            except UnreadableError as error:
                return f"{files[index]} ({error})"
            return None

        # Pillow lets go of the interpreter lock while it decodes and resizes. Its warnings are of odd metadata;
        # pixels that it cannot read are errors.
        with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            warnings.simplefilter("ignore")
            failed = [failure for failure in pool.map(fill, range(len(files))) if failure]
        if failed:
            raise DataError(
                f"ImageFolder: {len(failed)} of {len(files)} images cannot be read: {'; '.join(failed[:5])}"
                f"{'; ...' if len(failed) > 5 else ''}. Repair or remove them."
            )
        return images, labels


def _subfolders(folder: Path) -> dict[str, Path]:
    try:
        return {path.name: path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    except OSError as error:
        raise DataError(
            f"ImageFolder: {folder} cannot be read: {error.strerror}. Set data.root to your images."
        ) from error


def _image_files(folder: Path) -> Iterator[Path]:
    """All images below `folder`, links followed, but round no circle."""
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        stat = Path(parent).stat()
        if (stat.st_dev, stat.st_ino) in visited:
            folders.clear()
            continue
        visited.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES and path.is_file():
                yield path
