"""Scoring the network on fixed, un-augmented images in eval mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from idealfit.tasks import TASKS, Task
from idealfit.train.measuring import Measure, more_metrics, no_outputs
from idealfit.train.task import Criterion

Part = Literal["train", "val"]


class EvalBatches(Protocol):
    """Where images to score come from: `data.TrainingData` is one."""

    def eval_batches(self, part: Part, *, rank: int = 0, world_size: int = 1) -> Iterable[tuple[Tensor, Tensor]]:
        """Batches of images `[B, C, H, W]` and labels or targets; together, the ranks get each image once."""
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
    """Loss and metrics of a network, by part.

    Attributes:
        criterion: The loss on logits and labels.
        sums_over_batch: Whether the criterion adds up a batch instead of averaging it.
        measure: What is measured beside the loss.
        parts: What to score.
        task: Decides what `more` may name.
        more: Further metrics, which need the outputs of all images at once.
    """

    criterion: Criterion
    sums_over_batch: bool
    measure: Measure
    parts: Sequence[Part]
    task: Task = TASKS["multi_class"]
    more: Sequence[str] = ()

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
        device = next(chain(model.parameters(), model.buffers())).device  # nearest neighbours have buffers alone
        with torch.inference_mode(), eval_mode(model):
            mine = {part: data.eval_batches(part, rank=ranks.rank, world_size=ranks.size) for part in self.parts}
            kept: dict[Part, list[tuple[Tensor, Tensor]]] = {part: [] for part in self.parts}
            rows = [self._sums(model, batches, convert, device, kept[part]) for part, batches in mine.items()]
            sums = ranks.add_up(torch.stack(rows)).tolist()
            more = {part: self._more(kept[part], ranks, device) for part in self.parts} if self.more else {}
        found = {}
        for part, (count, loss, *measured) in zip(self.parts, sums, strict=True):
            metrics = dict(zip(self.measure.names, self.measure.finish(count, measured), strict=True))
            for kind, value in {"loss": loss / count, **metrics, **more.get(part, {})}.items():
                found[f"{part}/{kind}"] = value
        return found

    def _more(self, kept: Sequence[tuple[Tensor, Tensor]], ranks: Ranks, device: torch.device) -> dict[str, float]:
        none = no_outputs(self.task, self.measure.num_classes, device)
        outputs, targets = (torch.cat(column) for column in zip(none, *kept, strict=True))
        outputs, targets = gathered(outputs, ranks).cpu(), gathered(targets, ranks).cpu()
        return more_metrics(self.task, self.more, self.measure.activation(outputs), targets, self.measure.num_classes)

    def _sums(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Tensor, Tensor]],
        convert: Callable[[Tensor], Tensor],
        device: torch.device,
        kept: list[tuple[Tensor, Tensor]],
    ) -> Tensor:
        """Float `[2 + ...]`: number of images, and over them the sum of losses and of what is measured.

        Outputs and targets go to `kept` where more is asked for.
        """
        # Double: float32 runs out of digits in a sum over a million images. (Apple's devices have no double.)
        precise = torch.float32 if device.type == "mps" else torch.float64
        sums = []
        for images, labels in batches:
            logits = model(convert(images))
            loss = self.criterion(logits, labels)
            row = [torch.full_like(loss, len(labels), dtype=precise)]
            row += [loss if self.sums_over_batch else loss * len(labels), *self.measure.sums(logits, labels)]
            sums.append(torch.cat([value.to(precise).reshape(-1) for value in row]))
            if self.more:
                kept.append((logits.float(), labels))
        if not sums:  # a rank without an image
            return torch.zeros(2 + self.measure.num_sums, dtype=precise, device=device)
        return torch.stack(sums).sum(dim=0)


def gathered(rows: Tensor, ranks: Ranks) -> Tensor:
    """The rows of all ranks, `[n, ...]` of each to `[N, ...]`: each puts its own between zeros, which add up."""
    if ranks.size == 1:
        return rows
    counts = torch.zeros(ranks.size, dtype=torch.int64, device=rows.device)
    counts[ranks.rank] = len(rows)
    counts = ranks.add_up(counts)
    start = int(counts[: ranks.rank].sum())
    everybody = rows.new_zeros(int(counts.sum()), *rows.shape[1:])
    everybody[start : start + len(rows)] = rows
    return ranks.add_up(everybody)


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
