"""Scoring the network on fixed, un-augmented images in eval mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from idealfit.train.task import METRIC_KINDS, MIN_CLASSES_FOR_TOP_K, TOP_K, Criterion

Part = Literal["train", "val"]


class EvalBatches(Protocol):
    """Where images to score come from: `data.TrainingData` is one."""

    def eval_batches(self, part: Part, *, rank: int = 0, world_size: int = 1) -> Iterable[tuple[Tensor, Tensor]]:
        """Batches of images `[B, C, H, W]` and labels `[B]`; together, the ranks get each image once."""
        ...


@dataclass(frozen=True)
class Ranks:
    """The processes that train one network together, as one of them sees them.

    Attributes:
        rank: Which one this is, from 0.
        size: How many there are.
        add_up: Adds up a tensor over all of them; each gets the sum.
    """

    rank: int = 0
    size: int = 1
    add_up: Callable[[Tensor], Tensor] = lambda tensor: tensor


ALONE = Ranks()


@dataclass(frozen=True)
class Evaluation:
    """Loss and accuracies of a network, by part.

    Attributes:
        criterion: The loss on logits and labels.
        sums_over_batch: Whether the criterion adds up a batch instead of averaging it.
        num_classes: From 10 classes up, top-5 accuracy is measured too.
        parts: What to score.
    """

    criterion: Criterion
    sums_over_batch: bool
    num_classes: int
    parts: Sequence[Part]

    def __call__(
        self,
        model: nn.Module,
        data: EvalBatches,
        convert: Callable[[Tensor], Tensor] = lambda images: images,
        ranks: Ranks = ALONE,
    ) -> dict[str, float]:
        """`{"val/loss": ..., "val/accuracy": ..., ...}`. The device is read once, when all parts are through.

        Args:
            model: Images to logits.
            data: What it is scored on.
            convert: Turns images into the precision of the model.
            ranks: Those that share the work; each gets the metrics of all images.
        """
        with torch.inference_mode(), eval_mode(model):
            mine = {part: data.eval_batches(part, rank=ranks.rank, world_size=ranks.size) for part in self.parts}
            sums = ranks.add_up(torch.stack([self._sums(model, batches, convert) for batches in mine.values()]))
            means = (sums[:, 1:] / sums[:, :1]).tolist()
        kinds = METRIC_KINDS[: len(means[0])]
        return {
            f"{part}/{kind}": value
            for part, row in zip(self.parts, means, strict=True)
            for kind, value in zip(kinds, row, strict=True)
        }

    def _sums(
        self, model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], convert: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Float `[3]` or `[4]`: number of images, and over them the sum of losses, hits and top-5 hits."""
        device = next(chain(model.parameters(), model.buffers())).device  # nearest neighbours have buffers alone
        # Double: float32 runs out of digits in a sum over a million images. (Apple's devices have no double.)
        precise = torch.float32 if device.type == "mps" else torch.float64
        has_top_k = self.num_classes >= MIN_CLASSES_FOR_TOP_K
        sums = [torch.zeros(4 if has_top_k else 3, dtype=precise, device=device)]  # for a rank without an image
        for images, labels in batches:
            logits = model(convert(images))
            loss = self.criterion(logits, labels)
            row = [torch.full_like(loss, len(labels), dtype=precise)]
            row += [loss if self.sums_over_batch else loss * len(labels), (logits.argmax(dim=1) == labels).sum()]
            if has_top_k:
                row.append((logits.topk(TOP_K, dim=1).indices == labels[:, None]).sum())
            sums.append(torch.stack([value.to(precise) for value in row]))
        return torch.stack(sums).sum(dim=0)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards each module is as it was, frozen ones of a user's net too."""
    was_training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in was_training:
            module.training = True
