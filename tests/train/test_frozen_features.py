"""Estimators on the features of a trained network: what they see, what they keep, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from idealfit import models, sweep, train
from idealfit.models.frozen import Frozen
from idealfit.spec import JSON, ConfigError, Objective, UserError
from idealfit.train.parts import make_parts
from idealfit.train.transfer import build_network

SHAPE = (1, 8, 8)
CNN = {"_target_": "idealfit.models.CNN", "depth": 2, "width": 4, "batch_norm": True, "dropout": 0.5}
NETWORKS: list[nn.Module] = [
    models.MLP(image_shape=SHAPE, num_classes=10, dropout=0.5),
    models.CNN(image_shape=SHAPE, num_classes=10, dropout=0.5, batch_norm=True),
    models.RNN(image_shape=SHAPE, num_classes=10, cell="lstm", both_ways=True),
    models.ResNet(image_shape=SHAPE, num_classes=10, dropout=0.5),
]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a small network that was trained on 600 digits."""
    folder = tmp_path_factory.mktemp("earlier")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        run = train("model=mlp", "data.limit=600", "trainer.max_epochs=12", "tracking=none", quiet=True)
    return folder / run.record_dir


@pytest.mark.parametrize("net", NETWORKS, ids=lambda net: type(net).__name__)
def test_features_are_what_the_last_linear_layer_sees(net: nn.Module) -> None:
    seen: list[torch.Tensor] = []
    last = [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]
    images = torch.randn(5, *SHAPE)
    handle = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net.eval()(images)
    handle.remove()
    body = Frozen(net)
    assert body.train().net.training is False, "dropout and batch norm stand still"
    assert not any(parameter.requires_grad for parameter in body.parameters())
    assert torch.equal(body(images), seen[0])


@pytest.mark.parametrize("name", ["svm", "forest", "knn"])
def test_an_estimator_learns_from_the_features_of_a_run(earlier: Path, in_tmp_dir: Path, name: str) -> None:
    few = ["data.limit=60", "tracking=none"]
    pixels = train(f"model={name}", *few, quiet=True)
    features = train(f"model={name}", *few, f"model.weights={earlier}", quiet=True)
    better = features.result.summaries["best/val_accuracy"] - pixels.result.summaries["best/val_accuracy"]
    assert better > 0.02, "600 digits taught the network what 60 do not show"
    state = torch.load(Path(features.record_dir) / "checkpoints/best.pt", weights_only=True)
    assert state["images"].shape == (60, 128)
    assert features.result.facts["weights_sha256"]
    assert features.result.facts["num_params"] > 128 * 128


def test_an_estimator_comes_back_with_its_body(earlier: Path) -> None:
    node = {"_target_": "idealfit.models.SVM", "weights": str(earlier)}
    offered = {"image_shape": SHAPE, "num_classes": 10}
    first, second = (build_network(node, trusted=[], extra=offered) for _ in range(2))
    assert isinstance(first, models.SVM)
    images, labels = torch.randn(40, *SHAPE), torch.arange(40) % 10
    first.fit(images, labels)
    assert not torch.equal(first(images), second(images))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images), second(images))


def test_a_file_of_weights_needs_its_network(config: JSON, run: Callable[..., Any], tmp_path: Path) -> None:
    net = build_network(CNN, trusted=[], extra={"image_shape": SHAPE, "num_classes": 3})
    torch.save(net.state_dict(), tmp_path / "three.pt")
    node = {"_target_": "idealfit.models.KNN", "weights": str(tmp_path / "three.pt")}
    config["model"] = {**node, "body": CNN}
    assert run(config).result.curves["val/accuracy"][0] > 0.5, "random kernels tell digits apart as well"
    for change, message in (
        ({"body": None}, "does not say what network it is of. Name a run by its record"),
        ({"body": {**CNN, "width": 8}}, "is of another network than this CNN"),
        ({"body": node, "weights": None}, "model.body: without model.weights"),
        ({"body": {"_target_": "idealfit.models.SVM"}}, "is a SVM, which makes no features"),
        ({"body": {"_target_": "os.system"}}, "is not trusted"),
    ):
        config["model"] = {**node, "body": CNN, **change}
        with pytest.raises(UserError, match=message):
            make_parts(config, objective=Objective(), trusted=[])


@pytest.mark.parametrize("model", ["mlp", "svm"])
def test_weights_that_have_seen_validation_images_are_refused(earlier: Path, in_tmp_dir: Path, model: str) -> None:
    few = [f"model={model}", f"model.weights={earlier}", "data.limit=60", "trainer.max_epochs=1", "tracking=none"]
    for change, key in (
        (["data.split_seed=5"], "data.split_seed is 5 here and was 0"),
        (["data.val_fraction=0.3"], "data.val_fraction is 0.3 here"),
        (["protocol=kfold", "protocol.folds=3"], "protocol.folds is 3 here and was None"),
    ):
        with pytest.raises(ConfigError, match=f"has learned from images that validate or test here.*{key}"):
            train(*few, *change, quiet=True)
    assert train(*few, "seed=7", "data.split_seed=0", quiet=True).result.num_epochs == 1, "another seed is no leak"


def test_frozen_features_and_networks_share_a_study(earlier: Path, in_tmp_dir: Path) -> None:
    (in_tmp_dir / "sweeps").mkdir()
    (in_tmp_dir / "sweeps/variants.yaml").write_text(
        "defaults: [train, _self_]\n"
        "study:\n  budget: {trials: 6}\n  sampler: grid\n  pruner: none\n"
        f"  space:\n    model: choice(svm, forest, mlp)\n    model.weights: 'choice(null, \"{earlier}\")'\n"
        "trainer: {max_epochs: 2}\ndata: {limit: 60}\n"
    )
    study = sweep("variants", "engine=inline", "tracking=none", quiet=True)
    assert study.ending == "done"
    scores = {(row.params["model"], bool(row.params["model.weights"])): row.value or 0.0 for row in study.rows}
    assert len(scores) == 6
    assert all(scores[model, True] > scores[model, False] for model in ("svm", "forest", "mlp"))
