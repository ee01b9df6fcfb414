"""The multi-layer perceptron."""

from __future__ import annotations

import math

from torch import Tensor, nn

from idealfit.models._parts import Residual, check_knobs, dropout_layers, in_order, init_weights
from idealfit.models._parts import activation as make_activation


class MLP(nn.Module):
    """`depth` hidden layers of `width` units, each with activation and dropout behind it.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        depth: Number of hidden layers.
        width: Units of each hidden layer.
        dropout: Probability that a hidden unit is dropped in training.
        activation: A name of `models.ACTIVATIONS`: relu, tanh, gelu, ...
        batch_norm: Normalise over the batch in front of each activation.
        norm_after: Normalise behind it instead.
        residual: Add each hidden layer but the first to its own input, divided by the depth, so that signals of
            any depth start with about the same size.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        num_classes: int,
        depth: int = 2,
        width: int = 128,
        dropout: float = 0.0,
        activation: str = "relu",
        batch_norm: bool = False,
        norm_after: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout, depth=depth, width=width)
        layers: list[nn.Module] = [nn.Flatten()]
        num_inputs = math.prod(image_shape)
        for index in range(depth):
            norm: list[nn.Module] = [nn.BatchNorm1d(width)] if batch_norm else []
            linear = nn.Linear(num_inputs, width, bias=not batch_norm)  # batch norm has a bias of its own
            hidden = [linear, *in_order(make_activation(activation), norm, norm_after=norm_after)]
            hidden += dropout_layers(dropout)
            layers += [Residual(hidden, 1.0 / depth)] if residual and index else hidden
            num_inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(num_inputs, num_classes))
        init_weights(self, activation)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.layers(images)
        return logits
