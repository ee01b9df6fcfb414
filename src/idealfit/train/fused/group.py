"""The trials of a group as one program: what is computed in a step, and after an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from idealfit.data import Part
from idealfit.train.fused.feed import Feed
from idealfit.train.fused.layers import Fold
from idealfit.train.fused.losses import StackedLoss
from idealfit.train.fused.member import Member
from idealfit.train.fused.noise import Noise
from idealfit.train.fused.optimizers import StackedOptimizer
from idealfit.train.fused.stack import Stack, check_stack
from idealfit.train.task import METRIC_KINDS, MIN_CLASSES_FOR_TOP_K, TOP_K

NUM_CHECKED_IMAGES = 4


class Group:
    """Some trials of one shape.

    Attributes:
        members: The trials, in the order of the stack.
        feed: Their batches.
    """

    def __init__(self, device: torch.device) -> None:
        self.members: list[Member] = []
        self.feed = Feed()
        self._device = device
        self._noise = Noise()
        self._is_checked = False
        self._may_share = True

    def compose(self, members: Sequence[Member]) -> None:
        """Take these trials: stack their weights and all that goes with them anew.

        Raises:
            NotFusableError: They are of a kind that cannot be stacked.
        """
        self.members = list(members)
        first = members[0].parts
        nets = [member.parts.net for member in members]
        self._fold = Fold(len(members), self._noise)
        self._stack = Stack(nets, self._fold)
        self._loss = StackedLoss([member.parts.loss for member in members], first.data.num_classes, self._device)
        self._optimizer = StackedOptimizer(self._stack, [member.parts.stepper for member in members])
        self._schedules = [
            member.parts.schedule.scheduler
            for member in members
            if member.parts.schedule and member.parts.schedule.is_per_batch
        ]
        if not self._is_checked:
            images, _ = next(iter(first.data.eval_batches("train" if first.trainer.train_eval else "val")))
            self._may_share = check_stack(self._stack, nets, self._fold, images[:NUM_CHECKED_IMAGES])
            self._is_checked = len(nets) > 1
        self._begin_feed()

    def begin_epoch(self) -> None:
        """Seed dropout, turn the batches to each trial's epoch, read the learning rates."""
        self._begin_feed()
        self._noise.begin_epoch([(m.applicant.config["seed"], m.epoch) for m in self.members], self._device)
        self._optimizer.refresh()
        self.lrs = [member.lr for member in self.members]
        self.loss_sums = torch.zeros(len(self.members), device=self._device)
        self.num_samples = 0

    def train(self, images: Tensor, labels: Tensor) -> None:
        """One optimizer step of each trial, on shared or folded images."""
        self._set_rows(images, is_shared=self._is_shared)
        self._stack.zero_grad()
        losses = self._loss(self._logits(images), labels)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.loss_sums += losses.detach()
        self.num_samples += self._fold.num_rows
        if self._schedules:
            for schedule in self._schedules:
                schedule.step()
            self._optimizer.refresh()

    def evaluate(self, convert: Callable[[Tensor], Tensor]) -> list[dict[str, float]]:
        """By trial: `{"val/loss": ..., "val/accuracy": ..., ...}`. The device is read once."""
        parts = self.members[0].parts.evaluation.parts
        self._stack.net.eval()
        with torch.inference_mode():
            means = torch.stack([self._means(part, convert) for part in parts], dim=1).tolist()
        self._stack.net.train()
        return [
            {
                f"{part}/{kind}": value
                for part, row in zip(parts, rows, strict=True)
                for kind, value in zip(METRIC_KINDS, row, strict=False)
            }
            for rows in means
        ]

    def _begin_feed(self) -> None:
        trials = [(member.parts.data, member.epoch) for member in self.members]
        self.feed.begin_epoch(trials)
        self._is_shared = self.feed.shares_training

    def _logits(self, images: Tensor) -> Tensor:
        """Folded, `[K * B, num_classes]`."""
        if not self._may_share and self._fold.is_shared(images):
            images = images.repeat(len(self.members), 1, 1, 1)
        return cast("Tensor", self._stack.net(images))

    def _set_rows(self, images: Tensor, *, is_shared: bool) -> None:
        self._fold.num_rows = len(images) if is_shared else len(images) // len(self.members)

    def _means(self, part: Part, convert: Callable[[Tensor], Tensor]) -> Tensor:
        """Double `[K, 2]` or `[K, 3]`: mean loss, accuracy, top-5 accuracy of each trial."""
        num_trials = len(self.members)
        first = self.members[0].parts
        has_top = first.data.num_classes >= MIN_CLASSES_FOR_TOP_K
        sums, count = [], 0
        for images, labels in self.feed.eval_batches(part):
            self._set_rows(images, is_shared=self.feed.shares_evaluation)
            num_rows = self._fold.num_rows
            logits = self._logits(convert(images))
            losses = self._loss(logits, labels)
            right = labels.repeat(num_trials) if len(labels) != len(logits) else labels
            row = [
                losses * num_rows if first.averages_batch else losses,
                _count(logits.argmax(dim=1) == right, num_trials),
            ]
            if has_top:
                found = (logits.topk(TOP_K, dim=1).indices == right[:, None]).any(dim=1)
                row.append(_count(found, num_trials))
            precise = torch.float32 if logits.device.type == "mps" else torch.float64
            sums.append(torch.stack([value.to(precise) for value in row], dim=1))
            count += num_rows
        return torch.stack(sums).sum(dim=0) / count


def _count(hits: Tensor, num_trials: int) -> Tensor:
    return hits.view(num_trials, -1).sum(dim=1)
