"""A group of trials ends each of them as the same trial alone ends.

In double precision, where the order of a sum does not show: no loss differs by more than 1e-6 of itself (losses are
added up in single precision), and no accuracy at all. In single precision it depends on the processor: on some the
weights are equal to the bit, on others sums come in another order, and batch norm and Adam carry the last digit on,
as another number of threads would.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from idealfit.objective import Penalty
from idealfit.spec import JSON, NonFiniteLossError, Objective, SilentReporter
from idealfit.train import FitResult, fit
from idealfit.train.fused import Applicant, fit_group

TIMES = ("epoch_seconds", "samples_per_second")
Outcome = FitResult | BaseException | str


class Trials:
    """Trials by name, trained in groups; `ended` says how."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ended: dict[str, Outcome] = {}

    def applicant(self, name: str, config: JSON, **changes: Any) -> Applicant:
        given: dict[str, Any] = {
            "config": copy.deepcopy(config),
            "objective": Objective(),
            "reporter": SilentReporter(),
            "stop": threading.Event(),
            "on_epoch": lambda epoch, metrics: None,
            "checkpoint_dir": self.folder / name,
            "trusted_packages": ["own_nets"],
            "on_end": lambda outcome: self.ended.__setitem__(name, outcome),
            "on_refusal": lambda reason, is_shape: self.ended.__setitem__(name, reason),
        }
        return Applicant(**given | changes)

    def run(self, applicants: Sequence[Applicant], max_trials: int = 16) -> None:
        waiting = list(applicants)

        def arrivals(at_most: int) -> list[Applicant]:
            taken = waiting[:at_most]
            del waiting[:at_most]
            return taken

        fit_group(arrivals, max_trials=max_trials, num_threads=1, on_room=lambda room: None)

    def alone(self, name: str, config: JSON, **changes: Any) -> FitResult:
        given: dict[str, Any] = {
            "objective": Objective(),
            "reporter": SilentReporter(),
            "stop": threading.Event(),
            "on_epoch": lambda epoch, metrics: None,
            "checkpoint_dir": self.folder / name,
            "num_threads": 1,
        }
        return fit(copy.deepcopy(config), **given | changes)

    def result(self, name: str) -> FitResult:
        outcome = self.ended[name]
        assert isinstance(outcome, FitResult), outcome
        return outcome


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials(tmp_path)


@pytest.fixture
def configs(config: JSON) -> dict[str, JSON]:
    """Five trials of one shape that differ in all that trials may differ in; batch norm, dropout, an early stop."""
    config["model"]["batch_norm"] = True
    config["loss"]["label_smoothing"] = 0.0
    config["trainer"] |= {"max_epochs": 4, "early_stopping": {"patience": 3}, "precision": "64-true"}
    made = {name: copy.deepcopy(config) for name in ("plain", "smooth", "seed", "augmented", "mixed")}
    made["smooth"]["loss"]["label_smoothing"] = 0.1
    made["smooth"]["model"]["dropout"] = 0.4
    made["smooth"]["scheduler"] = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.02}
    made["seed"]["seed"] = made["seed"]["data"]["split_seed"] = 11
    made["seed"]["optimizer"] |= {"lr": 0.003, "betas": [0.8, 0.95], "weight_decay": 0.1}
    made["seed"]["scheduler"] = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0}
    made["augmented"]["augment"] = {"_target_": "idealfit.data.Augment", "rotate_degrees": 10.0, "flip_p": 0.5}
    made["augmented"]["scheduler"] = {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 2}
    made["mixed"]["augment"] = {"_target_": "idealfit.data.Augment", "shift_fraction": 0.1, "mixup": 0.4}
    made["mixed"]["loss"]["label_smoothing"] = 0.05
    return made


def assert_same(fused: FitResult, alone: FitResult) -> None:
    """Equal curves, within the tolerance."""
    assert (fused.outcome, fused.num_epochs) == (alone.outcome, alone.num_epochs)
    assert list(fused.curves) == list(alone.curves)
    for name, curve in alone.curves.items():
        if name not in TIMES:
            tolerance = 0.0 if "accuracy" in name else 1e-6
            assert fused.curves[name] == pytest.approx(curve, rel=tolerance, abs=0.0), name


