"""Greedy pre-training: a deep belief net's layers, learned one by one from the training images without their labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from idealfit.config.schema import TrainerConfig
from idealfit.data import ImageData, TrainingData
from idealfit.data.rng import derive_seed
from idealfit.models.dbn import DBN
from idealfit.models.rbm import BINARY, RBM, Learning
from idealfit.models.whitening import Whitened
from idealfit.spec import JSON, PRETRAIN_ERRORS, ConfigError, NonFiniteLossError, StopSignal
from idealfit.train.callbacks import Interrupted


def is_pretrained(net: nn.Module) -> bool:
    """Whether `net` has layers that are to be pre-trained."""
    own = net.net if isinstance(net, Whitened) else net
    return isinstance(own, DBN) and own.pretraining.epochs > 0


def check_pretraining(net: nn.Module, node: JSON, data: TrainingData, trainer: TrainerConfig) -> None:
    """Refuse what pre-training does not go with.

    Args:
        net: As it is trained.
        node: The `model` node.
        data: What it learns from.
        trainer: How it is fine-tuned.

    Raises:
        ConfigError: It is asked for.
    """
    if not is_pretrained(net):
        return
    reasons = {
        "the layers of model.weights have learned already": bool(node.get("weights")),
        "the first machine sees images as they are, not whitened by model.zca_epsilon": isinstance(net, Whitened),
        f"one process learns the layers, and trainer.devices={trainer.devices}": trainer.devices > 1,
        "a data module of your own does not say how its images were normalised": not isinstance(data, ImageData),
    }
    for reason, is_so in reasons.items():
        if is_so:
            raise ConfigError(f"model.pretrain: {reason}. Take model.pretrain.epochs=0, or do without the other")


class PretrainLayers(Callback):
    """Pre-trains before the first epoch of a fit; one that goes on from a checkpoint has its layers from there.

    Attributes:
        errors: By layer, and by epoch of its pre-training: mean squared error of a reconstructed unit.
    """

    def __init__(self, net: DBN, data: ImageData, seed: int, stop: StopSignal) -> None:
        self.errors: list[list[float]] = []
        self._net = net
        self._data = data
        self._seed = seed
        self._stop = stop

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Pre-train, where that was not done yet."""
        if not self.errors:
            self.errors = pretrain(self._net, self._data, self._seed, self._stop)

    def state_dict(self) -> dict[str, Any]:
        """The errors, which are not measured again."""
        return {"errors": self.errors}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` left off."""
        self.errors = [list(map(float, layer)) for layer in state_dict["errors"]]

    def facts(self) -> JSON:
        """Of the fit."""
        return {PRETRAIN_ERRORS: self.errors}


def pretraining(net: nn.Module, data: TrainingData, seed: int, stop: StopSignal) -> list[PretrainLayers]:
    """The callback that pre-trains `net`, where that is asked for."""
    if not is_pretrained(net):
        return []
    assert isinstance(net, DBN)  # noqa: S101 - `check_pretraining`
    assert isinstance(data, ImageData)  # noqa: S101
    return [PretrainLayers(net, data, seed, stop)]


@torch.no_grad()
def pretrain(net: DBN, data: ImageData, seed: int, stop: StopSignal) -> list[list[float]]:
    """Learn each hidden layer of `net` as a machine on top of those below it, and put it into the network.

    Batches are those of training: its images alone, augmented, in the order of (seed, epoch).

    Args:
        net: Where `data` are; its hidden layers are overwritten.
        data: What it learns from.
        seed: Of weights and samples, too.
        stop: Looked at before every batch.

    Returns:
        By layer, and by epoch: mean squared error of a reconstructed unit.

    Raises:
        Interrupted: `stop` was set; what was learned is lost, and learned again the same.
        NonFiniteLossError: A machine ran away.
    """
    options, machines, errors = net.pretraining, list[RBM](), list[list[float]]()
    for index, layer in enumerate(net.hidden_layers()):
        generator = torch.Generator(layer.weight.device).manual_seed(derive_seed(seed, "pretrain", index))
        kind = options.visible if index == 0 else BINARY
        rbm = RBM.fresh(layer.out_features, next(_seen(data, options.visible, machines, 0)), kind, generator)
        learning = Learning(rbm, options, generator)
        errors.append(
            [_epoch(learning, _seen(data, options.visible, machines, e), stop) for e in range(options.epochs)]
        )
        machines.append(rbm)
        _check_errors(errors[-1], index)
        layer.weight.copy_(rbm.weight)
        layer.bias.copy_(rbm.hidden_bias)
    if options.visible == BINARY:
        _take_in_scale(net.hidden_layers()[0], data)
    return errors


def _epoch(learning: Learning, batches: Iterator[Tensor], stop: StopSignal) -> float:
    """The mean error of its reconstructions."""
    total, count = torch.zeros(()), 0
    for seen in batches:
        if stop.is_set():
            raise Interrupted
        total = total.to(seen.device) + learning.step(seen) * len(seen)
        count += len(seen)
    return float(total) / count


def _check_errors(errors: list[float], index: int) -> None:
    """Fail where the machine of a hidden layer ran away."""
    if not all(map(math.isfinite, errors)):
        raise NonFiniteLossError(
            f"the error of reconstructions became {errors[-1]} in the pre-training of hidden layer {index + 1}; a "
            "smaller model.pretrain.lr may help"
        )


def _seen(data: ImageData, visible: str, machines: list[RBM], epoch: int) -> Iterator[Tensor]:
    """What the machine on top of `machines` gets to see of an epoch: batches `[B, V]`."""
    mean, std = _moments(data)
    for images, _ in data.train_batches(epoch):
        seen = images.float().flatten(1)
        if visible == BINARY:  # augmentation may go a little beyond black and white
            seen = (seen * std.to(seen.device) + mean.to(seen.device)).clamp_(0.0, 1.0)
        for machine in machines:
            seen = machine.hidden(seen)
        yield seen


def _take_in_scale(layer: nn.Linear, data: ImageData) -> None:
    """Let a layer that has learned pixels from 0 to 1 do the same with normalised ones, which the network sees."""
    mean, std = (moment.to(layer.weight) for moment in _moments(data))
    layer.bias.add_(layer.weight @ mean)
    layer.weight.mul_(std)


def _moments(data: ImageData) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation by pixel `[C * H * W]`, of pixels from 0 to 1."""
    _, height, width = data.image_shape
    mean, std = (torch.tensor(moment).div(255).repeat_interleave(height * width) for moment in (data.mean, data.std))
    return mean, std
