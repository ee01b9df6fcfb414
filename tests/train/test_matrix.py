"""Every data set with every model: a pair trains a batch, small ones learn 32 images by heart, others say why not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from idealfit.config import Composer, group_options
from idealfit.models.estimators import Estimator
from idealfit.spec import JSON, ConfigError, Objective, SilentReporter
from idealfit.train import fit
from idealfit.train.parts import make_parts

NUM_IMAGES = 32
SMALL = {"linear", "mlp", "cnn", "lenet", "rnn", "knn", "svm", "forest"}
DATA = {
    "digits": [],
    "mnist": ["data.val_fraction=0.002"],
    "quickdraw": ["data.per_class=30"],
    "quickdraw_strokes": ["data.per_class=40", "data.categories=[cat,fish,line,stairs,triangle,square]"],
    "image_folder": ["data.root=pictures", "data.image_size=[40,72]"],
}
REFUSED = {
    ("digits", "lenet"): r"5x5 kernel is larger than .* 8x8 images",
    ("quickdraw_strokes", "lenet"): r"5x5 kernel is larger than .* 64x1 images",
    ("quickdraw_strokes", "googlenet"): r"its last pool finds nothing left of the 64x1 images; .* model=rnn",
    ("quickdraw_strokes", "cnn"): "3x3 kernel is larger than the 64x1 images",
}
BY_HEART = {"mlp": "optimizer.lr=0.01", "rnn": "optimizer.lr=0.01", "linear": "optimizer.lr=0.05"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A working directory with a folder of colour pictures: bars of three directions in noise."""
    folder = tmp_path_factory.mktemp("matrix")
    noise = np.random.default_rng(0)
    for number, name in enumerate(("across", "down", "none")):
        (folder / "pictures" / name).mkdir(parents=True)
        for index in range(70):
            pixels = noise.integers(0, 120, (48, 64, 3), dtype=np.uint8)
            bar = slice(8 + index % 30, 14 + index % 30)
            pixels[(bar if number == 0 else slice(None)), (bar if number == 1 else slice(None))] += 40 * (number < 2)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{index}.png")
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine two threads wait for each other far longer than one computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config(place: Path, data: str, model: str, *more: str) -> JSON:
    keys = [f"data={data}", f"model={model}", f"data.cache_dir={place}/cache", f"data.limit={NUM_IMAGES}"]
    keys += ["data.batch_size=16", "trainer.accelerator=cpu", *DATA[data], *more]
    return Composer("train", keys).trial_config()


def test_every_model_is_in_the_matrix() -> None:
    assert set(group_options("model")) >= SMALL | {"alexnet", "vgg", "googlenet", "resnet"}


@pytest.mark.parametrize("model", group_options("model"))
@pytest.mark.parametrize("data", DATA)
def test_every_pair_trains_a_batch_or_says_why_not(
    data: str, model: str, place: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDEALFIT_DATA", str(shared_data))
    monkeypatch.chdir(place)
    composed = config(place, data, model)
    if (data, model) in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[data, model]):
            make_parts(composed, objective=Objective(), trusted=[])
        return
    parts = make_parts(composed, objective=Objective(), trusted=[])
    images, labels = next(parts.data.train_batches(0))
    images, labels = images[:4], labels[:4]
    if isinstance(parts.net, Estimator):
        images, labels = (torch.cat(column) for column in zip(*parts.data.train_batches(0), strict=True))
        parts.net.fit(images, labels)
        assert parts.net(images).shape == (len(labels), parts.data.num_classes)
        return
    assert parts.optimizer is not None
    before = [parameter.detach().clone() for parameter in parts.net.parameters()]
    loss = parts.criterion(parts.net(images), labels)
    loss.backward()
    parts.optimizer.step()
    assert torch.isfinite(loss)
    moved = [not torch.equal(old, new) for old, new in zip(before, parts.net.parameters(), strict=True)]
    assert sum(moved) > 0.6 * len(moved), "all but what lies in the branches of a ResNet, which start at zero"


@pytest.mark.parametrize("model", sorted(SMALL))
@pytest.mark.parametrize("data", DATA)
def test_small_models_learn_32_images_by_heart(
    data: str, model: str, place: Path, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (data, model) in REFUSED:
        return
    monkeypatch.setenv("IDEALFIT_DATA", str(shared_data))
    monkeypatch.chdir(place)
    epochs = ["trainer.max_epochs=60", *filter(None, [BY_HEART.get(model)])]
    k = ["model.k=1"] if model == "knn" else ["model.c=100"] if model == "svm" else []
    curves = curves_of(config(place, data, model, *epochs, *k), tmp_path)
    assert max(curves["train/accuracy"]) == 1.0


def curves_of(composed: JSON, folder: Path) -> dict[str, list[float]]:
    """Train; a trial ends once it knows its images."""

    class Enough(SilentReporter):
        def report(self, epoch: int, value: float) -> bool:
            return value >= 1.0

    told: dict[str, Any] = {"reporter": Enough(), "stop": threading.Event(), "on_epoch": lambda *_: None}
    objective = Objective(metric="train/accuracy")
    return fit(composed, objective=objective, checkpoint_dir=folder, num_threads=1, **told).curves
