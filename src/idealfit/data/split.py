"""Which images train, validate and test: pure, stratified, from one seed, and hashed so that two runs can be compared.

Everything rests on one order: images shuffled, then interleaved so that every prefix holds the classes in their shares.
A part of any size is a prefix. So totals are exact, and a larger `limit` keeps the images of a smaller one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from idealfit.spec import DataError

Indices = NDArray[np.int64]
_TEST, _VAL, _LIMIT, _EVAL_TRAIN, _FOLDS = range(5)  # each draws from a stream of its own, so that none moves another


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of images, each array sorted.

    Attributes:
        train: What a trial learns from, at most `limit` images.
        val: What it is scored on.
        test: Locked away; empty where the source has a published test set.
        eval_train: A fixed part of `train`, as large as `val` where there are that many: the gap is measured on it.
        sha256: Hash of `train`, `val` and `test`; of a fold that of all folds together.
    """

    train: Indices
    val: Indices
    test: Indices
    eval_train: Indices
    sha256: str


def make_split(
    labels: Indices,
    class_names: Sequence[str],
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    limit: int | None = None,
) -> Split:
    """Split the images with these `labels`, every class in every part.

    Args:
        labels: int64 `[N]`, indices into `class_names`.
        class_names: One name for each class.
        val_fraction: Share of what is not test, between 0 and 1.
        test_fraction: Share of all images; 0 where a test set is published.
        seed: The same seed, labels and fractions give the same parts.
        limit: Keep this many of the training images; validation and test parts stay the same.

    Raises:
        DataError: A class has too few images for the parts, or `limit` is smaller than the number of classes.
    """
    num_classes = len(class_names)
    _check_counts(np.bincount(labels, minlength=num_classes), class_names, num_parts=3 if test_fraction else 2)
    _check_limit(limit, num_classes)
    test, rest = _take_test(labels, num_classes, test_fraction, seed)
    count = _clamp(round(val_fraction * len(rest)), num_classes, len(rest) - num_classes)
    val, train = _take(rest, labels, count, (seed, _VAL), keep=1)
    if limit is not None:
        train, _ = _take(train, labels, limit, (seed, _LIMIT))
    eval_train, _ = _take(train, labels, len(val), (seed, _EVAL_TRAIN))
    return Split(train, val, test, eval_train, _hash(train, val, test))


def make_folds(
    labels: Indices,
    class_names: Sequence[str],
    *,
    folds: int,
    test_fraction: float,
    seed: int,
    limit: int | None = None,
) -> list[Split]:
    """Split the images with these `labels` once for each fold, which validates while all others train.

    The test part is that of `make_split`, and in no fold. Folds are stratified and differ by at most one image.

    Args:
        labels: int64 `[N]`, indices into `class_names`.
        class_names: One name for each class.
        folds: How many.
        test_fraction: Share of all images; 0 where a test set is published.
        seed: The same seed, labels and numbers give the same folds.
        limit: Keep this many training images in each fold.

    Raises:
        DataError: A class has fewer images than there are folds, or `limit` is smaller than the number of classes.
    """
    num_classes = len(class_names)
    _check_limit(limit, num_classes)
    test, rest = _take_test(labels, num_classes, test_fraction, seed)
    counts = np.bincount(labels[rest], minlength=num_classes)
    if counts.min() < folds:
        smallest = int(counts.argmin())
        kept_back = f", without the test part of data.test_fraction={test_fraction}" if test_fraction else ""
        raise DataError(
            f"protocol.folds={folds} is more than the {counts.min()} images of class {class_names[smallest]!r}"
            f"{kept_back}: every fold needs one of each class. Take fewer folds, or add images."
        )
    shuffled = _state(seed, _FOLDS).permutation(rest)
    # Class by class, dealt out like cards: no fold gets more than one image more of any class, nor of all.
    fold = np.arange(len(rest)) % folds
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    made = []
    for index in range(folds):
        val, train = np.sort(by_class[fold == index]), np.sort(by_class[fold != index])
        if limit is not None:
            train, _ = _take(train, labels, limit, (seed, _LIMIT))
        eval_train, _ = _take(train, labels, len(val), (seed, _EVAL_TRAIN))
        made.append(Split(train, val, test, eval_train, ""))
    sha256 = _hash(*(part for split in made for part in (split.train, split.val, split.test)))
    return [replace(split, sha256=sha256) for split in made]