def test_each_trial_of_a_group_has_the_curves_of_the_same_alone(trials: Trials, configs: dict[str, JSON]) -> None:
    trials.run([trials.applicant(name, config) for name, config in configs.items()])
    for name, config in configs.items():
        assert_same(trials.result(name), trials.alone(f"{name} alone", config))
        assert (trials.folder / name / "best.pt").exists()


def test_best_weights_are_those_of_the_trial_alone(trials: Trials, configs: dict[str, JSON]) -> None:
    trials.run([trials.applicant(name, config) for name, config in configs.items()])
    trials.alone("alone", configs["smooth"])
    fused, alone = (torch.load(trials.folder / name / "best.pt", weights_only=True) for name in ("smooth", "alone"))
    assert list(fused) == list(alone)
    for name, tensor in alone.items():
        torch.testing.assert_close(fused[name], tensor, rtol=1e-6, atol=1e-7)


def test_trials_that_wait_join_when_others_end(trials: Trials, configs: dict[str, JSON]) -> None:
    configs["plain"]["trainer"]["max_epochs"] = 2
    trials.run([trials.applicant(name, config) for name, config in configs.items()], max_trials=2)
    for name, config in configs.items():
        assert_same(trials.result(name), trials.alone(f"{name} alone", config))


def test_a_convolutional_group_is_the_same_too(trials: Trials, config: JSON) -> None:
    config["model"] = {"_target_": "idealfit.models.CNN", "depth": 2, "width": 4, "dropout": 0.2, "batch_norm": True}
    config["data"]["limit"] = 200
    config["trainer"]["precision"] = "64-true"
    other = copy.deepcopy(config)
    other["optimizer"]["lr"] = 0.002
    trials.run([trials.applicant("one", config), trials.applicant("other", other)])
    assert_same(trials.result("one"), trials.alone("one alone", config))
    assert_same(trials.result("other"), trials.alone("other alone", other))


class PruneAfter:
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def report(self, epoch: int, value: float) -> bool:
        return epoch >= self.epoch


def test_a_pruned_trial_leaves_and_the_others_go_on(trials: Trials, configs: dict[str, JSON]) -> None:
    pruned = trials.applicant("smooth", configs.pop("smooth"), reporter=PruneAfter(1))
    trials.run([*(trials.applicant(name, config) for name, config in configs.items()), pruned])
    assert (trials.result("smooth").outcome, trials.result("smooth").num_epochs) == ("pruned", 2)
    assert {trials.result(name).num_epochs for name in configs} == {4}
    assert_same(trials.result("plain"), trials.alone("plain alone", configs["plain"]))


def test_a_trial_that_diverges_ends_alone(trials: Trials, configs: dict[str, JSON]) -> None:
    configs["smooth"]["optimizer"]["lr"] = 1e38
    configs["smooth"]["scheduler"] = None
    trials.run([trials.applicant(name, configs[name]) for name in ("smooth", "plain")])
    assert isinstance(trials.ended["smooth"], NonFiniteLossError)
    assert_same(trials.result("plain"), trials.alone("plain alone", configs["plain"]))


def test_a_trial_that_cannot_be_recorded_ends_alone(trials: Trials, configs: dict[str, JSON]) -> None:
    def fail(epoch: int, metrics: dict[str, float]) -> None:
        raise OSError(28, "No space left on device")

    broken = trials.applicant("smooth", configs["smooth"], on_epoch=fail)
    trials.run([broken, trials.applicant("plain", configs["plain"])])
    assert isinstance(trials.ended["smooth"], OSError)
    assert trials.result("plain").outcome == "complete"


Resume = Callable[[Trials, str, JSON], FitResult]


def resumed_alone(trials: Trials, name: str, config: JSON) -> FitResult:
    return trials.alone(name, config)


