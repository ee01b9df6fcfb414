"""The learning-rate range test: the rate rises with every step, and the loss says which rates are of use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim import Optimizer

from idealfit.models.estimators import Estimator
from idealfit.spec import JSON, ConfigError, Objective, StopSignal
from idealfit.train.assembly import device_facts, lean, make_trainer, quiet
from idealfit.train.callbacks import EpochSeeds, Interrupted
from idealfit.train.fit import make_trainee, own_sigint
from idealfit.train.parts import Parts, make_parts
from idealfit.train.pretraining import pretraining
from idealfit.train.schedule import lr_factor

MEMORY = 0.9  # of the running mean of the losses: about the last ten count
TOO_HIGH = 4.0  # times the lowest loss so far: from here on it only gets worse
NUM_FIRST = 10  # steps whose losses say more about the batch than about the rate


@dataclass(kw_only=True)
class RangeTest:
    """What a test has found: a value for each step.

    Attributes:
        rates: Of `optimizer.lr`, rising.
        losses: Of the step's batch, before the step.
        smoothed: Their running mean, not biased by where it started.
    """

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    smoothed: list[float] = field(default_factory=list)

    def add(self, rate: float, loss: float) -> bool:
        """Take in one step; whether another one makes sense."""
        if not math.isfinite(loss):
            return False
        count = len(self.losses)
        before = self.smoothed[-1] * (1 - MEMORY**count) if count else 0.0
        self.rates.append(rate)
        self.losses.append(loss)
        self.smoothed.append((MEMORY * before + (1 - MEMORY) * loss) / (1 - MEMORY ** (count + 1)))
        return count < NUM_FIRST or self.smoothed[-1] <= TOO_HIGH * min(self.smoothed)

    @property
    def suggested(self) -> float | None:
        """The rate at which the loss falls fastest; None where it never falls.

        Smith (2017) reads it off the picture: it lies where the loss falls steeply, well below the rate of the lowest
        loss, behind which training diverges.
        """
        lowest = min(range(len(self.smoothed)), key=self.smoothed.__getitem__, default=0)
        slopes = {index: self.smoothed[index + 1] - self.smoothed[index - 1] for index in range(NUM_FIRST, lowest)}
        steepest = min(slopes, key=slopes.__getitem__, default=None)
        return self.rates[steepest] if steepest is not None and slopes[steepest] < 0 else None


class _Rise(Callback):
    """Sets the rate before each step, and notes the loss after it."""

    def __init__(self, found: RangeTest, rates: Sequence[float], scale: float, stop: StopSignal) -> None:
        self._found = found
        self._rates = rates
        self._scale = scale
        self._stop = stop

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A slower body stays as much slower."""
        self._ratios = _ratios(trainer.optimizers[0])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The next rate."""
        rate = self._rates[len(self._found.rates)] * self._scale
        for group, ratio in zip(trainer.optimizers[0].param_groups, self._ratios, strict=True):
            group["lr"] = rate * ratio

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Go on until the rates or the hopes end."""
        step = len(self._found.rates)
        goes_on = self._found.add(self._rates[step], float(outputs["loss"]))
        if not goes_on or step + 1 == len(self._rates) or self._stop.is_set():
            trainer.should_stop = True


def range_test(
    config: JSON,
    *,
    objective: Objective,
    rates: Sequence[float],
    stop: StopSignal,
    root_dir: Path,
    trusted_packages: Sequence[str] = (),
    num_threads: int | None = None,
) -> tuple[RangeTest, JSON]:
    """Train what `config` says, one step at each of `rates`, and throw the network away.

    Everything is as in its training but the rate: batches, augmentation, momentum, clipping, precision.

    Args:
        config: The resolved tree of one training run; `optimizer.lr` and `scheduler` have no say.
        objective: Of the training; what it asks for must be among what is logged.
        rates: Rising, for `optimizer.lr`; a test that diverges ends earlier.
        stop: Looked at after each step.
        root_dir: Lightning's; nothing is written there.
        trusted_packages: Packages whose classes may be built.
        num_threads: CPU threads.

    Returns:
        The test, and facts of what was trained.

    Raises:
        UserError: The config does not fit together, or has no learning rate that could rise.
    """
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    found = RangeTest()
    with lean():
        config = {**config, "scheduler": None}  # some set a momentum of their own before the first step
        parts = rangeable(make_parts(config, objective=objective, trusted=trusted_packages), len(rates))
        trainee = make_trainee(parts)
        scale = lr_factor(parts.trainer, config["data"].get("batch_size"))
        layers = pretraining(parts.net, parts.data, config["seed"], stop)
        callbacks = [*layers, EpochSeeds(config["seed"], trainee.loader), _Rise(found, rates, scale, stop)]
        trainer = make_trainer(parts.trainer, callbacks, root_dir=root_dir, enable_checkpointing=False)
        device = trainer.strategy.root_device
        parts.data.to(device)
        parts.loss.to(device)
        trainee.loader.attach(trainer)
        with own_sigint(), suppress(Interrupted):  # of pre-training
            trainer.fit(trainee.module, trainee.loader)
    return found, parts.facts() | device_facts(trainer)


def check_rangeable(config: JSON, objective: Objective, trusted_packages: Sequence[str] = ()) -> None:
    """Refuse a config that no range test can be made of.

    Raises:
        UserError: See `range_test`.
    """
    with quiet():
        rangeable(make_parts(config, objective=objective, trusted=trusted_packages), 1)


def rangeable(parts: Parts, num_steps: int) -> Parts:
    """The parts of a training as those of a test: one batch a step, as many epochs as the steps take.

    Raises:
        ConfigError: It has no learning rate that could rise, or its steps are not ours.
    """
    name = type(parts.net).__name__
    if isinstance(parts.net, Estimator):
        raise ConfigError(f"model {name} has no learning rate")
    if isinstance(parts.net, pl.LightningModule):
        raise ConfigError(
            f"model {name} has a training_step of its own: lightning.pytorch.tuner.Tuner.lr_find tests its rates"
        )
    if parts.trainer.devices > 1:
        raise ConfigError("trainer.devices: a range test trains on one device: take trainer.devices=1")
    num_epochs = -(-num_steps // parts.data.num_train_batches)
    # Lightning ends within an epoch only where none is the least.
    trainer = replace(parts.trainer, batches_per_step=1, max_epochs=num_epochs, min_epochs=0)
    return replace(parts, trainer=trainer)


def _ratios(optimizer: Optimizer) -> list[float]:
    first = optimizer.param_groups[0]["lr"]
    return [group["lr"] / first if first else 1.0 for group in optimizer.param_groups]
