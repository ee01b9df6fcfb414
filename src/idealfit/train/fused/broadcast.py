"""Optimizer rules on stacked weights, all trials in one sweep: a hyperparameter is a tensor of K numbers.

The arithmetic is that of `torch.optim`, operation by operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop


class Broadcast:
    """One rule for all trials.

    Args:
        parameters: The stack's weights `[K, ...]`.
        states: By parameter, the optimizer's state by name, `[K, ...]` too.
        groups: By trial, the hyperparameters; `refresh` reads them again.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], states: Sequence[dict[str, Tensor]], groups: Sequence[dict[str, Any]]
    ) -> None:
        self._parameters = list(parameters)
        self._states = list(states)
        self._groups = list(groups)
        self.refresh()

    def refresh(self) -> None:
        """Read the hyperparameters."""
        raise NotImplementedError

    def step(self) -> None:
        """Move the weights by their gradients."""
        self._prepare()
        with torch.no_grad():
            for parameter, state in zip(self._parameters, self._states, strict=True):
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, state)

    def _prepare(self) -> None:
        """What is common to all weights."""

    def _move(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor]) -> None:
        raise NotImplementedError

    def _numbers(self, read: Any) -> Tensor:
        """`[K]`: one number of each trial's group."""
        numbers = [float(read(group)) for group in self._groups]
        return torch.tensor(numbers, device=self._parameters[0].device)


def _over(numbers: Tensor, weights: Tensor) -> Tensor:
    """`[K]` as `[K, 1, ...]`, to go with `weights`."""
    return numbers.view(-1, *(1,) * (weights.ndim - 1))


class BroadcastSGD(Broadcast):
    """`torch.optim.SGD`, with momentum, dampening and Nesterov's step."""

    def __init__(self, parameters: Any, states: Any, groups: Any, is_first: Sequence[bool]) -> None:
        self._is_first = torch.tensor(is_first, device=parameters[0].device)
        super().__init__(parameters, states, groups)

    def refresh(self) -> None:
        """See `Broadcast`."""
        self._lr = self._numbers(lambda group: group["lr"])
        self._decay = self._numbers(lambda group: group["weight_decay"])
        self._momentum = self._numbers(lambda group: group["momentum"])
        self._taken = self._numbers(lambda group: 1.0 - group["dampening"] if group["momentum"] else 1.0)
        self._is_nesterov = bool(self._groups[0]["nesterov"])
        self._has_momentum = any(group["momentum"] for group in self._groups)

    def step(self) -> None:
        """See `Broadcast`; the first gradient is not dampened."""
        super().step()
        self._is_first = torch.zeros_like(self._is_first)

    def _move(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor]) -> None:
        direction = gradient + _over(self._decay, weights) * weights
        if self._has_momentum:
            taken = torch.where(self._is_first, 1.0, self._taken)
            momentum = _over(self._momentum, weights)
            buffer = state["momentum_buffer"].mul_(momentum).add_(direction * _over(taken, weights))
            direction = direction + momentum * buffer if self._is_nesterov else buffer
        weights.sub_(direction * _over(self._lr, weights))


class BroadcastAdam(Broadcast):
    """`torch.optim.Adam` and `AdamW`, with amsgrad."""

    is_decoupled = False

    def refresh(self) -> None:
        """See `Broadcast`."""
        self._lr = self._numbers(lambda group: group["lr"])
        self._decay = self._numbers(lambda group: group["weight_decay"])
        self._beta1 = self._numbers(lambda group: group["betas"][0])
        self._beta2 = self._numbers(lambda group: group["betas"][1])
        self._eps = self._numbers(lambda group: group["eps"])
        self._is_amsgrad = bool(self._groups[0]["amsgrad"])

    def _prepare(self) -> None:
        steps = self._states[0]["step"] + 1
        self._step_size = self._lr / (1.0 - self._beta1**steps)
        self._correction = (1.0 - self._beta2**steps).sqrt()

    def _move(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor]) -> None:
        state["step"].add_(1)
        decay = _over(self._decay, weights)
        if self.is_decoupled:
            weights.mul_(1.0 - _over(self._lr, weights) * decay)
        else:
            gradient = gradient + decay * weights
        beta2 = _over(self._beta2, weights)
        state["exp_avg"].lerp_(gradient, 1.0 - _over(self._beta1, weights))
        squares = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient * (1.0 - beta2))
        if self._is_amsgrad:
            squares = torch.maximum(state["max_exp_avg_sq"], squares, out=state["max_exp_avg_sq"])
        size = squares.sqrt().div_(_over(self._correction, weights)).add_(_over(self._eps, weights))
        weights.sub_((state["exp_avg"] * _over(self._step_size, weights)).div_(size))


class BroadcastAdamW(BroadcastAdam):
    """The weights decay by themselves, not by way of the gradient."""

    is_decoupled = True


class BroadcastRMSprop(Broadcast):
    """`torch.optim.RMSprop`, with momentum and centering."""

    def refresh(self) -> None:
        """See `Broadcast`."""
        self._lr = self._numbers(lambda group: group["lr"])
        self._decay = self._numbers(lambda group: group["weight_decay"])
        self._alpha = self._numbers(lambda group: group["alpha"])
        self._momentum = self._numbers(lambda group: group["momentum"])
        self._eps = self._numbers(lambda group: group["eps"])

    def _move(self, weights: Tensor, gradient: Tensor, state: dict[str, Tensor]) -> None:
        state["step"].add_(1)
        gradient = gradient + _over(self._decay, weights) * weights
        alpha = _over(self._alpha, weights)
        squares = state["square_avg"].mul_(alpha).addcmul_(gradient, gradient * (1.0 - alpha))
        if "grad_avg" in state:
            mean = state["grad_avg"].lerp_(gradient, 1.0 - alpha)
            squares = squares - mean * mean
        direction = gradient / squares.sqrt().add_(_over(self._eps, weights))
        if "momentum_buffer" in state:
            direction = state["momentum_buffer"].mul_(_over(self._momentum, weights)).add_(direction)
        weights.sub_(direction * _over(self._lr, weights))


BROADCAST: dict[type[Optimizer], type[Broadcast]] = {
    SGD: BroadcastSGD,
    Adam: BroadcastAdam,
    AdamW: BroadcastAdamW,
    RMSprop: BroadcastRMSprop,
}
"""Optimizers that can step all trials in one sweep."""
