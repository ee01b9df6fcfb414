"""What happens around an epoch: seeds before it, measuring, recording and reporting after it, stopping in between."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor

from idealfit.data.rng import epoch_seed
from idealfit.spec import NonFiniteLossError, Objective, Reporter, StopSignal
from idealfit.train.attack import Attack
from idealfit.train.batches import EpochLoader
from idealfit.train.distributed import ranks_of, share_buffers
from idealfit.train.evaluation import EvalBatches, Evaluation
from idealfit.train.schedule import Schedule
from idealfit.train.task import check_metric, check_objective

SHORT_EPOCH_S = 1.0  # an epoch that takes less is finished before an interruption, so that nothing of it is lost


class Interrupted(Exception):  # noqa: N818 - a request, not an error
    """Somebody asked the fit to stop."""


@dataclass
class History:
    """What a fit has found so far; saved with every checkpoint.

    Attributes:
        curves: By metric one value an epoch; NaN where an epoch did not log it.
        is_pruned: Whether the reporter said to stop.
        num_saved: Epochs that a checkpoint holds.
        constants: What the objective may ask for and is the same in every epoch; not saved.
        is_refit: No image is left to choose an epoch by: the last weights count as the best; not saved.
    """

    curves: dict[str, list[float]] = field(default_factory=dict)
    is_pruned: bool = False
    num_saved: int = 0
    constants: dict[str, float] = field(default_factory=dict)
    is_refit: bool = False

    @property
    def num_epochs(self) -> int:
        """Epochs finished."""
        return max(map(len, self.curves.values()), default=0)

    def append(self, metrics: dict[str, float]) -> None:
        """Add one epoch."""
        num_epochs = self.num_epochs
        for name in [*self.curves, *(name for name in metrics if name not in self.curves)]:
            curve = self.curves.setdefault(name, [math.nan] * num_epochs)
            curve.append(metrics.get(name, math.nan))


class EpochSeeds(Callback):
    """Seeds every generator from (seed, epoch, rank), so that a resumed fit draws what an uninterrupted one would."""

    def __init__(self, seed: int, loader: EpochLoader) -> None:
        self._seed = seed
        self._loader = loader

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed, and turn the loader to this epoch."""
        self._loader.epoch = trainer.current_epoch
        seed = epoch_seed(self._seed, trainer.current_epoch, trainer.global_rank)
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)


