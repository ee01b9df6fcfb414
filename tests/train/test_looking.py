"""What the first layer looks for: found in every kind of network, kept with the predictions, drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from idealfit import models
from idealfit.pictures import first_layer
from idealfit.predictions import Predictions
from idealfit.spec import JSON, StudyError
from idealfit.train.looking import MAX_KERNELS, first_kernels


@pytest.mark.parametrize(
    ("net", "shape", "kernels"),
    [
        (models.Linear, (1, 28, 28), (10, 1, 28, 28)),
        (models.MLP, (3, 8, 8), (MAX_KERNELS, 3, 8, 8)),
        (models.CNN, (3, 32, 32), (16, 3, 3, 3)),
        (models.LeNet, (1, 28, 28), (6, 1, 5, 5)),
        (models.ResNet, (1, 28, 28), (MAX_KERNELS, 1, 3, 3)),
        (models.RNN, (1, 28, 28), (0, 1, 1, 1)),
        (models.Forest, (1, 8, 8), (0, 1, 1, 1)),
    ],
)
def test_the_first_layer_is_found(net: type[nn.Module], shape: tuple[int, int, int], kernels: tuple[int, ...]) -> None:
    found = first_kernels(net(image_shape=shape, num_classes=10), shape)
    assert found.shape == kernels
    assert not len(found) or np.abs(found).max() == 1.0


def test_the_templates_of_a_linear_classifier_look_like_their_digits(config: JSON, run: Callable[..., Any]) -> None:
    """On the pixels where its digit has more ink than the others have, a template is positive."""
    config["model"] = {"_target_": "idealfit.models.Linear"}
    config["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 0.05}
    config["trainer"]["max_epochs"] = 10
    predictions = run(config).result.predictions
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    for digit in range(10):
        more_ink = images[labels == digit].mean(axis=0) - images[labels != digit].mean(axis=0)
        assert np.corrcoef(more_ink, predictions.kernels[digit].ravel().astype(float))[0, 1] > 0.3


def test_kernels_are_kept_with_the_predictions(config: JSON, run: Callable[..., Any], tmp_path: Path) -> None:
    predictions = run(config).result.predictions
    path = tmp_path / "predictions.npz"
    predictions.write(path)
    again = Predictions.read(path)
    assert again is not None
    assert np.array_equal(again.kernels, predictions.kernels)
    with np.load(path) as archive:
        older = {name: archive[name] for name in archive.files if name != "kernels"}
    np.savez(path, **older)
    read = Predictions.read(path)
    assert read is not None
    assert len(read.kernels) == 0, "a record of an older version has none"
    replace(predictions, kernels=np.full((1, 1, 2, 2), np.nan, np.float16)).write(path)
    with pytest.raises(StudyError, match="kernels must be finite"):
        Predictions.read(path)


@pytest.mark.parametrize("shape", [(10, 1, 28, 28), (16, 3, 3, 3), (64, 4, 5, 7), (1, 1, 1, 1), (10, 1, 8, 8)])
def test_a_picture_of_any_first_layer_is_drawn(tmp_path: Path, shape: tuple[int, ...]) -> None:
    kernels = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float16)
    first_layer(kernels, list("0123456789"), tmp_path / "a.png", "digits/3")
    with Image.open(tmp_path / "a.png") as image:
        colours = image.convert("RGB").getcolors(1_000_000)
    assert colours is not None
    assert len(colours) > min(20, 2 * kernels.size)
    first_layer(np.empty((0, 1, 1, 1), np.float16), [], tmp_path / "none.png", "digits/3")
    assert not (tmp_path / "none.png").exists()
