"""What goes wrong is said clearly, and before training where it can be known before."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from idealfit.spec import ConfigError, NonFiniteLossError, Objective, UserError
from idealfit.train import preflight


def test_preflight_finds_the_facts_that_the_fit_finds(config: Any, run: Any) -> None:
    facts = preflight(config, objective=Objective())
    assert {**facts, "num_threads": 1} == run(config).result.facts


def test_a_loss_that_is_not_finite_ends_the_fit(config: Any, run: Any) -> None:
    config["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 1e30}
    with pytest.raises(NonFiniteLossError, match=r"training loss became (nan|inf) in epoch 0; a smaller optimizer.lr"):
        run(config)


def test_a_validation_loss_that_is_not_finite_ends_the_fit(config: Any, run: Any) -> None:
    config["data"]["limit"] = 60  # one step: the loss before it is fine, the network after it is not
    config["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 1e38}
    with pytest.raises(NonFiniteLossError, match="validation loss became"):
        run(config)


def test_training_goes_on_as_before_after_a_fit_that_failed(config: Any, run: Any) -> None:
    before = run(config, "before")
    with pytest.raises(NonFiniteLossError):
        run({**config, "optimizer": {"_target_": "torch.optim.SGD", "lr": 1e30}}, "failed")
    assert run(config, "after").bits == before.bits


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"metric": "val/acuracy"}, r"study.objective.metric is 'val/acuracy', .* logs only .*val/loss.*Did you mean"),
    ({}, {"metric": "test/accuracy"}, r"never looks at the test set.*promote"),
    ({"trainer.train_eval": False}, {"metric": "train/loss"}, "logs only val/loss"),
    ({"trainer.early_stopping": {"patience": 2, "monitor": "loss"}}, {}, "early_stopping.monitor is 'loss'"),
    ({"trainer.devices": 99, "trainer.accelerator": "auto"}, {}, r"no CUDA device here, and only \d+ CPU cores"),
    ({"trainer.devices": 2, "trainer.accelerator": "mps"}, {}, "accelerator=mps trains on one device only"),
    ({"trainer.devices": 2, "trainer.accelerator": "gpu"}, {}, r"devices=2: a trial sees no CUDA device here"),
    ({"trainer.devices": 65}, {}, "batch_size=64 cannot be shared by 65 devices"),
    ({"trainer.accelerator": "cuda"}, {}, "accelerator=cuda .* do not work here"),
    ({"model": {"_target_": "idealfit.models.LeNet"}}, {}, "5x5 kernel is larger than .* 8x8 images"),
    (
        {"model": {"_target_": "own_nets.WrongShape"}},
        {},
        r"must turn 2 images into logits \[2, 10\], but gave \[2, 7\]",
    ),
    ({"model": {"_target_": "own_nets.NoStep"}}, {}, "needs a training_step"),
    ({"model": {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2}}, {}, r"fails on images \[2, 1, 8"),
    ({"model": {"_target_": "torch.nn.Flatten"}}, {}, "no parameter to train"),
    ({"model": {"_target_": "os.system"}}, {}, "not trusted"),
    ({"loss": {"_target_": "torch.nn.CrossEntropyLoss", "reduction": "none"}}, {}, "must be mean or sum"),
    ({"loss": {"_target_": "torch.nn.CTCLoss"}}, {}, "loss CTCLoss fails"),
    ({"optimizer.learning_rate": 0.1}, {}, "learning_rate"),
    ({"optimizer.lr": -1.0}, {}, "lr|learning rate"),
]


@pytest.mark.usefixtures("own_nets")
@pytest.mark.parametrize(("changes", "objective", "message"), WRONG, ids=lambda value: None)
def test_wrong_input_is_found_before_training(
    config: Any, changes: dict[str, Any], objective: dict[str, Any], message: str
) -> None:
    for key, value in changes.items():
        *path, last = key.split(".")
        node = config[path[0]] if path else config
        node[last] = value
    with pytest.raises(UserError, match=message):
        preflight(config, objective=Objective(**objective), trusted_packages=["own_nets"])


def test_fit_refuses_an_unknown_objective_too(config: Any, run: Any) -> None:
    with pytest.raises(ConfigError, match="logs only"):
        run(config, objective=Objective(metric="val/f2"))


def test_fit_starts_no_ranks_itself(config: Any, run: Any) -> None:
    config["trainer"]["devices"] = 2
    with pytest.raises(ConfigError, match=r"ranks of a distributed trial are started by its engine.*engine=local"):
        run(config)


def test_more_cuda_devices_than_there_are_are_refused(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    config["trainer"] |= {"devices": 2, "accelerator": "gpu"}
    with pytest.raises(ConfigError, match=r"devices=2: a trial sees 1 CUDA device here"):
        preflight(config, objective=Objective())


def test_ctrl_c_stays_a_keyboard_interrupt_and_works_again(config: Any, run: Any) -> None:
    def press(epoch: int, metrics: dict[str, float]) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(config, on_epoch=press)
    assert signal.getsignal(signal.SIGINT) is handler
