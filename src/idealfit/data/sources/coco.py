"""COCO: photographs with any number of things in each, from `annotations/instances_*.json` as published."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import numpy as np

from idealfit.data.source import ImageArrays, Images, ImageSource, Labels, file_identity
from idealfit.data.sources.arguments import checked_categories, checked_size, checked_whole
from idealfit.data.sources.pictures import UnreadableError, decode
from idealfit.spec import JSON, DataError, nearest


@final
class COCO(ImageSource):
    """Photographs and which kinds of things are in each (Lin et al., 2014), for `task=multi_label`.

    Training images are those of `ROOT/annotations/instances_train2017.json` in `ROOT/train2017`; the published
    validation images, whose labels are everybody's, are the test set, for the labels of the test images are nobody's.

    Args:
        root: The folder with `annotations` and the folders of images.
        year: Of the release: 2014 or 2017.
        image_size: Height and width in pixels that each photograph is resized to; one number for both.
        channels: 1 (grey) or 3 (colour).
        categories: Which kinds of things, in label order; None takes all. Images with none of them stay.
        per_part: Take the first so many images of each part, by number; None takes all.

    Raises:
        DataError: An argument makes no sense.
    """

    def __init__(
        self,
        root: str | Path,
        year: int = 2017,
        image_size: int | Sequence[int] = 64,
        channels: int = 3,
        categories: Sequence[str] | None = None,
        per_part: int | None = None,
    ) -> None:
        self.root = Path(root).expanduser()
        self.year = checked_whole("year", year)
        self.size = checked_size(image_size)
        if channels not in (1, 3):
            raise DataError(f"data.channels must be 1 (grey) or 3 (colour), got {channels!r}")
        self.channels = channels
        self.categories = checked_categories(categories)
        self.per_part = None if per_part is None else checked_whole("per_part", per_part)

    def identity(self) -> JSON:
        """See `ImageSource`."""
        chosen = list(self.categories or ())
        return {"files": self.files(), "size": self.size, "channels": self.channels, "categories": chosen} | (
            {"per_part": self.per_part}
        )

    def files(self) -> list[Any]:
        """The annotations, whose list of images decides the rest."""
        return file_identity(self.root, [self._annotations(part) for part in ("train", "val")])

    def read(self) -> ImageArrays:
        """See `ImageSource`."""
        train, val = (self._parsed(part) for part in ("train", "val"))
        names = self._names(train)
        if self._names(val) != names:
            raise DataError(
                "COCO: the training and validation annotations have different categories. Fetch them again."
            )
        return ImageArrays(*self._part("train", train, names), names, *self._part("val", val, names))

    def _annotations(self, part: str) -> Path:
        path = self.root / "annotations" / f"instances_{part}{self.year}.json"
        if not path.is_file():
            raise DataError(
                f"COCO: no {path.name} in {path.parent}. Set data.root to the folder that holds annotations, "
                f"train{self.year} and val{self.year}."
            )
        return path

    def _parsed(self, part: str) -> Mapping[str, Any]:
        path = self._annotations(part)
        try:
            found = json.loads(path.read_bytes())
            return {key: list(found[key]) for key in ("images", "annotations", "categories")}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise _damaged(path, error) from error

    def _names(self, parsed: Mapping[str, Any]) -> tuple[str, ...]:
        try:
            published = tuple(str(each["name"]) for each in sorted(parsed["categories"], key=lambda each: each["id"]))
        except (KeyError, TypeError) as error:
            raise _damaged(self._annotations("train"), error) from error
        for name in self.categories or ():
            if name not in published:
                raise DataError(f"COCO: no category {name!r}. {nearest(name, published)}".rstrip())
        return self.categories or published

    def _part(self, part: str, parsed: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Images, Labels]:
        """uint8 `[N, C, H, W]` and 0 or 1 `[N, len(names)]`."""
        try:
            files = {int(each["id"]): str(each["file_name"]) for each in parsed["images"]}
            columns = {each["id"]: names.index(each["name"]) for each in parsed["categories"] if each["name"] in names}
            numbers = sorted(files)[: self.per_part]
            rows = {number: row for row, number in enumerate(numbers)}
            labels = np.zeros((len(numbers), len(names)), np.int64)
            for each in parsed["annotations"]:
                if each["image_id"] in rows and each["category_id"] in columns:
                    labels[rows[each["image_id"]], columns[each["category_id"]]] = 1
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(self._annotations(part), error) from error
        folder = self.root / f"{part}{self.year}"
        return self._decoded([_inside(folder, files[number]) for number in numbers]), labels

    def _decoded(self, files: Sequence[Path]) -> Images:
        images = self.empty_images(len(files), self.channels, *self.size)

        def fill(index: int) -> str | None:
            try:
                images[index] = decode(files[index], self.size, self.channels)
            except UnreadableError as error:
                return f"{files[index]} ({error})"
            return None

        with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            warnings.simplefilter("ignore")  # of odd metadata
            failed = [failure for failure in pool.map(fill, range(len(files))) if failure]
        if failed:
            raise DataError(
                f"COCO: {len(failed)} of {len(files)} images cannot be read: {'; '.join(failed[:5])}"
                f"{'; ...' if len(failed) > 5 else ''}. Fetch them again, or take fewer by data.per_part."
            )
        return images


def _inside(folder: Path, name: str) -> Path:
    """The image of that name; annotations may come from a stranger.

    Raises:
        DataError: The name leads out of the folder.
    """
    if Path(name).name != name:
        raise DataError(f"COCO: {name!r} names no file in {folder}")
    return folder / name


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"COCO: {path} holds no annotations as published ({type(error).__name__}: {error}). Fetch it again."
    )
