"""Which pixels count, what a layer makes of an image, who the neighbours are: found, kept, drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from idealfit import models, train
from idealfit.predictions import Predictions
from idealfit.record import Record
from idealfit.spec import JSON, ConfigError, Objective
from idealfit.train.looking import feature_maps, neighbours, saliency
from idealfit.train.parts import make_parts

CNN = {"_target_": "idealfit.models.CNN", "depth": 1, "width": 4}


def as_they_are(images: Tensor) -> Tensor:
    return images


def test_a_planted_pixel_is_what_counts() -> None:
    net = models.Linear(image_shape=(1, 4, 4), num_classes=3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.layers[-1].weight[2, 6] = 5.0
        net.layers[-1].weight[2, 9] = -1.0
    found = saliency(net.eval(), torch.full((2, 1, 4, 4), 1.0), as_they_are)
    assert found.shape == (2, 4, 4)
    assert found[0].flatten().tolist() == [5.0 if place == 6 else 1.0 if place == 9 else 0.0 for place in range(16)]


def test_maps_are_what_the_first_kernels_make() -> None:
    conv = nn.Conv2d(1, 2, 1, bias=False)
    with torch.no_grad():
        conv.weight[:, 0, 0, 0] = torch.tensor([2.0, -1.0])
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(18, 2))
    image = torch.arange(9.0).view(1, 1, 3, 3)
    maps = feature_maps(net, image, as_they_are)
    assert torch.equal(maps[0], 2 * image[0, 0])
    assert not maps[1].any(), "a negative answer is none"
    assert len(feature_maps(nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), image, as_they_are)) == 0


def test_neighbours_are_the_training_images_that_vote() -> None:
    net = models.KNN(image_shape=(1, 1, 2), num_classes=2, k=2)
    images = torch.tensor([[0.0, 0.0], [5.0, 5.0], [1.0, 1.0]]).view(3, 1, 1, 2)
    net.fit(images, torch.tensor([0, 1, 0]))
    found = neighbours(net, torch.full((1, 1, 1, 2), 0.9))
    assert found[0].flatten(1).mean(dim=1).tolist() == pytest.approx([0.9, 1.0, 0.0])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (CNN, {"saliency": (24, 8, 8), "feature_maps": (4, 8, 8), "neighbours": (0, 1, 1, 1, 1)}),
        ({"_target_": "idealfit.models.RNN"}, {"saliency": (24, 8, 8), "feature_maps": (0, 1, 1)}),
        ({"_target_": "idealfit.models.KNN", "k": 3}, {"saliency": (0, 1, 1), "neighbours": (6, 4, 1, 8, 8)}),
    ],
)
def test_what_was_seen_is_kept_with_the_predictions(
    config: JSON, run: Callable[..., Any], tmp_path: Path, model: JSON, expected: JSON
) -> None:
    config["model"] = model
    plain = run(config, "plain").result.predictions
    assert not len(plain.saliency)
    assert not len(plain.feature_maps)
    assert not len(plain.neighbours)
    config["trainer"]["look"] = True
    found = run(config, "looked").result.predictions
    assert np.array_equal(found.predicted, plain.predicted), "looking changes nothing"
    found.write(tmp_path / "predictions.npz")
    again = Predictions.read(tmp_path / "predictions.npz")
    assert again is not None
    assert {name: getattr(again, name).shape for name in expected} == expected
    assert all(image.max() == 255 for image in again.saliency)
    joined = Predictions.joined([again, again])
    assert joined.saliency.shape == again.saliency.shape
    assert not len(Predictions.joined([again, plain]).saliency)


def test_pictures_lie_with_the_run_that_looked(in_tmp_dir: Path) -> None:
    few = ["data.limit=200", "trainer.max_epochs=1", "trainer.look=true", "tracking=none"]
    drawn = {"saliency.png", "feature_maps.png", "nearest_neighbours.png"}
    for model, wanted in (
        ("cnn", {"saliency.png", "feature_maps.png"}),
        ("mlp", {"saliency.png"}),
        ("knn", {"nearest_neighbours.png"}),
    ):
        folder = Record(train(f"model={model}", *few, quiet=True).record_dir).pictures_dir
        assert {path.name for path in folder.iterdir()} & drawn == wanted
        for name in wanted:
            with Image.open(folder / name) as image:
                assert len(image.convert("RGB").getcolors(1_000_000) or ()) > 20


def test_what_shows_nothing_is_refused(config: JSON) -> None:
    config["trainer"]["look"] = True
    config["model"] = {"_target_": "idealfit.models.SVM"}
    with pytest.raises(ConfigError, match=r"trainer.look: model SVM has neither a gradient nor images as neighbours"):
        make_parts(config, objective=Objective(), trusted=[])
