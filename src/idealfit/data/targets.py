"""What is learned of each image, from its class, its labels or its pixels, as the `task` of a config says."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from idealfit.data.source import Labels
from idealfit.spec import DataError, nearest
from idealfit.tasks import BINARY, MULTI_CLASS, MULTI_LABEL, TASKS, UNIT_REGRESSION

BRIGHTNESS = "brightness"
Values = NDArray[np.int64] | NDArray[np.float32]
Moments = NDArray[np.int64]
"""`[N, C, 2]`: sum and sum of squares of each image's pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets(ABC):
    """What a task makes of the labels of a data set.

    Attributes:
        task: Its name.
        class_names: What is told apart, or what is measured, in the order of the outputs.
        num_outputs: Of the network.
    """

    task: str
    class_names: tuple[str, ...]
    num_outputs: int

    @abstractmethod
    def __call__(self, labels: Labels, moments: Moments, num_pixels: int) -> Values:
        """Targets of these images: int64 `[N]`, the class of each, or float32 `[N, num_outputs]`.

        Args:
            labels: int64 `[N]`, the classes of the source.
            moments: Of the images.
            num_pixels: Of one channel of an image.
        """


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _OfClasses(Targets):
    """Each class of the source has its own row of the table."""

    table: Values

    def __call__(self, labels: Labels, moments: Moments, num_pixels: int) -> Values:
        return self.table[labels]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Brightness(Targets):
    """The mean of an image's pixels, over all channels; 0 is black, 1 white."""

    def __call__(self, labels: Labels, moments: Moments, num_pixels: int) -> Values:
        means: NDArray[np.float64] = moments[:, :, 0].sum(axis=1) / (moments.shape[1] * num_pixels * 255.0)
        return means.astype(np.float32)[:, np.newaxis]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Labels(Targets):
    """The labels that an image has in the source."""

    def __call__(self, labels: Labels, moments: Moments, num_pixels: int) -> Values:
        return labels.astype(np.float32)


def make_targets(
    node: Mapping[str, Any], class_names: Sequence[str], *, has_pixels: bool = True, has_labels: bool = False
) -> Targets:
    """What the `task` node of a config means for data of these classes.

    Args:
        node: Of the config.
        class_names: Of the source.
        has_pixels: Whether its images are pictures.
        has_labels: Whether each image has any number of labels, and not one class.

    Raises:
        DataError: It names a class that is not there, leaves one without a number, or wants what images do not have.
    """
    task = node.get("name", MULTI_CLASS)
    names = tuple(class_names)
    is_of_pixels = node.get("target") == BRIGHTNESS
    if has_labels and not is_of_pixels:
        if task != MULTI_LABEL or node.get("labels"):
            raise DataError(
                f"these data have any number of labels for each image ({', '.join(names[:3])}, ...) and no classes: "
                "take task=multi_label, without task.labels."
            )
        return _Labels(task=task, class_names=names, num_outputs=len(names))
    if task == MULTI_CLASS:
        return _OfClasses(task=task, class_names=names, num_outputs=len(names), table=np.arange(len(names)))
    if task == BINARY:
        return _binary(node.get("positive"), names)
    if task == MULTI_LABEL:
        return _multi_label(node.get("labels") or {}, names)
    if is_of_pixels:
        if not has_pixels:
            raise DataError(
                "task.target=brightness: these data are no pictures, so they have no brightness. Take "
                "pictures (data=quickdraw or quickdraw_raster), or task.target=class_value with task.values."
            )
        return _Brightness(task=task, class_names=(BRIGHTNESS,), num_outputs=1)
    return _numbers(task, node.get("values") or {}, names)


