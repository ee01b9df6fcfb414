"""A fit that was interrupted, killed or pruned goes on as if nothing had happened, to the bit."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

SCHEDULERS: dict[str, Any] = {
    "none": None,
    "one_cycle": {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.02},
    "step": {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 2},
    "cosine": {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR"},
    "plateau": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0, "threshold": 0.2},
}


class PruneAfter:
    """A reporter that says stop after one epoch, and remembers what it was told."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.told: list[int] = []

    def report(self, epoch: int, value: float) -> bool:
        self.told.append(epoch)
        return epoch >= self.epoch


@pytest.fixture
def config(config: Any) -> Any:
    """Everything that draws random numbers or keeps a state: dropout, augmentation, momentum, batch norm."""
    config["augment"] = {"_target_": "idealfit.data.Augment", "rotate_degrees": 10.0, "flip_p": 0.5}
    config["model"]["batch_norm"] = True
    config["trainer"] |= {"max_epochs": 5, "checkpoint_every_s": 0.0}
    return config


def stop_in(epoch: int) -> tuple[threading.Event, Any]:
    """A signal, and an `on_epoch` that gives it after `epoch`."""
    stop = threading.Event()
    return stop, lambda now, metrics: stop.set() if now == epoch else None


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("every_s", [0.0, 1e9])
def test_an_interrupted_fit_ends_with_the_same_bits(config: Any, run: Any, name: str, every_s: float) -> None:
    config["scheduler"] = SCHEDULERS[name]
    config["trainer"]["checkpoint_every_s"] = every_s
    whole = run(config, "whole")
    stop, on_epoch = stop_in(1)
    first = run(config, "parts", stop=stop, on_epoch=on_epoch).result
    assert (first.outcome, first.num_epochs) == ("interrupted", 2)
    told: list[int] = []
    second = run(config, "parts", on_epoch=lambda epoch, metrics: told.append(epoch))
    assert (second.result.outcome, second.result.num_epochs) == ("complete", 5)
    assert told == [2, 3, 4]
    assert second.bits == whole.bits


def test_an_interrupted_convolutional_network_ends_with_the_same_bits(config: Any, run: Any) -> None:
    config["model"] = {"_target_": "idealfit.models.CNN", "depth": 2, "width": 4, "dropout": 0.2, "batch_norm": True}
    config["data"]["limit"] = 200
    whole = run(config, "whole")
    stop, on_epoch = stop_in(2)
    run(config, "parts", stop=stop, on_epoch=on_epoch)
    assert run(config, "parts").bits == whole.bits


@pytest.mark.parametrize("looks", [0, 1, 4, 8])
def test_a_fit_interrupted_between_any_two_chunks_ends_with_the_same_bits(
    config: Any, run: Any, stop_after: Any, looks: int
) -> None:
    whole = run(config, "whole")
    first = run(config, "parts", stop=stop_after(looks)).result
    assert first.outcome == "interrupted"
    assert run(config, "parts").bits == whole.bits


def test_a_short_epoch_that_has_begun_is_finished_and_saved(config: Any, run: Any, stop_after: Any) -> None:
    config["trainer"]["checkpoint_every_s"] = 1e9
    looks_of_one_epoch = 3 + 1  # before each chunk, and when the epoch is over
    fitted = run(config, stop=stop_after(looks_of_one_epoch + 1))
    assert (fitted.result.outcome, fitted.result.num_epochs) == ("interrupted", 2)
    assert (fitted.directory / "last.ckpt").exists()


def test_a_killed_fit_goes_on_from_its_last_checkpoint(config: Any, run: Any) -> None:
    whole = run(config, "whole")

    def die(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == 3:
            raise MemoryError

    with pytest.raises(MemoryError):
        run(config, "parts", on_epoch=die)
    assert run(config, "parts").bits == whole.bits


def test_best_weights_survive_an_interruption_of_a_fit_that_gets_worse(config: Any, run: Any) -> None:
    config["optimizer"]["lr"] = 0.5
    config["seed"] = 1
    whole = run(config, "whole")
    best = max(range(5), key=whole.result.curves["val/accuracy"].__getitem__)
    for epoch in range(4):
        stop, on_epoch = stop_in(epoch)
        run(config, f"parts{epoch}", stop=stop, on_epoch=on_epoch)
        assert run(config, f"parts{epoch}").bits == whole.bits, f"interrupted after {epoch}, best is {best}"


def test_a_finished_fit_is_not_trained_again(config: Any, run: Any) -> None:
    first = run(config)
    told: list[int] = []
    again = run(config, on_epoch=lambda epoch, metrics: told.append(epoch))
    assert again.result.curves == first.result.curves
    assert (again.result.outcome, told) == ("complete", [])


def test_a_fit_is_pruned_after_the_epoch_that_its_reporter_names(config: Any, run: Any) -> None:
    reporter = PruneAfter(2)
    fitted = run(config, reporter=reporter)
    assert (fitted.result.outcome, fitted.result.num_epochs) == ("pruned", 3)
    assert reporter.told == [0, 1, 2]
    assert (fitted.directory / "best.pt").exists()


def test_a_pruned_fit_stays_pruned(config: Any, run: Any) -> None:
    first = run(config, reporter=PruneAfter(2))
    again = run(config)
    assert (again.result.outcome, again.result.num_epochs) == ("pruned", 3)
    assert again.bits == first.bits


def test_the_first_epochs_are_never_pruned(config: Any, run: Any) -> None:
    config["trainer"]["min_epochs"] = 4
    fitted = run(config, reporter=PruneAfter(0))
    assert (fitted.result.outcome, fitted.result.num_epochs) == ("pruned", 4)


def test_a_fit_that_has_done_its_last_epoch_is_complete(config: Any, run: Any) -> None:
    assert run(config, reporter=PruneAfter(4)).result.outcome == "complete"


def test_early_stopping_remembers_its_patience_and_that_it_stopped(config: Any, run: Any) -> None:
    config["optimizer"]["lr"] = 0.0
    config["model"]["batch_norm"] = False
    config["trainer"] |= {"max_epochs": 20, "early_stopping": {"patience": 3}}
    whole = run(config, "whole")
    assert whole.result.num_epochs == 4
    stop, on_epoch = stop_in(1)
    run(config, "parts", stop=stop, on_epoch=on_epoch)
    assert run(config, "parts").bits == whole.bits
    assert run(config, "parts").result.num_epochs == 4


def test_a_checkpoint_holds_nothing_that_must_be_unpickled(config: Any, run: Any) -> None:
    config["scheduler"] = SCHEDULERS["one_cycle"]
    directory = run(config).directory
    for name in ("last.ckpt", "best.pt"):
        torch.load(directory / name, weights_only=True)
