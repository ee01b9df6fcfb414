"""The LightningModule that trains a network: several optimizer steps in one call, nothing read from the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from idealfit.train.batches import Batch, Chunk
from idealfit.train.optimizer_steps import quick_step, quick_zero_grad
from idealfit.train.schedule import Schedule
from idealfit.train.task import Criterion


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """How one optimizer step is made.

    Attributes:
        gradient_clip_val: Largest norm of all gradients together; None leaves them.
        num_micro_batches: Pieces that a batch is worked off in: less memory, the same gradient.
        averages_batch: Whether the criterion averages over a batch (else it adds up).
        l1: Weight of the sum of the absolute weights in what is minimised; the loss that is shown is without it.
        max_norm: Largest norm of the weights that lead into one unit, held after each step; None leaves them.
    """

    gradient_clip_val: float | None = None
    num_micro_batches: int = 1
    averages_batch: bool = True
    l1: float = 0.0
    max_norm: float | None = None


class ManualModule(pl.LightningModule):
    """Makes its optimizer steps itself, and is called often."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning names the running hook here 44 times a call; nn.Module's way costs 5 us each time.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)


class Classifier(ManualModule):
    """Trains `net` by `criterion` on chunks of batches.

    Lightning pays about 0.8 ms for every call of `training_step`, as much as a whole step of a small network; a chunk
    of batches shares it. The bits are those of one batch a call. Steps call `logits_of`, e.g. its compiled twin, in the
    place of `net` where it is given.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        criterion: Criterion,
        optimizer: Optimizer,
        schedule: Schedule | None,
        options: StepOptions,
        logits_of: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.loss = loss  # registered, so that weights it holds move to the device
        self._criterion = criterion
        self._optimizer = optimizer
        self._schedule = schedule
        self._options = options
        self._logits_of = logits_of or net.__call__
        # Biases and the scales of batch norm are one-dimensional, and no regulariser is meant for them.
        self._weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]

    def configure_optimizers(self) -> Any:
        """The optimizer; with it a scheduler that steps per batch, so that Lightning saves and restores its state."""
        if self._schedule is None or not self._schedule.is_per_batch:
            return self._optimizer
        return {"optimizer": self._optimizer, "lr_scheduler": self._schedule.scheduler}

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        return cast("Tensor", self.net(images))

    def training_step(self, chunk: Chunk, batch_idx: int) -> dict[str, Any]:
        """One optimizer step for each batch of the chunk. Returns the summed loss, still on the device."""
        backward, step = self._ways()
        zero_grad = quick_zero_grad(self._optimizer)
        schedule = self._schedule.scheduler if self._schedule and self._schedule.is_per_batch else None
        loss_sum = torch.zeros((), device=self.device)
        num_ranks = self.trainer.world_size
        for batch, rank_weight in chunk:
            zero_grad()
            # Ranks average their gradients: a mean counts by its number of images, a sum goes in whole.
            factor = rank_weight if self._options.averages_batch else float(num_ranks)
            for images, labels, share in self._micro_batches(batch):
                loss = self._criterion(self._logits_of(images), labels)
                loss_sum += loss.detach()
                weight = share * factor
                backward(loss if weight == 1.0 else loss * weight)
            step()
            if self._options.max_norm is not None:
                limit_norms(self._learning_weights(), self._options.max_norm)
            if schedule:
                schedule.step()
        return {"loss": loss_sum, "num_samples": chunk.num_samples}

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Here, for where gradients are scaled for half precision, they have been scaled back by now."""
        self._finish_gradients()

    def _ways(self) -> tuple[Callable[[Tensor], Any], Callable[[], Any]]:
        """How to go backward and to step: Lightning's way where it does more than torch's (ranks, scaled gradients)."""
        is_plain = isinstance(self.trainer.strategy, SingleDeviceStrategy)
        if not is_plain or getattr(self.trainer.precision_plugin, "scaler", None):
            return self.manual_backward, cast("Optimizer", self.optimizers()).step
        return Tensor.backward, self._plain_step()

    def _plain_step(self) -> Callable[[], None]:
        """What LightningOptimizer.step comes to on one device without scaled gradients; its hooks cost 90 us a step."""
        move = quick_step(self._optimizer)
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress

        def step() -> None:
            self._finish_gradients()
            move()
            progress.increment_ready()  # together these are `trainer.global_step`
            progress.increment_completed()

        return step

    def _finish_gradients(self) -> None:
        if self._options.l1:
            for weight in self._learning_weights():
                if weight.grad is not None:
                    weight.grad.add_(weight.detach().sign(), alpha=self._options.l1)
        if self._options.gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), self._options.gradient_clip_val)

    def _learning_weights(self) -> Iterator[Tensor]:
        """Without those that are frozen now."""
        return (weight for weight in self._weights if weight.requires_grad)

    def _micro_batches(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor, float]]:
        """Pieces of a batch, each with its share of the batch's loss."""
        images, labels = batch
        if self._options.num_micro_batches == 1:
            yield images, labels, 1.0
            return
        num_pieces = min(self._options.num_micro_batches, len(labels))
        for piece, piece_labels in zip(images.tensor_split(num_pieces), labels.tensor_split(num_pieces), strict=True):
            yield piece, piece_labels, len(piece_labels) / len(labels) if self._options.averages_batch else 1.0


def limit_norms(weights: Iterable[Tensor], largest: float) -> None:
    """Shrink the weights that lead into each unit, a row or a kernel, to a norm of at most `largest`.

    Srebro and Shraibman (2005), as Hinton et al. (2012) use it with dropout.
    """
    with torch.no_grad():
        for weight in weights:
            rows = weight.flatten(1)
            weight.mul_((largest / rows.norm(dim=1).clamp(min=largest)).view(-1, *[1] * (weight.ndim - 1)))
