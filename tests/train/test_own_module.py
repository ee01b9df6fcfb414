"""A user's own network and own LightningModule: a dotted name and a trusted package are all it takes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from idealfit.spec import ConfigError, Objective

pytestmark = pytest.mark.usefixtures("own_nets")


def test_an_own_network_trains(config: Any, run: Any) -> None:
    config["model"] = {"_target_": "own_nets.Views", "width": 8}
    fitted = run(config)
    assert fitted.result.curves["val/accuracy"][-1] > 0.8
    assert "conv.weight" in torch.load(fitted.directory / "best.pt", weights_only=True)


def test_a_network_that_takes_no_weights_back_is_trained_all_the_same(config: Any, run: Any, capfd: Any) -> None:
    config["model"] = {"_target_": "own_nets.OneWay", "width": 8}
    fitted = run(config).result
    assert (fitted.outcome, fitted.num_epochs, fitted.predictions) == ("complete", 3, None)
    assert "no predictions" in capfd.readouterr().err


def test_an_own_lightning_module_trains_its_way_and_is_measured_ours(config: Any, run: Any) -> None:
    config["model"] = {"_target_": "own_nets.Own"}
    curves = run(config).result.curves
    assert curves["val/accuracy"][-1] > 0.8
    assert curves["lr"] == [0.01] * 3
    assert len(curves["own/train_loss"]) == 3
    assert curves["own/epoch"] == [0.0, 1.0, 2.0]


def test_an_own_metric_can_be_the_objective(config: Any, run: Any) -> None:
    config["model"] = {"_target_": "own_nets.Own"}
    run(config, objective=Objective(metric="own/train_loss", direction="minimize"))
    with pytest.raises(ConfigError, match=r"logs only .*own/train_loss.*Did you mean 'own/train_loss'"):
        run(config, "other", objective=Objective(metric="own/train_los"))


def test_an_own_optimizer_wins_over_the_config(config: Any, run: Any) -> None:
    config["model"] = {"_target_": "own_nets.OwnOptimizer"}
    assert run(config).result.curves["lr"] == pytest.approx([0.123, 0.0123, 0.00123])


@pytest.mark.parametrize("model", ["Own", "OwnOptimizer"])
@pytest.mark.parametrize(
    "scheduler",
    [
        None,
        {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.02},
        {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0, "threshold": 0.5},
    ],
    ids=["none", "one_cycle", "plateau"],
)
def test_an_interrupted_own_module_ends_with_the_same_bits(
    config: Any, run: Any, model: str, scheduler: dict[str, Any] | None
) -> None:
    config["model"] = {"_target_": f"own_nets.{model}"}
    config["scheduler"] = scheduler
    config["trainer"] |= {"max_epochs": 4, "checkpoint_every_s": 0.0}
    whole = run(config, "whole")
    stop = threading.Event()
    first = run(config, "parts", stop=stop, on_epoch=lambda epoch, metrics: stop.set() if epoch == 1 else None)
    assert (first.result.outcome, first.result.num_epochs) == ("interrupted", 2)
    assert run(config, "parts").bits == whole.bits


def test_gradients_of_an_own_module_accumulate_to_those_of_the_whole_batch(config: Any, run: Any) -> None:
    config["model"] = {"_target_": "own_nets.OwnOptimizer", "width": 4}
    config["data"]["limit"] = 512
    whole = run(config, "whole").result.curves["val/loss"]
    config["trainer"] |= {"accumulate_grad_batches": 4, "gradient_clip_val": 100.0}
    # Dropout draws other masks for pieces, so only about the same.
    assert run(config, "pieces").result.curves["val/loss"] == pytest.approx(whole, rel=0.05)


def test_options_that_an_own_module_cannot_take_are_refused(config: Any, run: Any) -> None:
    config["model"] = {"_target_": "own_nets.ByHand"}
    config["trainer"]["gradient_clip_val"] = 1.0
    with pytest.raises(ConfigError, match=r"ByHand and trainer do not go together: .*gradient clipping"):
        run(config)
