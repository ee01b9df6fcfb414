"""A body that stands still for some epochs, up to some layer, or learns more slowly than its new head."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from idealfit.spec import JSON, ConfigError, Objective, SilentReporter
from idealfit.train.fused.admission import check_parts
from idealfit.train.fused.errors import NotFusableError
from idealfit.train.parts import Parts, make_parts
from idealfit.train.transfer import build_network

CNN = {"_target_": "idealfit.models.CNN", "depth": 2, "width": 4, "batch_norm": True}
HEAD = "layers.8."  # behind two times convolution, batch norm and activation, a pool between, and flattening


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of a network that nobody trained: what matters is whether they move."""
    torch.manual_seed(1)
    path = tmp_path / "earlier.pt"
    net = build_network(CNN, trusted=[], extra={"image_shape": (1, 8, 8), "num_classes": 10})
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture
def tuned(config: JSON, weights: Path) -> JSON:
    """A config that starts from these weights, with a new head, the body frozen."""
    return {**config, "model": {**CNN, "weights": str(weights), "new_head": True, "freeze": "body"}}


def moved(directory: Path, weights: Path) -> set[str]:
    """The layers that the last checkpoint has other tensors of."""
    before = torch.load(weights, weights_only=True)
    state = torch.load(directory / "last.ckpt", weights_only=True)["state_dict"]
    now: dict[str, Tensor] = {key.removeprefix("net."): value for key, value in state.items()}
    return {key.rpartition(".")[0] for key in before if not torch.equal(before[key], now[key])}


def parts_of(config: JSON) -> Parts:
    return make_parts(config, objective=Objective(), trusted=["own_nets"])


def test_a_body_learns_from_its_epoch_on_and_not_before(tuned: JSON, run: Callable[..., Any], weights: Path) -> None:
    class AfterTwo(SilentReporter):
        def report(self, epoch: int, value: float) -> bool:
            return epoch == 1

    tuned["model"]["thaw_epoch"] = 2
    before = moved(run(tuned, "two epochs", reporter=AfterTwo()).directory, weights)
    assert before == {HEAD.rstrip(".")}, "the running means of batch norm stand still too"
    after = moved(run(tuned, "three epochs").directory, weights)
    assert after == {"layers.0", "layers.1", "layers.4", "layers.5", HEAD.rstrip(".")}


@pytest.mark.parametrize("options", [{}, {"l1": 1e-4, "max_norm": 1.0, "gradient_clip_val": 1.0}])
def test_a_thawing_fit_goes_on_with_the_same_bits(
    tuned: JSON, run: Callable[..., Any], stop_after: Callable[[float], Any], options: JSON
) -> None:
    tuned["model"] |= {"thaw_epoch": 1, "body_lr_factor": 0.1}
    tuned["trainer"] |= {**options, "checkpoint_every_s": 0}
    straight = run(tuned, "straight")
    for looks in (4, 8, 12):  # before the thaw, around it and after it
        run(tuned, "resumed", stop=stop_after(looks))
    assert run(tuned, "resumed", stop=threading.Event()).bits == straight.bits


