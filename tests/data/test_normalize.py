from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from idealfit.data.cache import moments_of
from idealfit.data.normalize import Normalizer


def random_images(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 200, shape, dtype=np.uint8)


def test_mean_and_deviation_are_those_of_each_channel() -> None:
    images = random_images((5000, 3, 4, 6)) + np.array([0, 20, 50], np.uint8).reshape(1, 3, 1, 1)
    fitted = Normalizer.from_moments(moments_of(images), 24)
    assert np.allclose(fitted.mean, images.mean((0, 2, 3)), rtol=1e-12)
    assert np.allclose(fitted.std, images.std((0, 2, 3)), rtol=1e-12)
    batch = fitted(torch.from_numpy(images))
    assert batch.dtype == torch.float32
    assert batch.mean((0, 2, 3)).abs().max() < 1e-5
    assert (batch.std((0, 2, 3)) - 1).abs().max() < 1e-4


def test_it_is_the_textbook_formula() -> None:
    images = torch.from_numpy(random_images((7, 2, 3, 3)))
    mean, std = torch.tensor([10.0, 90.0]), torch.tensor([3.0, 70.0])
    expected = (images - mean.view(1, 2, 1, 1)) / std.view(1, 2, 1, 1)
    torch.testing.assert_close(Normalizer(mean.tolist(), std.tolist())(images), expected)


def test_a_constant_channel_becomes_zero() -> None:
    images = np.full((10, 1, 2, 2), 200, np.uint8)
    assert Normalizer.from_moments(moments_of(images), 4)(torch.from_numpy(images)).abs().max() < 1e-6


def test_the_input_stays_as_it_was() -> None:
    images = torch.from_numpy(random_images((4, 1, 2, 2)))
    before = images.clone()
    Normalizer([5.0], [2.0])(images)
    assert torch.equal(images, before)
