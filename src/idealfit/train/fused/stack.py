"""Several networks of one shape as one network."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from idealfit.train.fused.errors import NotFusableError
from idealfit.train.fused.layers import BY_ROW, STACKED, Fold

NOT_BY_IMAGE = "a network that does not treat each image for itself"
TOLERANCE = 1e-3  # of the largest value; sums come in another order, half precision has three digits


class Stack:
    """The networks `nets` computed at once, with their weights in `[K, ...]` tensors.

    From then on the parameters and buffers of each network are views into the stack: its `state_dict` is always
    current, and a later stack may be made of any of the same networks.

    Attributes:
        net: Shared `[B, ...]` or folded `[K * B, ...]` images to folded logits `[K * B, num_classes]`.
        parameters: Parameters of the stack, in the order of each network's own.

    Raises:
        NotFusableError: The networks are not alike, or hold a layer that cannot be stacked.
    """

    def __init__(self, nets: Sequence[nn.Module], fold: Fold) -> None:
        shapes = [[(name, tensor.shape) for name, tensor in net.state_dict().items()] for net in nets]
        if any(shape != shapes[0] for shape in shapes):
            raise NotFusableError("networks of different shapes")
        if len(list(nets[0].modules())) != len(list(nets[0].named_modules(remove_duplicate=False))):
            raise NotFusableError("layers that are used twice")
        self.net = _stacked(list(nets), fold)
        self.net.train()
        self.parameters = list(self.net.parameters())

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[list[Tensor]]:
        """By trial, in the order of its parameters: views of the stack's gradients."""
        unbound = [_gradient(parameter).unbind() for parameter in self.parameters]
        return [list(each) for each in zip(*unbound, strict=True)]


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        raise NotFusableError("a layer that the network does not use")
    return parameter.grad


def _stacked(nets: list[nn.Module], fold: Fold) -> nn.Module:
    net = nets[0]
    kind = STACKED.get(type(net))
    if kind is not None:
        stacked = kind(nets, fold)
        _join(stacked, nets)
        return stacked
    if net._parameters or net._buffers:
        raise NotFusableError(f"the layer {type(net).__name__}")
    if not net._modules:
        if type(net) not in BY_ROW or (isinstance(net, nn.Flatten) and net.start_dim != 1):
            raise NotFusableError(f"the layer {type(net).__name__}")
        return net
    frame = copy.copy(net)
    frame.__dict__["_modules"] = {
        name: None if child is None else _stacked([each._modules[name] or child for each in nets], fold)
        for name, child in net._modules.items()
    }
    return frame


def _join(stacked: nn.Module, layers: Sequence[nn.Module]) -> None:
    """Move weights and buffers of `layers` into `stacked`, and leave views of it in their place."""
    for name, parameter in layers[0]._parameters.items():
        if parameter is None:
            stacked.register_parameter(name, None)
            continue
        own = [layer.get_parameter(name) for layer in layers]
        joined = stack_tensors([each.detach() for each in own])
        stacked.register_parameter(name, nn.Parameter(joined))
        _point(own, joined)
    for name in layers[0]._buffers:
        buffers = [layer._buffers[name] for layer in layers]
        joined = stack_tensors([buffer for buffer in buffers if buffer is not None])
        stacked.register_buffer(name, joined)
        _point(buffers, joined)


def _point(tensors: Sequence[Tensor | None], joined: Tensor) -> None:
    for tensor, view in zip(tensors, joined.unbind(), strict=True):
        if tensor is not None:
            tensor.data = view


def stack_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """`[K, ...]`, each part laid out in memory as the first one was: kernels stay channels-last."""
    first = tensors[0]
    # Strides and all: a kernel for one channel is both contiguous and channels-last, and these tell which is meant.
    strides = torch.empty_like(first, memory_format=torch.preserve_format).stride()
    shape = (len(tensors), *first.shape)
    joined = torch.empty_strided(shape, (first.numel(), *strides), dtype=first.dtype, device=first.device)
    for part, tensor in zip(joined.unbind(), tensors, strict=True):
        part.copy_(tensor)
    return joined


def check_stack(stack: Stack, nets: Sequence[nn.Module], fold: Fold, images: Tensor) -> bool:
    """Compare the stack with its first and last network on a few images: logits and gradients, in eval mode.

    Returns:
        Whether it may get shared images; else only folded ones, for its first layer is not its only one to see them.

    Args:
        stack: Made of `nets`.
        nets: The networks.
        fold: What the stack was made with.
        images: `[B, C, H, W]`.

    Raises:
        NotFusableError: They differ, for the network mixes the rows of a batch or goes around its layers.
    """
    images = images.to(next(nets[0].parameters()).dtype)
    own = [images * (1 + trial) for trial in range(len(nets))]  # another mean for each
    fold.num_rows = len(images)
    stack.net.eval()
    try:
        if not _agrees(stack, nets, torch.cat(own), own):
            raise NotFusableError(NOT_BY_IMAGE)
        return _agrees(stack, nets, images, [images] * len(nets))
    finally:
        stack.zero_grad()
        stack.net.train()


def _agrees(stack: Stack, nets: Sequence[nn.Module], images: Tensor, own: Sequence[Tensor]) -> bool:
    stack.zero_grad()
    try:
        logits = stack.net(images)
        if len(logits) != sum(map(len, own)):
            return False
        logits.square().sum().backward()
    except Exception:  # noqa: BLE001 - a user's own network may raise anything on what it was not written for
        return False
    fused = stack.gradients()
    for index in {0, len(nets) - 1}:
        own_logits = nets[index].eval()(own[index])
        gradients = torch.autograd.grad(own_logits.square().sum(), list(nets[index].parameters()))
        pairs = [(torch.unflatten(logits, 0, (len(nets), -1))[index], own_logits)]
        pairs += list(zip(fused[index], gradients, strict=True))
        if not all(_are_close(a, b) for a, b in pairs):
            return False
    return True


def _are_close(a: Tensor, b: Tensor) -> bool:
    size = float(b.detach().abs().max()) or 1.0
    return bool((a - b).abs().max() <= TOLERANCE * size)
