"""What of a network stands still, until when, and how fast its body learns beside a new head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import nn

from idealfit.models.frozen import head_of
from idealfit.spec import JSON, ConfigError, nearest

PEAKS = ("max_lr", "base_lr")
"""Rates of schedulers that set the same for all parameters, unless they are told one for each group."""


@dataclass(frozen=True)
class Held:
    """What stands still: weights without gradient, batch norm in eval mode."""

    parameters: list[nn.Parameter]
    norms: Sequence[nn.Module]

    def release(self) -> None:
        """Let it learn from now on."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        for layer in self.norms:
            vars(layer).pop("train", None)
            layer.train()


def freeze(net: nn.Module, upto: str) -> Held:
    """Hold the body of `net`: all but the last linear layer, or its layers up to one that is named.

    Layers come in the order in which the network defines them.

    Args:
        net: Images to logits.
        upto: `body`, or the name of a layer, which stands still too.

    Raises:
        ConfigError: There is no such layer, or nothing would be left to learn.
    """
    head = head_of(net)
    layers = [(str(name), layer) for name, layer in net.named_modules() if not _is_in(str(name), head)]
    if upto != "body":
        layers = layers[: _end_of(net, upto, head)]
    parameters = [each for _, layer in layers for each in layer.parameters(recurse=False) if each.requires_grad]
    norms = [layer for _, layer in layers if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    for parameter in parameters:
        parameter.requires_grad_(False)
    for layer in norms:
        # Its running means are part of what is frozen: training mode would move them.
        layer.eval()
        layer.train = lambda mode=True, layer=layer: layer  # type: ignore[method-assign,misc]
    return Held(parameters, norms)


def _end_of(net: nn.Module, upto: str, head: str) -> int:
    """How many layers there are up to the end of `upto`."""
    names = [str(name) for name, _ in net.named_modules() if name]
    if upto not in names:
        known = ", ".join(name for name, layer in net.named_modules() if name and list(layer.parameters()))
        raise ConfigError(
            f"model.freeze: {type(net).__name__} has no layer {upto!r}. {nearest(upto, names)} "
            f"It is none, body, or one of {known}.".replace("  ", " ")
        )
    if _is_in(upto, head) or _is_in(head, upto):
        raise ConfigError(f"model.freeze: {upto} holds the last linear layer, and something has to learn: take body")
    before = [name for name, _ in net.named_modules() if not _is_in(str(name), head)]
    return max(index for index, name in enumerate(before) if _is_in(str(name), upto)) + 1


def _is_in(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")


class Thaw(Callback):
    """Lets what was held learn from one epoch on.

    Args:
        epoch: The first one, from 0.
    """

    def __init__(self, held: Held, epoch: int) -> None:
        self._held = held
        self._epoch = epoch
        self._is_over = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Release it; in a fit that goes on later than that too."""
        if trainer.current_epoch >= self._epoch and not self._is_over:
            self._held.release()
            self._is_over = True


@dataclass(frozen=True)
class Start:
    """What a network starts from, and what of it stands still.

    Attributes:
        facts: Of the run: the hash of the file that the weights came from.
        held: None: everything learns.
        thaw_epoch: The first epoch, from 0, in which that learns too; None: never.
        body_lr_factor: On the learning rate, for all but the last linear layer.
    """

    facts: JSON = field(default_factory=dict)
    held: Held | None = None
    thaw_epoch: int | None = None
    body_lr_factor: float = 1.0

    def thaws(self) -> list[Callback]:
        """The callback that lets it learn, where it ever shall."""
        return [Thaw(self.held, self.thaw_epoch)] if self.held and self.thaw_epoch is not None else []


def parameters_to_optimize(net: nn.Module, optimizer: Mapping[str, Any], start: Start) -> Any:
    """The parameters for an optimizer: all in one group, or the head's in the first and the body's, slower, behind.

    Args:
        net: Images to logits.
        optimizer: Its config.
        start: What learns, and what will.

    Raises:
        ConfigError: There is nothing to learn, or no learning rate to multiply.
    """
    will_learn = set(start.held.parameters) if start.held and start.thaw_epoch is not None else set()
    learning = [(str(name), each) for name, each in net.named_parameters() if each.requires_grad or each in will_learn]
    if not learning:
        raise ConfigError(f"model {type(net).__name__} has no parameter to train")
    if start.body_lr_factor == 1.0:
        return [parameter for _, parameter in learning]
    if not isinstance(optimizer.get("lr"), int | float):
        raise ConfigError("model.body_lr_factor: the optimizer has no lr that it could multiply")
    head = head_of(net)
    groups: list[list[nn.Parameter]] = [[], []]
    for name, parameter in learning:
        groups[not _is_in(name, head)].append(parameter)
    return [{"params": groups[0]}, {"params": groups[1], "lr": optimizer["lr"] * start.body_lr_factor}]


def peaks_by_group(scheduler: Mapping[str, Any], start: Start) -> dict[str, Any]:
    """`scheduler`, a config, with a peak for each group of parameters where it would set all to the same rate."""
    if start.body_lr_factor == 1.0:
        return dict(scheduler)
    return {
        key: [value, value * start.body_lr_factor] if key in PEAKS and isinstance(value, int | float) else value
        for key, value in scheduler.items()
    }
