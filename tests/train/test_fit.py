"""What a fit trains, records and leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from idealfit import models
from idealfit.spec import Objective

METRICS = [
    "train/loss",
    "val/loss",
    "train/accuracy",
    "val/accuracy",
    "train/top5_accuracy",
    "val/top5_accuracy",
    "lr",
    "epoch_seconds",
    "samples_per_second",
]


def test_a_fit_learns_and_records_every_metric_of_every_epoch(config: Any, run: Any) -> None:
    told: list[tuple[int, dict[str, float]]] = []
    fitted = run(config, on_epoch=lambda epoch, metrics: told.append((epoch, metrics))).result
    assert fitted.outcome == "complete"
    assert fitted.num_epochs == 3
    assert sorted(fitted.curves) == sorted(METRICS)
    assert [epoch for epoch, _ in told] == [0, 1, 2]
    assert all(fitted.curves[name][epoch] == value for epoch, metrics in told for name, value in metrics.items())
    assert fitted.curves["val/loss"][-1] < fitted.curves["val/loss"][0]
    assert fitted.curves["val/accuracy"][-1] > 0.8
    assert fitted.curves["lr"] == [0.01] * 3


def test_facts_say_what_was_trained_and_where(config: Any, run: Any) -> None:
    facts = run(config).result.facts
    assert facts["num_params"] == 64 * 32 + 32 + 32 * 10 + 10
    assert (facts["image_shape"], facts["num_classes"]) == ([1, 8, 8], 10)
    assert (facts["num_train_images"], facts["num_val_images"]) == (500, 288)
    assert (facts["device"], facts["precision"], facts["num_threads"]) == ("cpu", "32-true", 1)
    assert len(facts["data_fingerprint"]) == len(facts["split_sha256"]) == 64


def test_train_evaluation_can_be_switched_off(config: Any, run: Any) -> None:
    config["trainer"]["train_eval"] = False
    assert not [name for name in run(config).result.curves if name.startswith("train/")]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(config: Any, run: Any) -> None:
    first = run(config, "first")
    torch.manual_seed(123)  # what was drawn before does not matter
    assert run(config, "second").bits == first.bits
    assert run({**config, "seed": 4}, "third").bits != first.bits


@pytest.mark.parametrize("batches_per_step", [1, 100])
def test_the_size_of_a_chunk_does_not_change_a_bit(config: Any, run: Any, batches_per_step: int) -> None:
    first = run(config, "first")
    config["trainer"]["batches_per_step"] = batches_per_step
    assert run(config, "second").bits == first.bits


def test_the_best_weights_are_those_of_the_best_epoch(config: Any, run: Any) -> None:
    config["optimizer"]["lr"] = 0.05
    config["trainer"]["max_epochs"] = 6
    fitted = run(config, objective=Objective(metric="val/loss", direction="minimize"))
    again = run({**config, "trainer": {**config["trainer"], "max_epochs": 1}}, "again")
    curve = fitted.result.curves["val/loss"]
    best = min(range(6), key=curve.__getitem__)
    assert best < 5, "this rate overshoots, so the last epoch is not the best"
    assert again.result.curves["val/loss"][0] == curve[0]
    shorter = run({**config, "trainer": {**config["trainer"], "max_epochs": best + 1}}, "shorter")
    assert fitted.bits[1] == shorter.bits[0], "best.pt holds the weights of that epoch's end"


def test_best_weights_load_into_a_plain_network(config: Any, run: Any) -> None:
    fitted = run(config)
    net = models.MLP(image_shape=(1, 8, 8), num_classes=10, depth=1, width=32)
    net.load_state_dict(
        {
            name.replace("layers.4", "layers.3"): tensor  # this one has no dropout layer
            for name, tensor in torch.load(fitted.directory / "best.pt", weights_only=True).items()
        }
    )
    assert sorted(path.name for path in fitted.directory.iterdir()) == ["best.pt", "last.ckpt"]


def test_micro_batches_give_the_gradient_of_the_whole_batch(config: Any, run: Any) -> None:
    config["model"]["dropout"] = 0.0
    whole = run(config, "whole").result.curves["val/loss"]
    config["trainer"]["accumulate_grad_batches"] = 3
    assert run(config, "pieces").result.curves["val/loss"] == pytest.approx(whole, rel=1e-3)


def test_clipped_gradients_learn_more_slowly(config: Any, run: Any) -> None:
    config["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 0.1}
    free = run(config, "free").result.curves["train/loss"]
    config["trainer"]["gradient_clip_val"] = 0.01
    assert run(config, "clipped").result.curves["train/loss"][-1] > free[-1] + 0.1


def test_early_stopping_ends_a_fit_that_no_longer_improves(config: Any, run: Any) -> None:
    config["optimizer"]["lr"] = 0.0
    config["trainer"] |= {"max_epochs": 20, "early_stopping": {"patience": 2, "monitor": "val/loss"}}
    fitted = run(config).result
    assert (fitted.outcome, fitted.num_epochs) == ("complete", 3)


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    "Adagrad": {"lr": 0.05},
    "Adadelta": {"lr": 1.0},
    "RMSprop": {"lr": 0.003},
    "Adam": {"lr": 0.01, "betas": [0.9, 0.99]},
    "AdamW": {"lr": 0.01, "weight_decay": 0.1},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("scheduler", [None, "OneCycleLR"])
def test_every_optimizer_trains(config: Any, run: Any, name: str, scheduler: str | None) -> None:
    config["optimizer"] = {"_target_": f"torch.optim.{name}", **OPTIMIZERS[name]}
    if scheduler:
        node = {"_target_": f"torch.optim.lr_scheduler.{scheduler}", "max_lr": OPTIMIZERS[name]["lr"]}
        config["scheduler"] = node
    curve = run(config).result.curves["train/loss"]
    assert curve[-1] < 1.8


@pytest.mark.parametrize(
    ("name", "arguments", "rates"),
    [
        ("StepLR", {"step_size": 2, "gamma": 0.1}, [0.01, 0.01, 0.001]),
        ("ExponentialLR", {"gamma": 0.5}, [0.01, 0.005, 0.0025]),
        ("CosineAnnealingLR", {"T_max": 2}, [0.01, 0.005, 0.0]),
        ("CosineAnnealingLR", {}, [0.01, 0.0075, 0.0025]),
        ("ReduceLROnPlateau", {"patience": 0, "threshold": 100.0, "threshold_mode": "abs"}, [0.01, 0.01, 0.001]),
    ],
)
def test_schedulers_step_once_an_epoch(config: Any, run: Any, name: str, arguments: Any, rates: list[float]) -> None:
    config["scheduler"] = {"_target_": f"torch.optim.lr_scheduler.{name}", **arguments}
    assert run(config).result.curves["lr"] == pytest.approx(rates)


def test_one_cycle_steps_once_a_batch_and_ends_where_it_should(config: Any, run: Any) -> None:
    config["scheduler"] = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.02}
    fitted = run(config)
    assert fitted.result.curves["lr"][0] == pytest.approx(0.02 / 25)
    state = torch.load(fitted.directory / "last.ckpt", weights_only=True)
    assert state["lr_schedulers"][0]["last_epoch"] == state["lr_schedulers"][0]["total_steps"] == 3 * 8
    assert state["global_step"] == 3 * 8


@pytest.mark.parametrize(
    "loss", ["CrossEntropyLoss", "BCEWithLogitsLoss", "MultiMarginLoss", "MSELoss", "SmoothL1Loss"]
)
def test_every_loss_trains(config: Any, run: Any, loss: str) -> None:
    config["loss"] = {"_target_": f"torch.nn.{loss}"}
    config["trainer"]["max_epochs"] = 4
    curve = run(config).result.curves["val/loss"]
    assert curve[-1] < 0.9 * curve[0]


def test_a_summed_loss_is_reported_per_image(config: Any, run: Any) -> None:
    config["optimizer"]["lr"] = 0.0
    mean = run(config, "mean").result.curves["val/loss"]
    config["loss"]["reduction"] = "sum"
    assert run(config, "sum").result.curves["val/loss"] == pytest.approx(mean)


def test_augmentation_and_a_convolutional_network_train(config: Any, run: Any) -> None:
    config["augment"] = {"_target_": "idealfit.data.Augment", "rotate_degrees": 10.0, "shift_fraction": 0.1}
    config["model"] = {"_target_": "idealfit.models.CNN", "depth": 2, "width": 8, "batch_norm": True}
    assert run(config).result.curves["val/accuracy"][-1] > 0.7


def test_bfloat16_trains_on_a_cpu_too(config: Any, run: Any) -> None:
    config["trainer"]["precision"] = "bf16-mixed"
    config["augment"] = {"_target_": "idealfit.data.Augment", "rotate_degrees": 5.0}
    fitted = run(config).result
    assert fitted.facts["precision"] == "bf16-mixed"
    assert fitted.curves["val/accuracy"][-1] > 0.8


def test_double_precision_trains(config: Any, run: Any) -> None:
    config["trainer"]["precision"] = "64-true"
    assert run(config).result.curves["val/accuracy"][-1] > 0.8
