"""A network that starts from an earlier run: its weights, its head, and what of it still learns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from idealfit import train
from idealfit.record import Record
from idealfit.reproduce.trained import trained
from idealfit.spec import JSON, ConfigError, Objective
from idealfit.train.parts import make_parts
from idealfit.train.transfer import build_network, prepare

CNN = {"_target_": "idealfit.models.CNN", "depth": 2, "width": 4, "batch_norm": True}
HEAD = "layers.8."


def network(num_classes: int = 10, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_network(CNN, trusted=[], extra={"image_shape": (1, 8, 8), "num_classes": num_classes})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "earlier.pt"
    torch.save(network(seed=1).state_dict(), path)
    return path


def same(net: torch.nn.Module, state: dict[str, Tensor]) -> dict[str, bool]:
    return {key: torch.equal(value, state[key]) for key, value in net.state_dict().items() if value.is_floating_point()}


def test_all_weights_are_taken_from_a_run_of_the_same_classes(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    assert any(key.startswith(HEAD) for key in state)
    net = network()
    assert len(prepare(net, {"weights": str(weights)}).facts["weights_sha256"]) == 64
    assert all(same(net, state).values())
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "earlier.safetensors")
    again = network()
    prepare(again, {"weights": str(tmp_path / "earlier.safetensors")})
    assert all(same(again, state).values())


@pytest.mark.parametrize(("num_classes", "new_head"), [(10, True), (3, False)])
def test_the_head_is_new_where_it_must_be_or_is_asked_for(weights: Path, num_classes: int, new_head: bool) -> None:
    net = network(num_classes)
    fresh = copy.deepcopy(net.state_dict())
    prepare(net, {"weights": str(weights), "new_head": new_head})
    state = net.state_dict()
    earlier = torch.load(weights, weights_only=True)
    for key, value in state.items():
        assert torch.equal(value, (fresh if key.startswith(HEAD) else earlier)[key]), key


def test_a_frozen_body_stays_as_it_is_while_the_head_learns(
    config: JSON, run: Callable[..., Any], weights: Path
) -> None:
    config["model"] = {**CNN, "weights": str(weights), "new_head": True, "freeze": "body"}
    config["optimizer"] = {"_target_": "torch.optim.AdamW", "lr": 0.01, "weight_decay": 0.1}
    fitted = run(config)
    earlier = torch.load(weights, weights_only=True)
    learned = torch.load(fitted.directory / "best.pt", weights_only=True)
    body = [key for key in learned if not key.startswith(HEAD)]
    assert body
    assert all(torch.equal(learned[key], earlier[key]) for key in body), "running means of batch norm too"
    assert not torch.equal(learned[f"{HEAD}weight"], earlier[f"{HEAD}weight"])
    curve = fitted.result.curves["train/loss"]
    assert curve[-1] < curve[0]


def test_a_run_starts_from_the_record_of_another_and_can_be_exported(in_tmp_dir: Path) -> None:
    few = ["model=mlp", "data.limit=200", "tracking=none"]
    first = train(*few, "trainer.max_epochs=5", quiet=True)
    assert first.label == "train/0"
    second = train(*few, "trainer.max_epochs=1", "model.weights=runs/train/0", "optimizer.lr=1e-5", quiet=True)
    assert second.result.summaries["best/val_accuracy"] == pytest.approx(
        first.curves()["val/accuracy"].iloc[-1], abs=0.03
    )
    assert second.result.facts["weights_sha256"]
    assert trained(Record(second.record_dir), trusted=[]).network is not None


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"weights": "runs/nothing/3"}, r"model.weights: no runs/nothing/3. Name a run by its record"),
        ({"freeze": "body"}, "model.freeze: without model.weights the whole network is new"),
        ({"new_head": True}, "model.new_head: without model.weights"),
        ({"thaw_epoch": 2}, "model.thaw_epoch: without model.weights"),
        ({"body_lr_factor": 0.1}, "model.body_lr_factor: without model.weights"),
    ],
)
def test_what_makes_no_sense_is_refused(node: JSON, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(network(), node)


def test_weights_of_another_network_or_damaged_ones_are_refused(config: JSON, weights: Path, tmp_path: Path) -> None:
    config["model"] = {**CNN, "width": 8, "weights": str(weights)}
    with pytest.raises(
        ConfigError, match=r"of another network than this CNN: layers.0.weight is \[8, 1, 3, 3\], it is \[4"
    ):
        make_parts(config, objective=Objective(), trusted=[])
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"<html>404</html>")
    with pytest.raises(ConfigError, match=r"damaged.pt can't be read"):
        prepare(network(), {"weights": str(damaged)})
