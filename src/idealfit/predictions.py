"""What a trained network says of the validation images: kept in the record, so that pictures need no network."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idealfit.spec import StudyError

MAX_SCORES = 2_000_000  # of all images and classes together: 4 MB
NUM_WORST = 24
MAX_SIDE_PX = 96  # of a kept image
_KINDS = {
    "labels": "iu",
    "predicted": "iu",
    "scored": "iu",
    "scores": "f",
    "worst": "iu",
    "worst_images": "u",
    "kernels": "f",
    "saliency": "u",
    "feature_maps": "u",
    "neighbours": "u",
}
_LOOKED = {"saliency": 3, "feature_maps": 3, "neighbours": 5}  # dimensions
_NEWER = ("kernels", *_LOOKED)  # records of older versions have none


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """The validation images as the best weights see them.

    Attributes:
        labels: Integers `[N]`: the right class of each image.
        predicted: Integers `[N]`: the class with the highest score.
        scored: Integers `[M]`: the images whose scores are kept; all, unless that were over `MAX_SCORES` numbers.
        scores: float16 `[M, num_classes]`: a probability for each class.
        worst: Integers `[W]`: the images with the least probability of their right class, the least first.
        worst_images: uint8 `[W, C, H, W]`.
        kernels: float16 `[K, C, h, w]`: the weights of the network's first layer; none where it sees no pixels.
        saliency: uint8 `[W, H, W]`, with `trainer.look`: how much each pixel of the worst images counts for the class
            that was given; of each image the largest is 255.
        feature_maps: uint8 `[M, h, w]`, likewise: what the first convolution makes of the very worst image.
        neighbours: uint8 `[N, 1 + k, C, H, W]`, likewise: some of the worst images, each with the nearest of training.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    scored: NDArray[np.int64]
    scores: NDArray[np.float16]
    worst: NDArray[np.int64]
    worst_images: NDArray[np.uint8]
    kernels: NDArray[np.float16] = field(default_factory=lambda: np.empty((0, 1, 1, 1), np.float16))
    saliency: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 1, 1), np.uint8))
    feature_maps: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 1, 1), np.uint8))
    neighbours: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 1, 1, 1, 1), np.uint8))

    @property
    def num_classes(self) -> int:
        """Classes that the network tells apart."""
        return int(self.scores.shape[1])

    def write(self, path: Path) -> None:
        """Replace `path` in one step; the numbers are compressed, and nothing is pickled."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                arrays: dict[str, Any] = {item.name: _smallest(getattr(self, item.name)) for item in fields(self)}
                np.savez_compressed(file, **arrays)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path) -> Predictions | None:
        """What `write` wrote; None where there is no such file, as in records of older versions.

        Raises:
            StudyError: It is damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                found = {name: archive[name] for name in _KINDS if name in archive or name not in _NEWER}
            _check(found)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, MemoryError) as error:
            raise StudyError(f"{path} is damaged: {error}") from error
        integers = {name: array.astype(np.int64) for name, array in found.items() if _KINDS[name] == "iu"}
        return cls(**{**found, **integers})

    @classmethod
    def joined(cls, several: Sequence[Predictions]) -> Predictions:
        """The images of several runs one after the other, an image as often as it was scored.

        Of the worst ones each run gives its own worst first, then its second, until there are enough.
        The first layer, feature maps and neighbours are those of the first run.
        """
        starts = np.cumsum([0, *(len(each.labels) for each in several)])[:-1]
        num_images = sum(len(each.labels) for each in several)
        scored = np.concatenate([start + each.scored for start, each in zip(starts, several, strict=True)])
        scores = np.concatenate([each.scores for each in several])
        kept = np.linspace(0, len(scored) - 1, min(len(scored), len(kept_scores(num_images, scores.shape[1]))))
        rows = kept.round().astype(np.int64)
        places = range(NUM_WORST)
        worst = [(run, place) for place in places for run, each in enumerate(several) if place < len(each.worst)]
        worst = worst[:NUM_WORST]
        return cls(
            labels=np.concatenate([each.labels for each in several]),
            predicted=np.concatenate([each.predicted for each in several]),
            scored=scored[rows],
            scores=scores[rows],
            worst=np.array([starts[run] + several[run].worst[place] for run, place in worst], dtype=np.int64),
            worst_images=np.stack([several[run].worst_images[place] for run, place in worst]),
            kernels=several[0].kernels,
            saliency=np.stack([several[run].saliency[place] for run, place in worst])
            if all(len(each.saliency) == len(each.worst) for each in several)
            else several[0].saliency[:0],
            feature_maps=several[0].feature_maps,
            neighbours=several[0].neighbours,
        )


def kept_scores(num_images: int, num_classes: int) -> NDArray[np.int64]:
    """The images whose scores are kept: all, or as many as `MAX_SCORES` allows, evenly spread."""
    num_kept = max(1, min(num_images, MAX_SCORES // num_classes))
    return np.linspace(0, num_images - 1, num_kept).round().astype(np.int64)


def _smallest(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return array.astype(np.int32) if array.dtype == np.int64 else array


def _check(found: dict[str, NDArray[np.generic]]) -> None:
    """Check kinds and shapes, so that a reader meets no surprise.

    Raises:
        ValueError: Something does not fit.
    """
    for name, kinds in _KINDS.items():
        if name in found and found[name].dtype.kind not in kinds:
            raise ValueError(f"{name} can't be {found[name].dtype}")
    num_images = len(found["labels"])
    scores, images = found["scores"], found["worst_images"]
    if scores.ndim != 2 or images.ndim != 4 or any(found[name].ndim != 1 for name in ("labels", "scored", "worst")):
        raise ValueError("its arrays have other dimensions than they should")
    kernels = found.get("kernels")
    if kernels is not None and (kernels.ndim != 4 or not np.isfinite(kernels).all()):
        raise ValueError("kernels must be finite and have four dimensions")
    for name in sorted(_LOOKED.keys() & found.keys()):
        _check_dimensions(name, found[name])
    same = [("predicted", num_images), ("scores", len(found["scored"])), ("worst_images", len(found["worst"]))]
    for name, length in same:
        if len(found[name]) != length:
            raise ValueError(f"{name} has {len(found[name])} rows where {length} belong")
    limits = {"labels": scores.shape[1], "predicted": scores.shape[1], "scored": num_images, "worst": num_images}
    for name, limit in limits.items():
        values = found[name]
        if values.size and not (int(values.min()) >= 0 and int(values.max()) < limit):
            raise ValueError(f"{name} must lie in 0..{limit - 1}")


def _check_dimensions(name: str, array: NDArray[np.generic]) -> None:
    if array.ndim != _LOOKED[name]:
        raise ValueError(f"{name} must have {_LOOKED[name]} dimensions")
