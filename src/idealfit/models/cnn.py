"""A plain convolutional network whose depth and width are free, whatever the size of the images."""

from __future__ import annotations

from torch import Tensor, nn

from idealfit.models._parts import activation as make_activation
from idealfit.models._parts import check_knobs, dropout_layers, in_order, init_weights, lay_out
from idealfit.spec import ConfigError


class CNN(nn.Module):
    """`depth` convolutions that keep the size, a 2x2 max-pool behind each while the kernel still fits; a linear layer.

    Channels double with every pool, from `width`, so that all convolutions cost about the same. At depth 5 an 8x8 image
    is pooled once, a 28x28 image three times.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        depth: Number of convolutions.
        width: Channels of the first convolution.
        kernel_size: Side of the kernels, an odd number.
        dropout: Probability that one of the features in front of the linear layer is dropped in training.
        activation: A name of `models.ACTIVATIONS`: relu, tanh, gelu, ...
        batch_norm: Normalise over the batch in front of each activation.
        norm_after: Normalise behind it instead.

    Raises:
        ConfigError: The kernel is larger than the image, or a knob is out of its range.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        num_classes: int,
        depth: int = 3,
        width: int = 16,
        kernel_size: int = 3,
        dropout: float = 0.0,
        activation: str = "relu",
        batch_norm: bool = False,
        norm_after: bool = False,
    ) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout, depth=depth, width=width, kernel_size=kernel_size)
        num_channels, height, width_px = image_shape
        _check_kernel(kernel_size, height, width_px)
        layers: list[nn.Module] = []
        num_out = width
        for _ in range(depth):
            layers.append(nn.Conv2d(num_channels, num_out, kernel_size, padding=kernel_size // 2, bias=not batch_norm))
            norm: list[nn.Module] = [nn.BatchNorm2d(num_out)] if batch_norm else []
            layers += in_order(make_activation(activation), norm, norm_after=norm_after)
            num_channels = num_out
            if min(height, width_px) // 2 >= kernel_size:
                layers.append(nn.MaxPool2d(2))
                height, width_px, num_out = height // 2, width_px // 2, 2 * num_out
        layers += [nn.Flatten(), *dropout_layers(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(num_channels * height * width_px, num_classes))
        init_weights(self, activation)
        lay_out(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits: Tensor = self.layers(images)
        return logits


def _check_kernel(kernel_size: int, height: int, width: int) -> None:
    if kernel_size % 2 == 0:
        raise ConfigError(f"CNN: kernel_size must be odd, so that a convolution keeps the size, but got {kernel_size}")
    if kernel_size > min(height, width):
        raise ConfigError(
            f"CNN: a {kernel_size}x{kernel_size} kernel is larger than the {height}x{width} images; "
            "take a smaller model.kernel_size, larger images, or model=mlp"
        )
