"""Every data set, model and task: each trains a batch, small ones learn 32 images by heart, others say why not."""

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
from idealfit.spec import JSON, ConfigError, DataError, Objective, SilentReporter
from idealfit.study.objective import default_objective
from idealfit.tasks import TASKS
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
ESTIMATORS = {"knn", "svm", "forest"}
ODD, TRAITS = "task.positive=[1,3,5,7,9]", "task.labels={even: [0,2,4,6,8], loop: [0,6,8,9]}"
OF_DATA: dict[str, dict[str, list[str]]] = {  # what each task needs to know of each data set
    "digits": {"binary": [ODD], "multi_label": [TRAITS], "regression": []},
    "mnist": {"binary": [ODD], "multi_label": [TRAITS], "regression": []},
    "quickdraw": {
        "binary": ["task.positive=[cat]"],
        "multi_label": ["task.labels={alive: [cat, fish], drawn: [cat, apple]}"],
        "regression": ["task.target=brightness"],
    },
    "quickdraw_strokes": {
        "binary": ["task.positive=[cat, fish]"],
        "multi_label": ["task.labels={alive: [cat, fish], corners: [stairs, triangle, square]}"],
        "regression": ["task.values={cat: 9, fish: 7, line: 2, stairs: 4, triangle: 3, square: 4.5}"],
    },
    "image_folder": {
        "binary": ["task.positive=[across]"],
        "multi_label": ["task.labels={bar: [across, down], none: [none]}"],
        "regression": ["task.values={across: 0, down: 1, none: -1}"],
        "unit_regression": ["task.target=class_value", "task.values={across: 0, down: 1, none: 0.5}"],
    },
}
NOT_OF_DATA = {  # tasks that make no sense of some data, without what OF_DATA says
    ("digits", "binary"): "which of the 10 classes are the positive ones",
    ("mnist", "multi_label"): "no labels of their own",
    ("quickdraw", "regression"): r"class '\w+' is no number",
    ("image_folder", "regression"): "class 'across' is no number",
    ("quickdraw_strokes", "unit_regression"): "these data are no pictures, so they have no brightness",
}
OTHER_TASKS = [name for name in TASKS if name != "multi_class"]
LEARNED = {"binary": 1.0, "multi_label": 1.0, "regression": 0.9, "unit_regression": 0.9}  # accuracy, exact match, r2
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


def config(place: Path, data: str, model: str, *more: str, task: str = "multi_class") -> JSON:
    keys = [
        f"task={task}",
        *OF_DATA[data].get(task, []),
        f"data={data}",
        f"model={model}",
        f"data.cache_dir={place}/cache",
        f"data.limit={NUM_IMAGES}",
    ]
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


@pytest.mark.parametrize("task", OTHER_TASKS)
@pytest.mark.parametrize("model", group_options("model"))
@pytest.mark.parametrize("data", DATA)
def test_every_triple_trains_a_batch_or_says_why_not(
    data: str, model: str, task: str, place: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDEALFIT_DATA", str(shared_data))
    monkeypatch.chdir(place)
    composed = config(place, data, model, task=task)
    refusal = refused_task(data, model, task) or REFUSED.get((data, model))
    if refusal:
        with pytest.raises((ConfigError, DataError), match=refusal):
            make_parts(composed, objective=default_objective(composed), trusted=[])
        return
    parts = make_parts(composed, objective=default_objective(composed), trusted=[])
    images, labels = next(parts.data.train_batches(0))
    assert labels.shape == (16, parts.data.num_outputs)
    if isinstance(parts.net, Estimator):
        images, labels = (torch.cat(column) for column in zip(*parts.data.train_batches(0), strict=True))
        parts.net.fit(images, labels)
        assert parts.net(images).shape == labels.shape
        return
    before = [parameter.detach().clone() for parameter in parts.net.parameters()]
    loss = parts.criterion(parts.net(images), labels)
    loss.backward()
    parts.stepper.step()
    assert torch.isfinite(loss)
    assert any(not torch.equal(old, new) for old, new in zip(before, parts.net.parameters(), strict=True))


def refused_task(data: str, model: str, task: str) -> str:
    if (data, task) == ("quickdraw_strokes", "unit_regression"):
        return NOT_OF_DATA[data, task]
    is_of_classes = TASKS[task].is_of_classes
    return "" if is_of_classes or model not in ESTIMATORS else f"gives each image one class, and task={task}"


@pytest.mark.parametrize(("data", "task"), NOT_OF_DATA)
def test_a_task_that_data_leave_open_is_refused(
    data: str, task: str, place: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDEALFIT_DATA", str(shared_data))
    monkeypatch.chdir(place)
    monkeypatch.setitem(OF_DATA, data, {})
    composed = config(place, data, "mlp", task=task)
    with pytest.raises(DataError, match=NOT_OF_DATA[data, task]):
        make_parts(composed, objective=default_objective(composed), trusted=[])


@pytest.mark.parametrize("task", OTHER_TASKS)
@pytest.mark.parametrize("model", sorted(SMALL))
@pytest.mark.parametrize("data", DATA)
def test_small_models_learn_each_task_by_heart(
    data: str, model: str, task: str, place: Path, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (data, model) in REFUSED or refused_task(data, model, task):
        return
    monkeypatch.setenv("IDEALFIT_DATA", str(shared_data))
    monkeypatch.chdir(place)
    keys = ["trainer.max_epochs=150"]
    if task.endswith("regression"):
        is_few = task == "regression" or data == "digits"  # pixels: a linear model takes larger steps
        rate = {"linear": 0.03 if is_few else 0.003, "cnn": 0.01, "rnn": 0.01}.get(model, 0.003)
        keys += ["scheduler=cosine", f"optimizer.lr={rate}"]
    else:
        keys += [BY_HEART.get(model, "optimizer.lr=0.005")]
    keys += ["model.k=1"] if model == "knn" else ["model.c=100"] if model == "svm" else []
    metric = {"binary": "train/accuracy", "multi_label": "train/exact_match"}.get(task, "train/r2")
    composed = config(place, data, model, *keys, task=task)
    curves = curves_of(composed, tmp_path, metric, enough=LEARNED[task])
    assert max(curves[metric]) >= LEARNED[task]


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


def curves_of(
    composed: JSON, folder: Path, metric: str = "train/accuracy", enough: float = 1.0
) -> dict[str, list[float]]:
    """Train; a trial ends once it knows its images."""

    class Enough(SilentReporter):
        def report(self, epoch: int, value: float) -> bool:
            return value >= enough

    told: dict[str, Any] = {"reporter": Enough(), "stop": threading.Event(), "on_epoch": lambda *_: None}
    objective = Objective(metric=metric)
    return fit(composed, objective=objective, checkpoint_dir=folder, num_threads=1, **told).curves