def test_a_body_gets_its_momentum_later_than_its_head(tuned: JSON, run: Callable[..., Any], weights: Path) -> None:
    """Torch's fused SGD cannot do that, so a fit that thaws takes another."""
    tuned["model"]["thaw_epoch"] = 1
    tuned["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 0.01, "momentum": 0.9}
    assert len(moved(run(tuned).directory, weights)) == 5


def test_frozen_weights_are_neither_shrunk_nor_decayed(tuned: JSON, run: Callable[..., Any], weights: Path) -> None:
    tuned["trainer"] |= {"l1": 0.1, "max_norm": 0.1}
    tuned["optimizer"]["weight_decay"] = 1.0
    assert moved(run(tuned).directory, weights) == {HEAD.rstrip(".")}


def test_layers_stand_still_up_to_one_that_is_named(tuned: JSON, run: Callable[..., Any], weights: Path) -> None:
    tuned["model"]["freeze"] = "layers.1"
    assert moved(run(tuned).directory, weights) == {"layers.4", "layers.5", HEAD.rstrip(".")}
    for name, message in (
        ("layer.1", r"CNN has no layer 'layer.1'. Did you mean 'layers.1'.*none, body, or one of layers, layers.0"),
        ("layers", "layers holds the last linear layer, and something has to learn: take body"),
        (HEAD.rstrip("."), "holds the last linear layer"),
    ):
        tuned["model"]["freeze"] = name
        with pytest.raises(ConfigError, match=message):
            parts_of(tuned)


def test_a_body_learns_at_its_own_rate(tuned: JSON, run: Callable[..., Any]) -> None:
    tuned["model"] |= {"freeze": "none", "body_lr_factor": 0.1}
    parts = parts_of(tuned)
    head, body = parts.stepper.param_groups
    assert [tuple(parameter.shape) for parameter in head["params"]] == [(10, 128), (10,)]
    assert (head["lr"], body["lr"]) == (0.01, pytest.approx(0.001))
    assert len(head["params"]) + len(body["params"]) == len(list(parts.net.parameters()))
    curves = run(tuned).result.curves
    assert curves["lr"] == [0.01] * 3, "what is shown is the head's"
    assert curves["train/loss"][-1] < curves["train/loss"][0]


@pytest.mark.parametrize(
    "scheduler",
    [
        {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.01},
        {"_target_": "idealfit.train.schedule.WarmUpCosine"},
        {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.5},
        {"_target_": "torch.optim.lr_scheduler.CyclicLR", "base_lr": 0.001, "max_lr": 0.01},
    ],
    ids=lambda node: node["_target_"].rpartition(".")[2],
)
def test_every_schedule_keeps_the_ratio_of_the_rates(tuned: JSON, scheduler: JSON) -> None:
    tuned["model"] |= {"freeze": "none", "body_lr_factor": 0.1}
    tuned["scheduler"] = scheduler
    tuned["trainer"] |= {"lr_scaling": "linear", "lr_batch_size": 32}
    parts = parts_of(tuned)
    assert parts.schedule is not None
    rates = []
    for _ in range(10):
        parts.stepper.step()
        parts.schedule.scheduler.step()
        rates.append([group["lr"] for group in parts.stepper.param_groups])
    assert all(body == pytest.approx(0.1 * head) for head, body in rates)
    assert len({head for head, _ in rates}) > 1


@pytest.mark.parametrize(
    ("model", "trainer", "message"),
    [
        ({"thaw_epoch": 3}, {}, r"model.thaw_epoch=3: training ends after trainer.max_epochs=3"),
        ({"thaw_epoch": 1}, {"devices": 2}, "model.thaw_epoch: devices agree .* take trainer.devices=1"),
        ({"thaw_epoch": 1, "freeze": "none"}, {}, "model.thaw_epoch: nothing is frozen"),
        ({"body_lr_factor": 0.1}, {}, "model.body_lr_factor: the body is frozen, and learns at no rate"),
    ],
)
def test_what_makes_no_sense_is_refused(tuned: JSON, model: JSON, trainer: JSON, message: str) -> None:
    tuned["model"] |= model
    tuned["trainer"] |= trainer
    with pytest.raises(ConfigError, match=message):
        parts_of(tuned)


def test_estimators_and_modules_with_their_own_optimizer_refuse(tuned: JSON, own_nets: None, tmp_path: Path) -> None:
    own = {"_target_": "own_nets.OwnOptimizer"}
    earlier = tmp_path / "own.pt"
    torch.save(build_network(own, trusted=["own_nets"], extra={}).state_dict(), earlier)
    for options in ({"freeze": "body", "thaw_epoch": 1}, {"body_lr_factor": 0.5}):
        tuned["model"] = {**own, "weights": str(earlier), **options}
        with pytest.raises(ConfigError, match="model OwnOptimizer makes its own optimizer: do it there"):
            parts_of(tuned)
        tuned["model"] = {"_target_": "idealfit.models.SVM", "weights": str(earlier), "body": own, **options}
        with pytest.raises(ConfigError, match="an estimator has no gradient that its body could learn by"):
            parts_of(tuned)
    tuned["model"] = {"_target_": "own_nets.Own", "weights": str(earlier), "body_lr_factor": 0.5}
    assert [group["lr"] for group in parts_of(tuned).stepper.param_groups] == [0.01, 0.005]


def test_a_group_of_trials_refuses_them_by_name(tuned: JSON) -> None:
    tuned["model"]["thaw_epoch"] = 1
    with pytest.raises(NotFusableError, match="a network with frozen weights"):
        check_parts(parts_of(tuned))
    tuned["model"] |= {"thaw_epoch": None, "freeze": "none", "body_lr_factor": 0.5}
    with pytest.raises(NotFusableError, match="several groups of parameters"):
        check_parts(parts_of(tuned))
