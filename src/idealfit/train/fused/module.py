"""The LightningModule that trains a group, and the callback that takes trials in and lets them go."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from idealfit.spec import JSON
from idealfit.train.batches import Chunk
from idealfit.train.callbacks import SHORT_EPOCH_S, Interrupted
from idealfit.train.classifier import ManualModule
from idealfit.train.fused.group import Group
from idealfit.train.fused.member import Member

NextMembers = Callable[[int], list[Member]]
"""Trials that wait to join a group with so many members."""


class FusedClassifier(ManualModule):
    """Trains all trials of `group` by the same batches or by batches of their own, a chunk of batches a call."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group

    def configure_optimizers(self) -> Any:
        """None that Lightning would know: each trial has its own, and trials come and go."""
        return []

    def training_step(self, chunk: Chunk, batch_idx: int) -> None:
        """One optimizer step of each trial for each batch of the chunk."""
        train = self.group.train
        for (images, labels), _ in chunk:
            train(images, labels)


class GroupEpochs(Callback):
    """Measures an epoch, tells each trial, lets go those that are over, takes in those that wait.

    Args:
        group: What is trained.
        next_members: Who waits.
        facts: What the results of these trials have in common.
    """

    def __init__(self, group: Group, next_members: NextMembers, facts: JSON) -> None:
        self._group = group
        self._next_members = next_members
        self._facts = facts
        self._last_seconds = float("inf")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, seed."""
        self._started = time.perf_counter()
        self._group.begin_epoch()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Let go at once who is asked to stop, unless a short epoch has begun: it is finished and saved first."""
        is_short = self._last_seconds <= SHORT_EPOCH_S
        staying = [member for member in self._group.members if not member.has_left]
        for member in staying:
            if member.applicant.stop.is_set() and (not is_short or (batch_idx == 0 and member.is_saved)):
                member.break_off(self._facts)
        if all(member.has_left for member in staying):
            raise Interrupted

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See the class."""
        group = self._group
        loss_sums = group.loss_sums.tolist()  # waits for the device
        train_seconds = time.perf_counter() - self._started
        with trainer.precision_plugin.val_step_context():
            metrics = group.evaluate(trainer.precision_plugin.convert_input)
        self._last_seconds = time.perf_counter() - self._started
        for member, loss_sum, measured, lr in zip(group.members, loss_sums, metrics, group.lrs, strict=True):
            measured["lr"] = lr
            measured["epoch_seconds"] = self._last_seconds
            measured["samples_per_second"] = group.num_samples / train_seconds
            if not member.has_left:
                member.end_epoch(loss_sum, measured)
        with trainer.precision_plugin.val_step_context():
            self._let_go()
        self._turn_over(trainer)

    def _let_go(self) -> None:
        for member in self._group.members:
            if member.is_over and not member.has_left:
                member.leave(self._facts)

    def _turn_over(self, trainer: pl.Trainer) -> None:
        members = self._group.members
        staying = [member for member in members if not member.has_left]
        coming = self._next_members(len(staying))
        if not staying and not coming:
            trainer.should_stop = True
        elif coming or len(staying) < len(members):
            self._group.compose([*staying, *coming])
