"""Layers that hold the weights of several trials and compute all of them at once.

A *folded* batch has the rows of trial 0 first, then those of trial 1, and so on: `[K * B, ...]` for K trials with B
rows each. Whatever treats each row for itself (activations, pooling, flattening, a residual sum) works on it as it is;
only layers with weights, and those that mix rows or draw random numbers, are stacked. A batch that all trials share
comes as `[B, ...]`, and the first stacked layer folds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idealfit.models.dropout import Dropout, kept_from
from idealfit.train.fused.errors import NotFusableError
from idealfit.train.fused.noise import Noise


class Fold:
    """How the rows of the batch on its way belong to trials.

    Attributes:
        num_trials: K.
        num_rows: B, rows of each trial.
        noise: Where dropout draws from.
    """

    def __init__(self, num_trials: int, noise: Noise) -> None:
        self.num_trials = num_trials
        self.num_rows = 0
        self.noise = noise

    def is_shared(self, rows: Tensor) -> bool:
        """Whether `rows` are the same for all trials, so there is a single copy of them."""
        return len(rows) == self.num_rows

    def unfolded(self, rows: Tensor) -> Tensor:
        """`[K, B, ...]`; for shared rows a view that repeats them."""
        if self.is_shared(rows):
            return rows.expand(self.num_trials, *rows.shape)
        return torch.unflatten(rows, 0, (self.num_trials, self.num_rows))


class StackedLinear(nn.Module):
    """`nn.Linear` of each trial."""

    def __init__(self, layers: Sequence[nn.Module], fold: Fold) -> None:
        super().__init__()
        self._fold = fold

    def forward(self, rows: Tensor) -> Tensor:
        """`[B, in]` or `[K * B, in]` to `[K * B, out]`."""
        weight, bias = cast("Tensor", self.weight), cast("Tensor | None", self.bias)
        num_trials, num_outputs, _ = weight.shape
        if self._fold.is_shared(rows):
            # One product for all trials: on a CPU 1.5 times as fast as one for each.
            product = F.linear(rows, weight.flatten(0, 1), None if bias is None else bias.flatten())
            return product.view(-1, num_trials, num_outputs).transpose(0, 1).reshape(-1, num_outputs)
        inputs, factors = self._fold.unfolded(rows), weight.transpose(1, 2)
        product = torch.bmm(inputs, factors) if bias is None else torch.baddbmm(bias.unsqueeze(1), inputs, factors)
        return product.flatten(0, 1)


class StackedConv2d(nn.Module):
    """`nn.Conv2d` of each trial: on a CPU one after the other, with the bits of each alone; elsewhere one grouped."""

    def __init__(self, layers: Sequence[nn.Module], fold: Fold) -> None:
        super().__init__()
        layer = cast("nn.Conv2d", layers[0])
        if layer.padding_mode != "zeros":
            raise NotFusableError(f"a convolution with padding_mode={layer.padding_mode}")
        self._fold = fold
        self._groups = layer.groups
        self._options: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
        }

    def forward(self, rows: Tensor) -> Tensor:
        """`[B, C, H, W]` or `[K * B, C, H, W]` to `[K * B, C', H', W']`."""
        weight, bias = cast("Tensor", self.weight), cast("Tensor | None", self.bias)
        return self._by_trial(rows, weight, bias) if rows.device.type == "cpu" else self._grouped(rows, weight, bias)

    def _by_trial(self, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        num_trials = len(weight)
        biases = [None] * num_trials if bias is None else bias.unbind()
        convolved = [
            F.conv2d(inputs, kernels, own_bias, groups=self._groups, **self._options)
            for inputs, kernels, own_bias in zip(
                self._fold.unfolded(rows).unbind(), weight.unbind(), biases, strict=True
            )
        ]
        return torch.cat(convolved)

    def _grouped(self, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        num_trials = len(weight)
        kernels, biases = weight.flatten(0, 1), None if bias is None else bias.flatten()
        if self._fold.is_shared(rows) and self._groups == 1:
            convolved = F.conv2d(rows, kernels, biases, **self._options)
        else:
            inputs = self._fold.unfolded(rows).transpose(0, 1).flatten(1, 2)
            convolved = F.conv2d(inputs, kernels, biases, groups=num_trials * self._groups, **self._options)
        return torch.unflatten(convolved, 1, (num_trials, -1)).transpose(0, 1).flatten(0, 1)


class StackedBatchNorm(nn.Module):
    """`nn.BatchNorm1d` or `nn.BatchNorm2d` of each trial, over its own rows."""

    def __init__(self, layers: Sequence[nn.Module], fold: Fold) -> None:
        super().__init__()
        layer = cast("nn.BatchNorm2d", layers[0])
        if layer.momentum is None or not layer.track_running_stats or not layer.affine:
            raise NotFusableError("batch norm without running statistics, momentum or weights")
        self._fold = fold
        self._momentum = layer.momentum
        self._eps = layer.eps

    def forward(self, rows: Tensor) -> Tensor:
        """`[B, C, ...]` or `[K * B, C, ...]` to `[K * B, C, ...]`."""
        mean, variance = cast("Tensor", self.running_mean), cast("Tensor", self.running_var)
        weight, bias = cast("Tensor", self.weight), cast("Tensor", self.bias)
        if self.training:
            cast("Tensor", self.num_batches_tracked).add_(1)
        inputs = self._fold.unfolded(rows)
        if rows.ndim > 2 and rows.device.type == "cpu":  # images are copied by trial faster than to and fro
            parts = zip(inputs.unbind(), mean.unbind(), variance.unbind(), weight.unbind(), bias.unbind(), strict=True)
            return torch.cat([self._norm(*part) for part in parts])
        joined = inputs.transpose(0, 1).flatten(1, 2)
        normed = self._norm(joined, mean.view(-1), variance.view(-1), weight.flatten(), bias.flatten())
        return torch.unflatten(normed, 1, mean.shape).transpose(0, 1).flatten(0, 1)

    def _norm(self, inputs: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.batch_norm(inputs, mean, variance, weight, bias, self.training, self._momentum, self._eps)


class StackedDropout(nn.Module):
    """`nn.Dropout` of each trial, with a probability and random numbers of its own."""

    def __init__(self, layers: Sequence[nn.Module], fold: Fold) -> None:
        super().__init__()
        self._fold = fold
        probabilities = [cast("nn.Dropout", layer).p for layer in layers]
        if any(p >= 1.0 for p in probabilities):
            raise NotFusableError("dropout that drops everything")
        limit, scale = self._limits(probabilities)
        self.register_buffer("limit", limit, False)
        self.register_buffer("scale", scale, False)

    def forward(self, rows: Tensor) -> Tensor:
        """`[B, ...]` or `[K * B, ...]` to `[K * B, ...]`; in eval mode as it came."""
        if not self.training:
            return rows
        if (
            self.limit.device != rows.device
        ):  # the other layers hold views of what lies there; these numbers are its own
            self.to(rows.device)
        inputs = self._fold.unfolded(rows)
        shape = (-1, *(1,) * rows.ndim)
        kept = self._kept(inputs[0], cast("Tensor", self.limit).view(shape))
        return (inputs * kept.to(rows.dtype).mul_(cast("Tensor", self.scale).to(rows.dtype).view(shape))).flatten(0, 1)

    def _limits(self, probabilities: Sequence[float]) -> tuple[Tensor, Tensor]:
        scale = torch.stack([torch.tensor(1.0).div_(1.0 - p) for p in probabilities])
        return torch.tensor([1.0 - p for p in probabilities], dtype=torch.float64), scale

    def _kept(self, like: Tensor, limit: Tensor) -> Tensor:
        """`[K, B, ...]`: true or 1 for what is kept."""
        return self._fold.noise.uniform(like) < limit


class StackedFastDropout(StackedDropout):
    """`models.Dropout` of each trial, by the numbers that it draws on a CPU."""

    def _limits(self, probabilities: Sequence[float]) -> tuple[Tensor, Tensor]:
        lowest, scale = zip(*map(kept_from, probabilities), strict=True)
        return torch.tensor(lowest), torch.tensor(scale, dtype=torch.float64)

    def _kept(self, like: Tensor, limit: Tensor) -> Tensor:
        return (self._fold.noise.levels(like) - limit).ge_(0)  # whole numbers: exact, and faster than a comparison


STACKED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.Conv2d: StackedConv2d,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.BatchNorm2d: StackedBatchNorm,
    nn.Dropout: StackedDropout,
    Dropout: StackedFastDropout,
}
"""Layers of a trial, and what holds those of all trials. By exact type: a subclass may do anything."""

BY_ROW: tuple[type[nn.Module], ...] = (
    nn.Identity,
    nn.Flatten,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Softplus,
    nn.Tanh,
    nn.Sigmoid,
    nn.Hardtanh,
    nn.Hardswish,
    nn.Hardsigmoid,
)
"""Layers without weights that treat each row for itself: right for a folded batch as they are."""
