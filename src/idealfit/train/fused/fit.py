"""`fit_group`: trials of one shape in, each one's curves out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as pl
import torch

from idealfit.config.schema import TrainerConfig
from idealfit.spec import UserError
from idealfit.train.assembly import device_facts, lean, make_trainer
from idealfit.train.batches import ChunkLoader
from idealfit.train.callbacks import Interrupted
from idealfit.train.fit import own_sigint
from idealfit.train.fused.admission import Admission
from idealfit.train.fused.errors import NotFusableError
from idealfit.train.fused.group import Group
from idealfit.train.fused.member import Applicant, Member
from idealfit.train.fused.memory import num_that_fit
from idealfit.train.fused.module import FusedClassifier, GroupEpochs
from idealfit.train.parts import trainer_config

Arrivals = Callable[[int], Sequence[Applicant]]
"""At most so many trials that wait, each once."""


def fit_group(arrivals: Arrivals, *, max_trials: int, num_threads: int | None, on_room: Callable[[int], None]) -> None:
    """Train whoever arrives, all at once, until all have ended and nobody waits any more.

    Trials join and leave between epochs. Each is told how it ended by its `on_end`; one that cannot be trained with the
    others by its `on_refusal`. An error that is no trial's own is raised, and whoever was told nothing is to be trained
    another way.

    Args:
        arrivals: Who waits.
        max_trials: At most so many at once.
        num_threads: CPU threads.
        on_room: Told how many fit the memory, if that is fewer.
    """
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    with lean(), tempfile.TemporaryDirectory() as root_dir:
        _Session(arrivals, max_trials, on_room, Path(root_dir)).run()


class _Session:
    def __init__(self, arrivals: Arrivals, max_trials: int, on_room: Callable[[int], None], root_dir: Path) -> None:
        self._arrivals = arrivals
        self._room = max_trials
        self._on_room = on_room
        self._root_dir = root_dir

    def run(self) -> None:
        """Set a trainer up for the first trial, admit others, train."""
        while first := list(self._arrivals(1)):
            try:
                config = trainer_config(first[0].config)
                trainer = self._make_trainer(config)
                self._admission = Admission(trainer.strategy.root_device, config.batches_per_step)
            except UserError as error:
                first[0].on_end(error)
                continue
            member = self._admission.admit(first[0])
            if member is not None:
                self._train(trainer, member)

    def _make_trainer(self, config: TrainerConfig) -> pl.Trainer:
        endless = replace(config, max_epochs=-1, min_epochs=1)  # each trial counts for itself
        return make_trainer(endless, [], root_dir=self._root_dir, enable_checkpointing=False)

    def _train(self, trainer: pl.Trainer, first: Member) -> None:
        room = num_that_fit(first.parts, trainer.strategy.root_device)
        if room < self._room:
            self._room = room
            self._on_room(room)
        members = [first, *self._next(1)]
        group = Group(trainer.strategy.root_device)
        try:
            group.compose(members)
        except NotFusableError as error:
            for member in members:
                member.applicant.on_refusal(str(error), True)
            return
        facts = device_facts(trainer) | {"fused": len(members)}
        trainer.callbacks = [GroupEpochs(group, self._next, facts)]  # type: ignore[attr-defined]
        loader = ChunkLoader(group.feed, first.parts.trainer.batches_per_step)
        loader.attach(trainer)
        with own_sigint(), suppress(Interrupted):
            trainer.fit(FusedClassifier(group), loader)

    def _next(self, num_there: int) -> list[Member]:
        """Who joins `num_there` others."""
        joining: list[Member] = []
        while num_there + len(joining) < self._room:
            waiting = self._arrivals(self._room - num_there - len(joining))
            if not waiting:
                break
            admitted = [self._admission.admit(applicant) for applicant in waiting]
            joining += [member for member in admitted if member is not None]
        return joining
