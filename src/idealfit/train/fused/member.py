"""One trial of a group: its parts, its curves, its checkpoints. What a trial alone does after an epoch, it does too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from idealfit.objective import constants_of
from idealfit.predictions import Predictions
from idealfit.record import BEST_WEIGHTS
from idealfit.spec import JSON, Objective, Reporter, StopSignal
from idealfit.train.assembly import early_stopping
from idealfit.train.callbacks import EpochEnd, History, Interrupted, check_finite
from idealfit.train.checkpoints import LAST_CHECKPOINT, Checkpoints, SafeCheckpointIO, save_atomically
from idealfit.train.fit import FitResult, Outcome
from idealfit.train.fused.resume import checkpoint_of, restore
from idealfit.train.parts import Parts
from idealfit.train.predicting import best_predictions


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """A trial that asks to be trained: what `fit` takes, and who is told how it ended.

    Attributes:
        on_end: Told the result, or the error that ended it.
        on_refusal: Told why it must be trained alone, and whether that goes for all of its shape.
    """

    config: JSON
    objective: Objective
    reporter: Reporter
    stop: StopSignal
    on_epoch: Callable[[int, dict[str, float]], None]
    checkpoint_dir: Path
    trusted_packages: Sequence[str]
    on_end: Callable[[FitResult | BaseException], None]
    on_refusal: Callable[[str, bool], None]


@dataclass
class MemberTrainer:
    """As much of a Lightning trainer as the callbacks of a trial look at. They do not see that it has company."""

    max_epochs: int
    min_epochs: int
    save_checkpoint: Callable[..., None]
    current_epoch: int = 0
    should_stop: bool = False
    is_global_zero: bool = True
    fast_dev_run: bool = False
    sanity_checking: bool = False
    callback_metrics: dict[str, Tensor] = field(default_factory=dict)
    state: Any = field(default_factory=lambda: SimpleNamespace(fn=TrainerFn.FITTING))
    strategy: Any = field(
        default_factory=lambda: SimpleNamespace(
            broadcast=lambda value: value, reduce_boolean_decision=lambda value, all=True: value
        )
    )


class Member:
    """One trial of a group.

    Attributes:
        applicant: Who asked for it.
        parts: What it is made of; its network is a view into the group's stack.
        error: What ended it, None as long as nothing did.
        is_stopped: Whether it was asked to stop, and did.
        has_left: Whether its end was told.
    """

    def __init__(self, applicant: Applicant, parts: Parts, *, chunk_size: int) -> None:
        self.applicant = applicant
        self.parts = parts
        self.error: BaseException | None = None
        self.is_stopped = False
        self.has_left = False
        self._chunk_size = chunk_size
        self._history = History(constants=constants_of(parts.facts()))
        self._started = time.perf_counter()
        config = parts.trainer
        self._trainer = MemberTrainer(
            max_epochs=config.max_epochs, min_epochs=config.min_epochs, save_checkpoint=self._save
        )
        self._epoch_end = EpochEnd(
            evaluation=parts.evaluation,
            attack=None,
            data=parts.data,
            schedule=parts.schedule,
            objective=applicant.objective,
            monitors=parts.monitors,
            reporter=applicant.reporter,
            on_epoch=applicant.on_epoch,
            history=self._history,
        )
        self._checkpoints = Checkpoints(
            applicant.checkpoint_dir,
            every_s=config.checkpoint_every_s,
            objective=applicant.objective,
            history=self._history,
            stop=applicant.stop,
            network=lambda _: parts.net,
        )
        stopping = early_stopping(config)
        for callback in stopping:
            callback.setup(self._as_trainer, cast("pl.LightningModule", None), "fit")
        self._after = [*stopping, self._checkpoints]
        self._callbacks: list[Callback] = [self._epoch_end, *self._after]

    def load(self) -> None:
        """Go on from the last checkpoint, if there is one.

        Raises:
            StudyError: It cannot be gone on from.
        """
        path = self.applicant.checkpoint_dir / LAST_CHECKPOINT
        self.applicant.checkpoint_dir.mkdir(parents=True, exist_ok=True)
        with self._checkpoints.going_on_from(path):
            if path.exists():
                restore(SafeCheckpointIO().load_checkpoint(path), self.parts, self._callbacks)
        self._checkpoints.on_train_start(self._as_trainer, cast("pl.LightningModule", None))

    @property
    def epoch(self) -> int:
        """The epoch that it trains next, from 0."""
        return self._history.num_epochs

    @property
    def lr(self) -> float:
        """The learning rate of the epoch that begins."""
        return float(self.parts.stepper.param_groups[0]["lr"])

    @property
    def is_saved(self) -> bool:
        """Whether a checkpoint holds all its epochs."""
        return self._history.num_saved == self.epoch

    @property
    def is_over(self) -> bool:
        """Whether it trains no more."""
        is_trained = self._trainer.should_stop or self.epoch >= self._trainer.max_epochs
        return self.error is not None or self.is_stopped or is_trained

    def end_epoch(self, loss_sum: float, metrics: dict[str, float]) -> None:
        """Take in an epoch's metrics; whatever goes wrong with it ends this trial alone."""
        try:
            check_finite(loss_sum, "training", self.epoch)
            check_finite(metrics["val/loss"], "validation", self.epoch)
            self._trainer.current_epoch = self.epoch
            self._epoch_end.take(self._as_trainer, metrics)
            for callback in self._after:
                callback.on_train_epoch_end(self._as_trainer, cast("pl.LightningModule", None))
            if self.applicant.stop.is_set() and not self.is_over:
                self.is_stopped = True
        except Exception as error:  # noqa: BLE001 - the others go on
            self.error = error

    def leave(self, facts: JSON) -> None:
        """Say how it ended."""
        self.has_left = True
        try:  # weights have moved on since the last epoch, but the best ones are kept
            self._checkpoints.on_exception(self._as_trainer, cast("pl.LightningModule", None), Interrupted())
        except OSError as error:
            self.error = self.error or error
        try:
            outcome: FitResult | BaseException = self.error or self._result(facts)
        except Exception as error:  # noqa: BLE001 - a disk may fail in any way; the others go on
            outcome = error
        self.applicant.on_end(outcome)

    def break_off(self, facts: JSON) -> None:
        """Leave in the middle of an epoch, which the next attempt repeats."""
        self.is_stopped = True
        self.leave(facts)

    def _result(self, facts: JSON) -> FitResult:
        outcome: Outcome = "pruned" if self._history.is_pruned else "interrupted" if self.is_stopped else "complete"
        return FitResult(
            outcome=outcome,
            curves=self._history.curves,
            facts=self.parts.facts() | facts,
            num_epochs=self.epoch,
            fit_seconds=time.perf_counter() - self._started,
            predictions=None if outcome == "interrupted" else self._predictions(),
        )

    def _predictions(self) -> Predictions | None:
        """What the best weights say: loaded into this trial's part of the stack, which nobody trains further."""
        precision = next(self.parts.net.parameters()).dtype
        weights = self.applicant.checkpoint_dir / BEST_WEIGHTS
        return best_predictions(self.parts.net, self.parts, weights, lambda images: images.to(precision))

    @property
    def _as_trainer(self) -> pl.Trainer:
        return cast("pl.Trainer", self._trainer)

    def _save(self, path: Path, weights_only: bool = False) -> None:
        save_atomically(checkpoint_of(self.parts, self._callbacks, self.epoch, self._chunk_size), path)