class Interruption(Callback):
    """Leaves the fit between two chunks when asked to; a short epoch that has begun is finished and saved first."""

    def __init__(self, stop: StopSignal, history: History) -> None:
        self._stop = stop
        self._history = history

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look at the signal."""
        if trainer.strategy.reduce_boolean_decision(self._stop.is_set(), all=False):
            seconds = self._history.curves.get("epoch_seconds", [math.inf])
            is_saved = self._history.num_saved == self._history.num_epochs
            if seconds[-1] > SHORT_EPOCH_S or (batch_idx == 0 and is_saved):
                raise Interrupted


class EpochEnd(Checkpoint):
    """Measures, records and reports an epoch.

    A `Checkpoint` only because Lightning calls those after the epoch end of the module, which may log something itself.

    Args:
        evaluation: Scores the network; `data` is what it scores it on.
        attack: Scores it on images changed against it, too; None leaves that out.
        schedule: Steps after the epoch unless it steps per batch.
        monitors: Further metrics by config key that somebody relies on.
        on_epoch: Told the metrics of every epoch, on rank 0.
    """

    def __init__(
        self,
        *,
        evaluation: Evaluation,
        attack: Attack | None,
        data: EvalBatches,
        schedule: Schedule | None,
        objective: Objective,
        monitors: dict[str, str],
        reporter: Reporter,
        on_epoch: Callable[[int, dict[str, float]], None],
        history: History,
    ) -> None:
        self._evaluation = evaluation
        self._attack = attack
        self._data = data
        self._schedule = schedule
        self._objective = objective
        self._monitors = monitors
        self._reporter = reporter
        self._on_epoch = on_epoch
        self._history = history

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]
        self._loss_sum = torch.zeros((), device=pl_module.device)
        self._num_samples = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add up the training loss on the device; a sum is finite only if every loss was."""
        if outputs and isinstance(outputs.get("loss"), Tensor):
            self._loss_sum += outputs["loss"]
        self._num_samples += outputs["num_samples"] if outputs and "num_samples" in outputs else len(batch[1])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure, step the schedule, record, report."""
        epoch = trainer.current_epoch
        ranks = ranks_of(trainer)
        counted = torch.tensor(self._num_samples, dtype=self._loss_sum.dtype, device=self._loss_sum.device)
        loss_sum, num_samples = ranks.add_up(torch.stack([self._loss_sum, counted])).tolist()  # waits for the device
        check_finite(loss_sum, "training", epoch)
        seconds = time.perf_counter() - self._started
        share_buffers(pl_module, ranks)
        with trainer.precision_plugin.val_step_context():
            metrics = self._evaluation(pl_module, self._data, trainer.precision_plugin.convert_input, ranks)
            if self._attack:
                metrics |= self._attack(pl_module, self._data, trainer.precision_plugin.convert_input)
        check_finite(metrics["val/loss"], "validation", epoch)
        metrics["lr"] = self._lr
        metrics["epoch_seconds"] = time.perf_counter() - self._started
        metrics["samples_per_second"] = num_samples / seconds
        own = {name: float(value) for name, value in trainer.callback_metrics.items() if name not in metrics}
        metrics = trainer.strategy.broadcast(metrics | own)  # clocks and what a user's module logs differ by rank
        if epoch == 0 or own:  # what a user's own module logs is known only now
            self._check_names(metrics)
        self.take(trainer, metrics)

    def take(self, trainer: pl.Trainer, metrics: dict[str, float]) -> None:
        """Record and report the trainer's epoch as it was measured, step the schedule."""
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})
        if self._schedule:
            self._schedule.step_epoch(metrics["val/loss"])
        self._history.append(metrics)
        self._tell(trainer, trainer.current_epoch, metrics)

    def _check_names(self, metrics: dict[str, float]) -> None:
        check_objective(self._objective, metrics)
        for key, name in self._monitors.items():
            check_metric(key, name, metrics)

    def _tell(self, trainer: pl.Trainer, epoch: int, metrics: dict[str, float]) -> None:
        prune = False
        if trainer.is_global_zero:
            self._on_epoch(epoch, metrics)
            score = self._objective.curve(self._history.curves, self._history.constants)[-1]
            prune = self._reporter.report(epoch, score)
        # After its last epoch a fit is complete; before its first ones Lightning would not stop.
        can_stop = (trainer.min_epochs or 0) <= epoch + 1 and epoch + 1 != trainer.max_epochs
        if trainer.strategy.broadcast(prune) and can_stop:
            self._history.is_pruned = True
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Curves and schedule: plain numbers and lists, which `weights_only` loading reads."""
        schedule = self._schedule.scheduler.state_dict() if self._schedule else None
        return {"curves": self._history.curves, "is_pruned": self._history.is_pruned, "schedule": schedule}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` left off."""
        self._history.curves = {str(name): list(map(float, curve)) for name, curve in state_dict["curves"].items()}
        self._history.is_pruned = state_dict["is_pruned"]
        if self._schedule:
            self._schedule.scheduler.load_state_dict(state_dict["schedule"])


def check_finite(loss: float, kind: str, epoch: int) -> None:
    """Check the sum of an epoch's losses.

    Raises:
        NonFiniteLossError: It is not finite.
    """
    if not math.isfinite(loss):
        raise NonFiniteLossError(
            f"the {kind} loss became {loss} in epoch {epoch}; "
            "a smaller optimizer.lr or trainer.gradient_clip_val=1 may help"
        )
