"""Adversarial images: how accurate is a network on validation images that are changed against it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from idealfit.config.schema import AttackConfig
from idealfit.data import ImageData, TrainingData
from idealfit.spec import ConfigError
from idealfit.tasks import Task
from idealfit.train.evaluation import EvalBatches, eval_mode
from idealfit.train.measuring import HITS, class_hits
from idealfit.train.task import Criterion

ROBUST_ACCURACY = "val/robust_accuracy"
STRIDE = 2.5  # of all steps together, in units of epsilon: enough to get to the edge from anywhere


@dataclass(frozen=True, eq=False)
class Attack:
    """Moves each pixel by at most `epsilon`, to where the loss is larger, and never off its range.

    One step is the fast gradient sign method (Goodfellow et al., 2015); more are projected gradient descent (Madry et
    al., 2018) from the image itself, so that the measure is the same each time.

    Attributes:
        criterion: The loss on logits and labels.
        epsilon: `[C, 1, 1]`, on the scale of normalised pixels.
        low: Black on that scale, `[C, 1, 1]`.
        high: White.
        num_steps: Gradients that are followed.
        hits: Says which images are still recognised.
    """

    criterion: Criterion
    epsilon: Tensor
    low: Tensor
    high: Tensor
    num_steps: int
    hits: Callable[[Tensor, Tensor], Tensor] = class_hits

    def __call__(self, model: nn.Module, data: EvalBatches, convert: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """`{"val/robust_accuracy": ...}`."""
        hits, count = torch.zeros((), dtype=torch.int64), 0
        with torch.enable_grad(), eval_mode(model), plain_kernels():
            for images, labels in data.eval_batches("val"):
                changed = self.changed(model, images, labels, convert)
                with torch.no_grad():
                    hits = hits.to(labels.device) + self.hits(model(convert(changed)), labels).sum()
                count += len(labels)
        return {ROBUST_ACCURACY: int(hits) / count}

    def changed(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        convert: Callable[[Tensor], Tensor] = lambda images: images,
    ) -> Tensor:
        """`images` `[B, C, H, W]` after the attack."""
        epsilon, low, high = (bound.to(images.device) for bound in (self.epsilon, self.low, self.high))
        near, far = (images - epsilon).maximum(low), (images + epsilon).minimum(high)
        step = epsilon if self.num_steps == 1 else epsilon * STRIDE / self.num_steps
        changed = images
        for _ in range(self.num_steps):
            changed = changed.detach().requires_grad_()
            loss = self.criterion(model(convert(changed)), labels)
            (gradient,) = torch.autograd.grad(loss, changed)
            changed = (changed.detach() + step * gradient.sign()).maximum(near).minimum(far)
        return changed.detach()


def plain_kernels() -> Any:
    """Recurrent kernels of cuDNN have no gradient in eval mode; torch's own have."""
    return torch.backends.cudnn.flags(enabled=False)


def make_attack(config: AttackConfig, data: TrainingData, criterion: Criterion, task: Task) -> Attack | None:
    """The attack that `config` asks for; None where its epsilon is 0.

    Raises:
        ConfigError: The data do not say what their pixels mean, or their images have no class.
    """
    if not config.epsilon:
        return None
    if task.name not in HITS:
        raise ConfigError(
            "trainer.attack.epsilon: the attack counts the images whose class is still recognised, and "
            f"task={task.name} gives images none. Take task=multi_class or binary, or epsilon 0"
        )
    if not isinstance(data, ImageData):
        raise ConfigError("trainer.attack.epsilon: a data module of your own does not say what black and white are")
    mean, std = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (data.mean, data.std))
    return Attack(
        criterion=criterion,
        epsilon=255.0 * config.epsilon / std,
        low=-mean / std,
        high=(255.0 - mean) / std,
        num_steps=config.steps,
        hits=HITS[task.name],
    )
