"""A trained network without its last layer: what it makes of an image before it decides."""

from __future__ import annotations

from typing import Self, final

from torch import Tensor, nn

from idealfit.spec import ConfigError


@final
class Frozen(nn.Module):
    """Images `[B, C, H, W]` to what the last linear layer of `net` would get to see, `[B, F]`.

    It never learns: no gradient, and in eval mode whatever is asked, so that dropout and batch norm stand still.

    Args:
        net: Images to logits. It is taken over, and loses its last linear layer.

    Raises:
        ConfigError: It has no linear layer.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        head = head_of(net)
        layer = net.get_submodule(head)
        assert isinstance(layer, nn.Linear)  # noqa: S101
        self.num_features = layer.in_features
        # Not a hook on that layer: this can be traced to plain operations, and exported.
        net.set_submodule(head, nn.Identity())
        net.requires_grad_(False)
        self.net = net
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Float `[B, C, H, W]` to float `[B, F]`.

        Raises:
            ConfigError: The last linear layer is not the last that is called, so nothing can be said of its input.
        """
        features: Tensor = self.net(images)
        if features.ndim != 2 or features.shape[1] != self.num_features:
            raise ConfigError(
                f"model.weights: {type(self.net).__name__} does more after its last linear layer, so what it sees "
                f"can't be taken as features: wanted {[len(images), self.num_features]}, got {list(features.shape)}"
            )
        return features


def head_of(net: nn.Module) -> str:
    """The name of the last linear layer.

    Raises:
        ConfigError: There is none.
    """
    names = [str(name) for name, layer in net.named_modules() if isinstance(layer, nn.Linear)]
    if not names:
        raise ConfigError(f"model.weights: {type(net).__name__} has no linear layer that could be its head")
    return names[-1]
