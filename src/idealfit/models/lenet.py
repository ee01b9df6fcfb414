"""LeNet-5."""

from __future__ import annotations

from torch import Tensor, nn

from idealfit.models._parts import activation as make_activation
from idealfit.models._parts import check_knobs, dropout_layers, init_weights, lay_out
from idealfit.spec import ConfigError

KERNEL = 5
PUBLISHED_SIDE = 32  # the published net reads 28x28 digits in a 32x32 frame
SMALLEST_SIDE = 12  # 12 -> conv 12 -> pool 6 -> conv 2 -> pool 1


class LeNet(nn.Module):
    """LeNet-5 as published: 6 and 16 maps of 5x5 kernels, 2x2 mean pooling, 120 and 84 units, tanh.

    Images smaller than the published 32x32 frame get the frame's margin of 2 pixels. The trained coefficients of the
    published pooling and its sparse connection table are left out, as is usual; the last layer gives logits.

    Args:
        image_shape: Channels, height, width; sides of at least 12.
        num_classes: Number of logits.
        dropout: Probability that one of the 120 and 84 units is dropped in training; 0 as published.
        activation: A name of `models.ACTIVATIONS`; tanh as published.

    Raises:
        ConfigError: The images are too small for two 5x5 kernels with pooling.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        num_classes: int,
        dropout: float = 0.0,
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout)
        num_channels, height, width = image_shape
        if min(height, width) < SMALLEST_SIDE:
            raise ConfigError(
                f"LeNet: behind the first 2x2 pooling the second {KERNEL}x{KERNEL} kernel is larger than what is left "
                f"of the {height}x{width} images; take images of at least {SMALLEST_SIDE}x{SMALLEST_SIDE}, "
                "model=cnn or model=mlp"
            )
        padding = 2 if min(height, width) < PUBLISHED_SIDE else 0

        def side_after(side: int) -> int:
            first = (side + 2 * padding - KERNEL + 1) // 2
            return (first - KERNEL + 1) // 2

        self.layers = nn.Sequential(
            nn.Conv2d(num_channels, 6, KERNEL, padding=padding),
            make_activation(activation),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, KERNEL),
            make_activation(activation),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * side_after(height) * side_after(width), 120),
            make_activation(activation),
            *dropout_layers(dropout),
            nn.Linear(120, 84),
            make_activation(activation),
            *dropout_layers(dropout),
            nn.Linear(84, num_classes),
        )
        init_weights(self, activation)
        lay_out(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.layers(images)
        return logits
