"""A small fit on real digits, and what the tests of training look at."""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from idealfit.spec import JSON, Objective, SilentReporter
from idealfit.train import FitResult, fit

OWN_NETS = '''
import torch
from torch import nn
import lightning.pytorch as pl


class Views(nn.Module):
    """A network that takes no image shape."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.out = nn.Linear(64 * width, 10)

    def forward(self, images):
        return self.out(torch.relu(self.conv(images)).view(len(images), -1))


class WrongShape(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(64, 7)

    def forward(self, images):
        return self.out(images.flatten(1))


class OneWay(Views):
    def load_state_dict(self, *args, **kwargs):
        raise RuntimeError("these weights only go out")


class Own(pl.LightningModule):
    """A LightningModule that leaves its optimizer to the config."""

    def __init__(self, width: int = 32, image_shape=None, num_classes: int = 0):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 10))

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        loss = nn.functional.cross_entropy(self(images), labels)
        self.log("own/train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        raise AssertionError("idealfit evaluates")

    def on_train_epoch_end(self):
        self.log("own/epoch", float(self.current_epoch))


class OwnOptimizer(Own):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.123)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


class ByHand(Own):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False


class NoStep(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(1, 1)
'''


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of decoded digits for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def config(cache_dir: Path) -> JSON:
    """Digits, a small perceptron with dropout, three epochs."""
    return {
        "seed": 3,
        "data": {
            "_target_": "idealfit.data.Digits",
            "batch_size": 64,
            "val_fraction": 0.2,
            "test_fraction": 0.2,
            "split_seed": 3,
            "limit": 500,
            "cache_dir": str(cache_dir),
        },
        "model": {"_target_": "idealfit.models.MLP", "depth": 1, "width": 32, "dropout": 0.2},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.01},
        "scheduler": None,
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "augment": None,
        "trainer": {"max_epochs": 3, "accelerator": "cpu", "batches_per_step": 3},
    }


@pytest.fixture
def own_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's package `own_nets`, importable."""
    package = tmp_path / "own"
    package.mkdir()
    (package / "own_nets.py").write_text(OWN_NETS)
    monkeypatch.syspath_prepend(package)


class Stop:
    """Asks to stop from the `after`-th look on."""

    def __init__(self, after: float = float("inf")) -> None:
        self.looks = 0
        self.after = after

    def is_set(self) -> bool:
        self.looks += 1
        return self.looks > self.after


@dataclass(frozen=True)
class Fitted:
    """What a fit returned and left behind."""

    result: FitResult
    directory: Path

    @property
    def bits(self) -> tuple[Any, ...]:
        """What must be the same in every run: weights, best weights, curves but for times."""
        times = ("epoch_seconds", "samples_per_second")
        curves = {name: curve for name, curve in self.result.curves.items() if name not in times}
        return self._digest("last.ckpt"), self._digest("best.pt"), curves

    def _digest(self, name: str) -> str:
        state = torch.load(self.directory / name, weights_only=True)
        state = state.get("state_dict", state)
        return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in state.values())).hexdigest()


@pytest.fixture
def stop_after() -> type[Stop]:
    """A stop signal that is given at the n-th look."""
    return Stop


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Fitted]:
    """`fit` with what a test does not care about filled in; the directory's name is the second argument."""

    def run_fit(config: JSON, directory: str = "checkpoints", **arguments: Any) -> Fitted:
        given: dict[str, Any] = {
            "objective": Objective(),
            "reporter": SilentReporter(),
            "stop": threading.Event(),
            "on_epoch": lambda epoch, metrics: None,
            "checkpoint_dir": tmp_path / directory,
            "trusted_packages": ["own_nets"],
            "num_threads": 1,
        }
        return Fitted(fit(copy.deepcopy(config), **{**given, **arguments}), tmp_path / directory)

    return run_fit