def _take_test(labels: Indices, num_classes: int, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """The test part, and the rest with two images of each class at least."""
    everything: Indices = np.arange(len(labels), dtype=np.int64)
    if not fraction:
        return everything[:0], everything
    count = _clamp(round(fraction * len(labels)), num_classes, len(labels) - 2 * num_classes)
    return _take(everything, labels, count, (seed, _TEST), keep=2)


def _check_limit(limit: int | None, num_classes: int) -> None:
    if limit is not None and limit < num_classes:
        raise DataError(f"data.limit={limit} is fewer than the {num_classes} classes: one image of each is the least")


def strata(labels: Indices, class_names: Sequence[str], smallest: int = 4) -> tuple[Indices, tuple[str, ...]]:
    """What splits are stratified by: classes as they are; of any number of labels the rarest that an image has.

    Args:
        labels: int64 `[N]`, or 0 and 1 `[N, num_labels]`.
        class_names: One name for each class or label.
        smallest: What fewer images have is no stratum of its own, but joined with the others of that kind.

    Returns:
        int64 `[N]` and the names of the strata.
    """
    if labels.ndim == 1:
        return labels, tuple(class_names)
    counts = labels.sum(axis=0)
    rarest = np.where(labels > 0, counts, counts.max() + 1).argmin(axis=1)
    rarest[~labels.any(axis=1)] = len(class_names)
    sizes = np.bincount(rarest, minlength=len(class_names) + 1)
    large = np.flatnonzero(sizes >= smallest)
    if len(large) == 0:
        return np.zeros(len(labels), np.int64), ("all",)
    found = np.full(len(sizes), len(large))
    found[large] = np.arange(len(large))
    strata_of = found[rarest]
    names = [*class_names, "no label"]
    if 0 < (strata_of == len(large)).sum() < smallest:  # too few to be in every part
        strata_of[strata_of == len(large)] = int(sizes[large].argmax())
    rest = ("rare labels",) if (strata_of == len(large)).any() else ()
    return strata_of.astype(np.int64), (*(names[index] for index in large), *rest)


def with_validation(split: Split) -> Split:
    """The same, but that the validation images train too: for a last fit, when nothing is left to choose."""
    return replace(split, train=np.sort(np.concatenate([split.train, split.val])))


def _check_counts(counts: Indices, class_names: Sequence[str], num_parts: int) -> None:
    small = np.flatnonzero(counts < num_parts)
    if len(small):
        parts = "train, validation and test" if num_parts == 3 else "train and validation"
        names = ", ".join(f"{class_names[index]!r} ({counts[index]})" for index in small[:5])
        raise DataError(
            f"{len(small)} of {len(class_names)} classes have too few images for {parts}, which take "
            f"{num_parts} of each: {names}. Add images or leave the class out"
            + ("; data.test_fraction=0 needs one less." if num_parts == 3 else ".")
        )


def _clamp(count: int, low: int, high: int) -> int:
    return max(low, min(count, high))


def _take(
    indices: Indices, labels: Indices, count: int, seed: tuple[int, int], keep: int = 0
) -> tuple[Indices, Indices]:
    """`count` of `indices`, stratified, each class at least once, and the rest with at least `keep` of each class."""
    shuffled = _state(*seed).permutation(indices)
    by_class = np.argsort(labels[shuffled], kind="stable")
    sizes = np.bincount(labels[indices])
    size = np.repeat(sizes, sizes)  # of the class that each place of `by_class` belongs to
    place = np.arange(len(indices)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # 0 is a class's first
    when = (place + 0.5) / size
    when[place >= size - keep] = 2.0
    when[place == 0] = -1.0
    order = by_class[np.argsort(when, kind="stable")]
    return np.sort(shuffled[order[:count]]), np.sort(shuffled[order[count:]])


def _state(seed: int, stream: int) -> np.random.RandomState:
    # The legacy generator: numpy promises its stream for ever, and a split must outlive an upgrade.
    return np.random.RandomState([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, stream])


def _hash(*parts: Indices) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part.astype("<i8").tobytes())
    return digest.hexdigest()