def resumed_in_a_group(trials: Trials, name: str, config: JSON) -> FitResult:
    trials.run([trials.applicant("company", config), trials.applicant(name, config)])
    return trials.result(name)


@pytest.mark.parametrize("resume", [resumed_alone, resumed_in_a_group])
def test_a_trial_stopped_in_a_group_goes_on(trials: Trials, configs: dict[str, JSON], resume: Resume) -> None:
    stop = threading.Event()

    def stop_in_second(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == 1:
            stop.set()

    for name in configs:
        trials.run([trials.applicant(name, configs[name], stop=stop, on_epoch=stop_in_second)])
        assert (trials.result(name).outcome, trials.result(name).num_epochs) == ("interrupted", 2)
        stop.clear()
        assert_same(resume(trials, name, configs[name]), trials.alone(f"{name} alone", configs[name]))


def test_a_trial_stopped_alone_goes_on_in_a_group(trials: Trials, configs: dict[str, JSON]) -> None:
    for name, config in configs.items():
        stop = threading.Event()
        trials.alone(name, config, stop=stop, on_epoch=lambda epoch, metrics, stop=stop: stop.set())
    trials.run([trials.applicant(name, config) for name, config in configs.items()])
    for name, config in configs.items():
        assert_same(trials.result(name), trials.alone(f"{name} alone", config))


def test_a_damaged_checkpoint_ends_its_own_trial_alone(trials: Trials, configs: dict[str, JSON]) -> None:
    (trials.folder / "smooth").mkdir()
    (trials.folder / "smooth" / "last.ckpt").write_bytes(b"no checkpoint")
    trials.run([trials.applicant(name, configs[name]) for name in ("smooth", "plain")])
    assert "can't be gone on from" in str(trials.ended["smooth"])
    assert trials.result("plain").outcome == "complete"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("trainer.gradient_clip_val", 1.0, "trainer.gradient_clip_val"),
        ("trainer.accumulate_grad_batches", 2, "trainer.accumulate_grad_batches"),
        ("trainer.precision", "bf16-true", "trainer.precision=bf16-true"),
        ("trainer.compile", "default", "trainer.compile"),
        ("model", {"_target_": "own_nets.Own"}, "a LightningModule of your own"),
        ("loss", {"_target_": "torch.nn.MultiLabelSoftMarginLoss"}, "the loss MultiLabelSoftMarginLoss"),
    ],
)
@pytest.mark.usefixtures("own_nets")
def test_what_is_not_supported_is_refused_with_the_reason(
    trials: Trials, config: JSON, key: str, value: Any, reason: str
) -> None:
    group, _, name = key.partition(".")
    config[group] = config[group] | {name: value} if name else value
    trials.run([trials.applicant("one", config)])
    assert trials.ended["one"] == reason


@pytest.mark.usefixtures("own_nets")
def test_a_network_of_one_s_own_of_supported_layers_is_fused(trials: Trials, config: JSON) -> None:
    config["model"] = {"_target_": "own_nets.Views", "width": 2}
    config["trainer"]["precision"] = "64-true"
    trials.run([trials.applicant(name, config) for name in ("one", "other")])
    assert_same(trials.result("one"), trials.alone("alone", config, trusted_packages=["own_nets"]))


def test_half_precision_trains(trials: Trials, config: JSON) -> None:
    config["trainer"]["precision"] = "bf16-mixed"
    trials.run([trials.applicant(name, config) for name in ("one", "other")])
    alone = trials.alone("alone", config)
    assert trials.result("one").facts["precision"] == "bf16-mixed"
    assert trials.result("one").curves["val/loss"] == pytest.approx(alone.curves["val/loss"], rel=0.05)


def test_a_trial_whose_latency_counts_is_measured_alone(trials: Trials, config: JSON) -> None:
    objective = Objective(penalty=(Penalty(metric="latency_ms", weight=0.1),))
    trials.run([trials.applicant("one", config, objective=objective)])
    assert trials.ended["one"] == "an objective with latency_ms"