def _binary(positive: Sequence[str] | None, names: tuple[str, ...]) -> Targets:
    if positive is None and len(names) != 2:
        raise DataError(
            f"task=binary: which of the {len(names)} classes are the positive ones? Name them, e.g. "
            f"task.positive=[{names[1]}], or take two classes."
        )
    chosen = _known(positive or names[1:], names, "task.positive")
    if len(chosen) == len(names) or not chosen:
        raise DataError(
            f"task.positive must name some of the classes and leave some, got {len(chosen)} of {len(names)}"
        )
    rest = [name for name in names if name not in chosen]
    told = (_joined(rest), _joined([name for name in names if name in chosen]))
    table = np.array([[name in chosen] for name in names], dtype=np.float32)
    return _OfClasses(task=BINARY, class_names=told, num_outputs=1, table=table)


def _multi_label(labels: Mapping[str, Sequence[str]], names: tuple[str, ...]) -> Targets:
    if not labels:
        raise DataError(
            "task=multi_label: these data have one class for each image and no labels of their own. Say by task.labels "
            f"which classes have each label, e.g. task.labels={{first: [{names[0]}, {names[1]}]}}; for digits take "
            "task=digit_traits."
        )
    having = {label: _known(classes, names, f"task.labels.{label}") for label, classes in labels.items()}
    for label, classes in having.items():
        if not 0 < len(classes) < len(names):
            raise DataError(f"task.labels.{label} must name some of the classes and leave some, got {list(classes)}")
    table = np.array([[name in classes for classes in having.values()] for name in names], dtype=np.float32)
    return _OfClasses(task=MULTI_LABEL, class_names=tuple(having), num_outputs=len(having), table=table)


def _numbers(task: str, values: Mapping[str, float], names: tuple[str, ...]) -> Targets:
    _known(values, names, "task.values")
    by_name = _by_name(names)
    given = {by_name[str(name)]: value for name, value in values.items()}
    numbers = [_number(name, given, task) for name in names]
    if len(set(numbers)) < 2:
        raise DataError(f"task={task}: all classes have the number {numbers[0]:g}, so there is nothing to learn")
    table = np.array(numbers, dtype=np.float32)[:, np.newaxis]
    return _OfClasses(task=task, class_names=("class_value",), num_outputs=1, table=table)


def _number(name: str, values: Mapping[str, float], task: str) -> float:
    if values and name not in values:
        raise DataError(f"task={task}: class {name!r} has no number in task.values, which must give one to each class")
    try:
        number = float(values[name] if values else name.partition(" - ")[0])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(
            f"task={task}: class {name!r} is no number. Give one to each class, task.values={{{name}: 1.0, ...}}, or "
            "take task.target=brightness."
        )
    if task == UNIT_REGRESSION and not 0 <= number <= 1:
        raise DataError(
            f"task={task} learns numbers between 0 and 1, and class {name!r} has {number:g}. Give each class one by "
            f"task.values, or take task=regression, which {TASKS['regression'].row.partition(' ')[2]}."
        )
    return number


def _known(chosen: Sequence[str] | Mapping[str, Any], names: Sequence[str], key: str) -> set[str]:
    if isinstance(chosen, str) or not isinstance(chosen, Sequence | Mapping):
        raise DataError(f"{key} must be a list of classes, got {chosen!r}")
    by_name = _by_name(names)
    for name in map(str, chosen):
        if name not in by_name:
            raise DataError(f"{key}: there is no class {name!r}. {nearest(name, by_name)}".rstrip())
    return {by_name[str(name)] for name in chosen}


def _by_name(names: Sequence[str]) -> dict[str, str]:
    """Each class by its name, and by what stands before a dash: torchvision calls a digit `3 - three`."""
    return {**{name.partition(" - ")[0]: name for name in names}, **{name: name for name in names}}


def _joined(names: Sequence[str]) -> str:
    """A name for several classes, of bounded length."""
    return names[0] if len(names) == 1 else " ".join(names) if len(names) <= 5 else f"{' '.join(names[:4])} ..."


def check_targets(targets: Values, task: str) -> None:
    """Check that the targets of training images are not all the same.

    Raises:
        DataError: They are, so there is nothing to learn.
    """
    if targets.ndim == 2 and np.all(targets == targets[:1]):
        raise DataError(f"task={task}: all training images have the same target {targets[0].tolist()}")
