"""Data sets with one file for each category."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from idealfit.data.source import ImageSource, file_identity
from idealfit.data.sources.arguments import checked_categories, checked_per_class
from idealfit.spec import JSON, DataError, nearest


class CategoryFiles(ImageSource):
    """Images or drawings from `ROOT/CATEGORY.SUFFIX`. No published test set.

    Args:
        root: The folder with one file for each category.
        categories: Which to take, in label order; None takes every file there is, by name.
        per_class: Take the first so many of each category; None takes all.

    Raises:
        DataError: An argument makes no sense.
    """

    suffix: ClassVar[str]
    contents: ClassVar[str]
    """What the files hold, for messages."""

    def __init__(self, root: str | Path, categories: Sequence[str] | None = None, per_class: int | None = None) -> None:
        self.root = Path(root).expanduser()
        self.categories = checked_categories(categories)
        self.per_class = checked_per_class(per_class)

    def identity(self) -> JSON:
        """See `ImageSource`."""
        return {"files": self.files(), "per_class": self.per_class}

    def files(self) -> list[Any]:
        """See `ImageSource`."""
        return file_identity(self.root, self.category_files().values())

    def category_files(self) -> dict[str, Path]:
        """The file of each category, in label order.

        Raises:
            DataError: There is none, or not one that was named.
        """
        name, kind = type(self).__name__, f".{self.suffix}"
        present = {path.stem: path for path in sorted(self.root.glob(f"*{kind}")) if not path.name.startswith(".")}
        if not present:
            raise DataError(
                f"{name}: no CATEGORY{kind} in {self.root}. Set data.root to the folder of {self.contents}."
            )
        for category in self.categories or ():
            if category not in present:
                hint = nearest(category, present)
                raise DataError(f"{name}: no {category}{kind} in {self.root}. {hint}".rstrip())
        return {category: present[category] for category in self.categories or present}
