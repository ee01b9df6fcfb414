"""From a config to what makes the steps: the optimizer and the schedule of its learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from idealfit.config.gate import build
from idealfit.config.schema import TrainerConfig
from idealfit.spec import JSON
from idealfit.train.freezing import Start, parameters_to_optimize, peaks_by_group
from idealfit.train.schedule import Schedule, lr_factor, offered_arguments, scaled_rates


def make_optimizer(
    config: JSON, net: nn.Module, trainer: TrainerConfig, start: Start, trusted: Sequence[str]
) -> Optimizer:
    """The optimizer of a config, over what learns in `net`, now or once it thaws.

    Raises:
        UserError: It does not exist, is not trusted, or refuses its arguments.
    """
    node = scaled_rates(config["optimizer"], lr_factor(trainer, config["data"].get("batch_size")))
    offered: dict[str, Any] = {"params": parameters_to_optimize(net, node, start)}
    # One kernel for all parameters makes the whole step of a small network 1.2 times as fast. It scales half-precision
    # gradients back itself, where they could not be clipped any more; that of SGD fails where a weight joins later.
    is_real = all(parameter.is_floating_point() for parameter in net.parameters())
    is_fusible = is_real and trainer.precision != "16-mixed" and not start.thaws()
    if is_fusible and not {"foreach", "differentiable", "capturable"} & node.keys():
        offered["fused"] = True
    optimizer: Optimizer = build(node, expect=Optimizer, trusted=trusted, extra=offered)
    return optimizer


def make_schedule(
    config: JSON,
    optimizer: Optimizer,
    trainer: TrainerConfig,
    num_train_batches: int,
    start: Start,
    trusted: Sequence[str],
) -> Schedule | None:
    """The schedule of a config; None leaves the learning rate.

    Raises:
        UserError: It does not exist, is not trusted, or refuses its arguments.
    """
    if not config.get("scheduler"):
        return None
    num_steps = trainer.max_epochs * num_train_batches
    offered = offered_arguments(optimizer, max_epochs=trainer.max_epochs, num_steps=num_steps)
    factor = lr_factor(trainer, config["data"].get("batch_size"))
    node = scaled_rates(peaks_by_group(config["scheduler"], start), factor)
    return Schedule(build(node, expect=LRScheduler, trusted=trusted, extra=offered))
