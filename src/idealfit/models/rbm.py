"""Restricted Boltzmann machines, learned by contrastive divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from idealfit.spec import ConfigError

BINARY, GAUSSIAN = "binary", "gaussian"
VISIBLE = (BINARY, GAUSSIAN)
FIRST_STD = 0.01  # of weights before the first step (Hinton, 2010)
LEAST = 0.01  # a pixel that is always 0 would otherwise start with a bias of minus infinity


@final
@dataclass(frozen=True)
class RBM:
    """Visible and hidden units, each of one side connected with all of the other and none with its own.

    Hidden units are binary. Visible ones are binary too, also where they hold probabilities, or Gaussian of variance 1
    (Hinton, "A practical guide to training restricted Boltzmann machines", 2010).

    Attributes:
        weight: `[H, V]`.
        hidden_bias: `[H]`.
        visible_bias: `[V]`.
        visible: Kind of the visible units: binary or gaussian.
    """

    weight: Tensor
    hidden_bias: Tensor
    visible_bias: Tensor
    visible: str = BINARY

    @classmethod
    def fresh(cls, num_hidden: int, seen: Tensor, visible: str, generator: torch.Generator) -> RBM:
        """One that has learned nothing but about how bright each unit is.

        Args:
            num_hidden: Number of hidden units.
            seen: `[B, V]`: some of what it is to learn.
            visible: Kind of the visible units.
            generator: Of its weights; on their device.
        """
        mean = seen.mean(dim=0)
        bias = mean.clamp(LEAST, 1 - LEAST).logit() if visible == BINARY else mean
        weight = torch.empty(num_hidden, seen.shape[1], device=seen.device)
        weight.normal_(0.0, FIRST_STD, generator=generator)
        return cls(weight, torch.zeros(num_hidden, device=seen.device), bias, visible)

    def hidden(self, seen: Tensor) -> Tensor:
        """Probabilities of the hidden units, `[B, H]`, given visible ones `[B, V]`."""
        return torch.sigmoid(F.linear(seen, self.weight, self.hidden_bias))

    def reconstruction(self, hidden: Tensor) -> Tensor:
        """Means of the visible units, `[B, V]`, given hidden ones `[B, H]`."""
        inputs = F.linear(hidden, self.weight.T, self.visible_bias)
        return inputs if self.visible == GAUSSIAN else torch.sigmoid(inputs)

    def free_energy(self, seen: Tensor) -> Tensor:
        """`[B]`: minus the logarithm of the probability of visible units `[B, V]`, up to a constant of the machine."""
        if self.visible == GAUSSIAN:
            own = 0.5 * (seen - self.visible_bias).square().sum(dim=1)
        else:
            own = -seen @ self.visible_bias
        return own - F.softplus(F.linear(seen, self.weight, self.hidden_bias)).sum(dim=1)

    def gradient(
        self, seen: Tensor, steps: int, generator: torch.Generator
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Which way the log-likelihood of `seen`, `[B, V]`, rises: by contrastive divergence (Hinton, 2002).

        The expectation under the machine is taken where a Gibbs chain from `seen` is after `steps` steps; after very
        many it is the exact gradient, but for the noise of the samples.

        Returns:
            That of the weights, the hidden and the visible biases; and the mean squared difference of a visible unit
            and its first reconstruction.
        """
        given = hidden = self.hidden(seen)
        model, error = seen, seen.new_zeros(())
        for step in range(steps):
            means = self.reconstruction(_drawn(hidden, generator))
            if step == 0:
                error = (seen - means).square().mean()
            model = self._sample(means, generator)
            hidden = self.hidden(model)  # of the last step probabilities, not samples: less noise, the same mean
        weight = (given.T @ seen - hidden.T @ model) / len(seen)
        return (weight, (given - hidden).mean(dim=0), (seen - model).mean(dim=0)), error

    def _sample(self, means: Tensor, generator: torch.Generator) -> Tensor:
        if self.visible == BINARY:
            return _drawn(means, generator)
        noise = torch.empty_like(means).normal_(generator=generator)
        return means + noise


def _drawn(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """1 with these probabilities, else 0; 0 where they are NaN, of which `torch.bernoulli` would make an error."""
    return (torch.empty_like(probabilities).uniform_(generator=generator) < probabilities).to(probabilities.dtype)


@final
@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """How the machines of a deep belief net learn, one a layer.

    Attributes:
        epochs: Of each layer; 0: none is pre-trained.
        visible: Kind of the first one's visible units: binary (pixels from 0 to 1) or gaussian (normalised ones).
        cd_steps: Gibbs steps of a contrastive divergence.
        lr: Learning rate; Gaussian units take a hundredth.
        momentum: Share of the last step in the next one.
        weight_decay: On the weights, not the biases.
    """

    epochs: int = 10
    visible: str = BINARY
    cd_steps: int = 1
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 2e-4

    def __post_init__(self) -> None:
        """Check what a schema may not have checked.

        Raises:
            ConfigError: A value makes no sense.
        """
        if self.visible not in VISIBLE:
            raise ConfigError(f"model.pretrain.visible must be binary or gaussian, but got {self.visible!r}")
        for key, least in (("epochs", 0), ("cd_steps", 1)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"model.pretrain.{key} must be a whole number from {least} up, but got {value!r}")


GAUSSIAN_LR = 0.01  # on the rate: Gaussian units are not bounded, and reconstructions run away (Hinton, 2010, 13.2)


@final
class Learning:
    """Gradient ascent with momentum on what contrastive divergence says; it changes the machine in place."""

    def __init__(self, rbm: RBM, options: Pretraining, generator: torch.Generator) -> None:
        self._parameters = (rbm.weight, rbm.hidden_bias, rbm.visible_bias)
        self._velocities = tuple(torch.zeros_like(parameter) for parameter in self._parameters)
        self._rbm = rbm
        self._options = options
        self._lr = options.lr * (GAUSSIAN_LR if rbm.visible == GAUSSIAN else 1.0)
        self._generator = generator

    def step(self, seen: Tensor) -> Tensor:
        """Learn from `seen`, `[B, V]`; the mean squared error of its reconstruction, before the step."""
        rises, error = self._rbm.gradient(seen, self._options.cd_steps, self._generator)
        rises[0].sub_(self._rbm.weight, alpha=self._options.weight_decay)
        for parameter, velocity, rise in zip(self._parameters, self._velocities, rises, strict=True):
            velocity.mul_(self._options.momentum).add_(rise)
            parameter.add_(velocity, alpha=self._lr)
        return error
