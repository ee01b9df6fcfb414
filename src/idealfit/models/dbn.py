"""The deep belief net, as it is after its layers were learned one by one: sigmoid layers to be fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from torch import Tensor, nn

from idealfit.models.mlp import MLP
from idealfit.models.rbm import Pretraining


@final
class DBN(nn.Module):
    """`depth` hidden layers of `width` sigmoid units, pre-trained without labels before the whole net is fine-tuned.

    Each hidden layer is first learned as the hidden units of a restricted Boltzmann machine, whose visible units are
    what the layer below makes of the images (Hinton, Osindero and Teh, 2006). The last linear layer starts at random.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        depth: Number of hidden layers.
        width: Units of each hidden layer.
        dropout: Probability that a hidden unit is dropped in fine-tuning.
        pretrain: Keys of `Pretraining`; with `epochs` 0 it is a net of sigmoid units that starts at random.

    Attributes:
        pretraining: How its machines learn.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        num_classes: int,
        depth: int = 3,
        width: int = 256,
        dropout: float = 0.0,
        pretrain: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.pretraining = Pretraining(**(pretrain or {}))
        self.net = MLP(
            image_shape=image_shape,
            num_classes=num_classes,
            depth=depth,
            width=width,
            dropout=dropout,
            activation="sigmoid",
        )

    def hidden_layers(self) -> list[nn.Linear]:
        """What the machines are to become, the first one first."""
        return [layer for layer in self.net.layers if isinstance(layer, nn.Linear)][:-1]

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.net(images)
        return logits
