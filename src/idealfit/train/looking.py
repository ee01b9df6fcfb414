"""Looking inside a network: the weights that its first layer holds against the image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

MAX_KERNELS = 64


def first_kernels(net: nn.Module, image_shape: Sequence[int]) -> NDArray[np.float16]:
    """What the first layer with weights looks for, `[N, C, h, w]`: kernels of a convolution, templates of a linear one.

    The largest weight is 1.

    There are none where the first such layer sees no image, as in a recurrent network.
    """
    layer = next((layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear | nn.RNNBase)), None)
    if isinstance(layer, nn.Conv2d) and layer.groups == 1:
        weights = layer.weight
    elif isinstance(layer, nn.Linear) and layer.in_features == math.prod(image_shape):
        weights = layer.weight.view(-1, *image_shape)
    else:
        return np.empty((0, 1, 1, 1), np.float16)
    kernels = weights[:MAX_KERNELS].detach().float().cpu()
    kernels = kernels / kernels.abs().amax().clamp(min=1e-12)  # on a scale that half precision can hold
    found: NDArray[np.float16] = kernels.half().numpy()
    return found
