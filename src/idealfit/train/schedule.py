"""Learning rates: how they go with the batch size, and when a scheduler moves them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from idealfit.config.schema import TrainerConfig
from idealfit.spec import ConfigError

RATES = ("lr", "max_lr", "base_lr", "eta_min", "min_lr")
"""Arguments of optimizers and schedulers that are learning rates."""


class WarmUpCosine(LRScheduler):
    """Up to the optimizer's learning rate in a straight line, then down along a cosine; it steps once a batch.

    Large networks need the first part (Goyal et al., 2017), the second is Loshchilov and Hutter's (2017).

    Args:
        optimizer: Whose learning rates are the highest.
        total_steps: Of the whole fit.
        warm_up: Share of the steps that lead up.
        end: The last learning rate, as a share of the highest.

    Raises:
        ValueError: A share is none.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, warm_up: float = 0.1, end: float = 0.0) -> None:
        if not 0.0 <= warm_up < 1.0 or not 0.0 <= end <= 1.0:
            raise ValueError(f"warm_up must lie in [0, 1) and end in [0, 1], got {warm_up} and {end}")
        self.num_up = round(warm_up * total_steps)
        self.num_down = max(1, total_steps - self.num_up)
        self.end = end
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """Of the next step."""
        if self.last_epoch < self.num_up:
            share = (self.last_epoch + 1) / (self.num_up + 1)
        else:
            done = min(1.0, (self.last_epoch - self.num_up) / self.num_down)
            share = self.end + (1.0 - self.end) * (1.0 + math.cos(math.pi * done)) / 2.0
        return [share * highest for highest in self.base_lrs]


@dataclass(frozen=True)
class Schedule:
    """A scheduler that steps once a batch (warm-up, one-cycle, cyclic) or an epoch (others; plateau by `val/loss`)."""

    scheduler: LRScheduler

    @property
    def is_per_batch(self) -> bool:
        """Whether it steps with every optimizer step."""
        return isinstance(self.scheduler, WarmUpCosine | OneCycleLR | CyclicLR)

    def step_epoch(self, val_loss: float) -> None:
        """One epoch is over."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(val_loss)
        elif not self.is_per_batch:
            self.scheduler.step()


def offered_arguments(optimizer: Optimizer, *, max_epochs: int, num_steps: int) -> dict[str, object]:
    """What a scheduler may take beside its own config; `num_steps` are the optimizer steps of the whole fit."""
    return {
        "optimizer": optimizer,
        "total_steps": num_steps,
        "T_max": max_epochs,
        # Without a momentum to move, OneCycleLR and CyclicLR refuse instead of moving the learning rate alone.
        "cycle_momentum": bool({"momentum", "betas"} & set(optimizer.defaults)),
    }


def lr_factor(trainer: TrainerConfig, batch_size: int | None) -> float:
    """What `trainer.lr_scaling` multiplies every learning rate of the config by.

    The rates of a config are meant for `trainer.lr_batch_size` images a batch. `linear` scales them by the ratio of
    `data.batch_size`, which all devices share, to that (Goyal et al. 2017, who took 256), `sqrt` by its root
    (Krizhevsky 2014). The number of devices plays no part.

    Raises:
        ConfigError: The batch size is not known.
    """
    if trainer.lr_scaling == "none":
        return 1.0
    if not batch_size:
        raise ConfigError(f"trainer.lr_scaling={trainer.lr_scaling} needs data.batch_size, and this data has none")
    ratio = batch_size / trainer.lr_batch_size
    return ratio if trainer.lr_scaling == "linear" else math.sqrt(ratio)


def scaled_rates(node: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """`node`, the config of an optimizer or a scheduler, with every learning rate multiplied by `factor`."""
    return {key: _times(value, factor) if key in RATES and factor != 1.0 else value for key, value in node.items()}


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, list):  # a rate for each group of parameters
        return [_times(each, factor) for each in value]
    return value * factor if isinstance(value, int | float) else value
