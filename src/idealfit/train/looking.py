"""Looking inside a network: its first layer's weights, what it makes of an image, and which pixels count for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idealfit.models.estimators import DISTANCES, KNN
from idealfit.train.attack import plain_kernels

MAX_KERNELS = 64
MAX_MAPS = 32
MAX_NEIGHBOURS = 7


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


def saliency(net: nn.Module, images: Tensor, convert: Callable[[Tensor], Tensor]) -> Tensor:
    """How much each pixel counts for the class that `net` gives: the gradient's size, `[B, H, W]`.

    Simonyan et al. (2014): the largest over the channels. Of a single logit its own size counts.

    Args:
        net: Images to logits, in eval mode.
        images: Normalised, `[B, C, H, W]`.
        convert: Turns images into the precision of the network.
    """
    with torch.enable_grad(), plain_kernels():
        pixels = images.detach().requires_grad_()
        logits = net(convert(pixels)).float()
        score = logits.amax(dim=1) if logits.shape[1] > 1 else logits[:, 0].abs()
        (gradient,) = torch.autograd.grad(score.sum(), pixels)
    return gradient.abs().amax(dim=1)


def feature_maps(net: nn.Module, images: Tensor, convert: Callable[[Tensor], Tensor]) -> Tensor:
    """What the first convolution makes of the first of `images`, `[M, h, w]` from 0 up; nothing where there is none."""
    layer = next((layer for layer in net.modules() if isinstance(layer, nn.Conv2d)), None)
    found: list[Tensor] = []
    if layer is not None:
        handle = layer.register_forward_hook(lambda _, given, made: found.append(made.detach()))
        try:
            with torch.no_grad():
                net(convert(images))
        finally:
            handle.remove()
    if not found:
        return torch.empty(0, 1, 1)
    return found[0][0, :MAX_MAPS].float().relu()


def neighbours(net: KNN, images: Tensor) -> Tensor:
    """Each of `images`, and behind it the training images nearest to it, `[B, 1 + k, C, H, W]`."""
    distances = torch.cdist(images.flatten(1), net.images.flatten(1), p=DISTANCES[net.distance])
    places = distances.topk(min(net.k, MAX_NEIGHBOURS), largest=False).indices
    return torch.cat([images[:, None], net.images[places]], dim=1)
