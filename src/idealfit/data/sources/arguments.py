"""Checks of arguments that several sources, or all data sets, have."""

from __future__ import annotations

from collections.abc import Sequence

from idealfit.spec import DataError


def checked_categories(categories: Sequence[str] | None) -> tuple[str, ...] | None:
    """The categories as strings.

    Raises:
        DataError: There are fewer than two, or one comes twice.
    """
    if categories is None:
        return None
    names = (categories,) if isinstance(categories, str) else tuple(map(str, categories))
    if len(names) < 2 or len(set(names)) < len(names):
        raise DataError(f"data.categories must name at least 2 categories, each once, got {list(names)}")
    return names


def checked_per_class(per_class: int | None) -> int | None:
    """The same number.

    Raises:
        DataError: It is not a whole number from 1 up.
    """
    if per_class is None or (isinstance(per_class, int) and not isinstance(per_class, bool) and per_class > 0):
        return per_class
    raise DataError(f"data.per_class must be a whole number from 1 up, or null for all, got {per_class!r}")


def checked_whole(name: str, value: int, low: int | None = 1) -> int:
    """The same number.

    Args:
        name: Its key under `data`.
        value: What was got.
        low: The least that is taken; None takes any.

    Raises:
        DataError: It is no whole number, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or (low is not None and value < low):
        what = "a whole number" if low is None else f"a whole number from {low} up"
        raise DataError(f"data.{name} must be {what}, got {value!r}")
    return value


def checked_size(image_size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width.

    Raises:
        DataError: They are no numbers of pixels.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    whole = all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in size)
    if len(size) != 2 or not whole:
        raise DataError(f"data.image_size must be a number of pixels or [height, width], got {image_size!r}")
    return size[0], size[1]
