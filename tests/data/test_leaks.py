"""No image outside the training part has a say in what a network learns from: with other pixels there, all is the same.

Whether such a test would find a leak is tested too, with leaks that are planted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from idealfit.data import ImageArrays, ImageData, ImageSource, opening
from idealfit.data.cache import Decoded, open_decoded
from idealfit.data.split import Split, make_folds, make_split
from idealfit.models.dbn import DBN
from idealfit.models.whitening import Whitening
from idealfit.spec import JSON
from idealfit.train import pretraining
from idealfit.train.pretraining import pretrain
from idealfit.train.whitening import fit_whitening

Open = Callable[..., ImageData]
FOLDS = [None, (0, 3), (2, 3)]


class Tampered(ImageSource):
    """Another source with other pixels in all images but some, and in the published test images."""

    def __init__(self, source: ImageSource, spared: NDArray[np.int64]) -> None:
        self._source, self._spared = source, spared

    def identity(self) -> JSON:
        return {"of": self._source.identity(), "spared": self._spared.tolist()}

    def read(self) -> ImageArrays:
        arrays = self._source.read()
        images = 255 - arrays.images
        images[self._spared] = arrays.images[self._spared]
        test = None if arrays.test_images is None else 255 - arrays.test_images
        return replace(arrays, images=images, test_images=test)


def learned_from(data: ImageData) -> list[torch.Tensor]:
    """All that training may look at: its batches, and the constants of the normalisation."""
    batches = [tensor for epoch in (0, 1) for batch in data.train_batches(epoch) for tensor in batch]
    whitening = Whitening(data.image_shape, 0.1)
    fit_whitening(whitening, data)
    net = DBN(image_shape=data.image_shape, num_classes=10, depth=1, width=4, pretrain={"epochs": 1})
    pretrain(net, data, 0, threading.Event())
    layers = [parameter for layer in net.hidden_layers() for parameter in layer.parameters()]
    constants = torch.tensor([data.mean, data.std], dtype=torch.float64)
    return [*batches, constants, whitening.matrix, whitening.center, *layers]


def is_leaking(open_data: Open, source: ImageSource, fold: tuple[int, int] | None, *, limit: int | None = None) -> bool:
    """Whether what is learned from changes with images that are not for learning."""
    arrays = source.read()
    test: Any = {"test_fraction": 0.2 if arrays.test_images is None else 0, "seed": 0, "limit": limit}
    split = (
        make_folds(arrays.labels, arrays.class_names, folds=fold[1], **test)[fold[0]]
        if fold
        else make_split(arrays.labels, arrays.class_names, val_fraction=0.2, **test)
    )
    both = [source, Tampered(source, split.train)]
    one, other = (learned_from(open_data(each, fold=fold, limit=limit)) for each in both)
    return not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("num_test", [0, 9])
@pytest.mark.parametrize("limit", [None, 12])
def test_nothing_leaks(
    numbered: Any, open_data: Open, fold: tuple[int, int] | None, num_test: int, limit: int | None
) -> None:
    assert not is_leaking(open_data, numbered(num_test=num_test), fold, limit=limit)


@pytest.mark.parametrize("fold", FOLDS)
def test_a_planted_normalisation_of_all_images_is_found(
    numbered: Any, open_data: Open, fold: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Everything(np.ndarray[Any, np.dtype[np.int64]]):
        def __getitem__(self, key: Any) -> Any:
            return np.asarray(self)

    def leaky(source: ImageSource, cache_dir: Any) -> Decoded:
        decoded = open_decoded(source, cache_dir)
        return replace(decoded, moments=decoded.moments.view(Everything))

    monkeypatch.setattr(opening, "open_decoded", leaky)
    assert is_leaking(open_data, numbered(), fold)


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("fold", FOLDS)
def test_a_planted_image_in_the_training_part_is_found(
    numbered: Any, open_data: Open, fold: tuple[int, int] | None, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(split: Split) -> Split:
        return replace(split, train=np.append(split.train, getattr(split, part)[0]))

    monkeypatch.setattr(opening, "make_split", lambda *args, **kwargs: leaky(make_split(*args, **kwargs)))
    monkeypatch.setattr(opening, "make_folds", lambda *a, **kwargs: [leaky(each) for each in make_folds(*a, **kwargs)])
    assert is_leaking(open_data, numbered(), fold)


@pytest.mark.parametrize("fold", FOLDS)
def test_a_planted_whitening_by_all_images_is_found(
    numbered: Any, open_data: Open, fold: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageData, "train_pixels", lambda self: iter([self._images]))
    assert is_leaking(open_data, numbered(), fold)


@pytest.mark.parametrize("fold", FOLDS)
def test_planted_pre_training_by_validation_images_is_found(
    numbered: Any, open_data: Open, fold: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(data: ImageData, *_: Any) -> Iterator[torch.Tensor]:
        return (images.flatten(1).clamp(0, 1) for images, _ in data.eval_batches("val"))

    monkeypatch.setattr(pretraining, "_seen", leaky)
    assert is_leaking(open_data, numbered(), fold)
