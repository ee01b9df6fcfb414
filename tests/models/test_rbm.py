"""Restricted Boltzmann machines: their energies and gradients against sums over all states, and what they learn."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from idealfit.data import MNIST
from idealfit.models.rbm import BINARY, GAUSSIAN, RBM, Learning, Pretraining
from idealfit.spec import ConfigError

NUM_HIDDEN = 3


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine two threads wait for each other far longer than one computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def states(num_units: int) -> Tensor:
    """Every state of binary units, `[2 ** N, N]`."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=num_units)))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def machine(visible: str = BINARY, scale: float = 0.5) -> RBM:
    draw = rng(1)
    weight, hidden, bias = (
        torch.randn(*shape, generator=draw) * scale for shape in ((NUM_HIDDEN, 4), (NUM_HIDDEN,), (4,))
    )
    return RBM(weight, hidden, bias, visible)


def energy(rbm: RBM, seen: Tensor, hidden: Tensor) -> Tensor:
    """`[V, H]` of all pairs, as Hinton (2010) writes it."""
    own = 0.5 * (seen - rbm.visible_bias).square().sum(dim=1) if rbm.visible == GAUSSIAN else -seen @ rbm.visible_bias
    return own[:, None] - (hidden @ rbm.hidden_bias)[None] - seen @ rbm.weight.T @ hidden.T


def log_likelihood(rbm: RBM, seen: Tensor) -> Tensor:
    """The mean over `seen`, exactly: there are 16 states of four visible units."""
    return -rbm.free_energy(seen).mean() - torch.logsumexp(-rbm.free_energy(states(4)), dim=0)


@pytest.mark.parametrize("visible", [BINARY, GAUSSIAN])
def test_free_energy_and_probabilities_are_sums_over_all_hidden_states(visible: str) -> None:
    rbm, seen = machine(visible), torch.randn(5, 4).sigmoid()
    energies = energy(rbm, seen, states(NUM_HIDDEN))
    assert torch.allclose(rbm.free_energy(seen), -torch.logsumexp(-energies, dim=1), atol=1e-5)
    expected = torch.softmax(-energies, dim=1) @ states(NUM_HIDDEN)
    assert torch.allclose(rbm.hidden(seen), expected, atol=1e-5)


def test_reconstructions_are_the_means_of_the_visible_units() -> None:
    rbm, hidden = machine(), states(NUM_HIDDEN)
    expected = torch.softmax(-energy(rbm, states(4), hidden), dim=0).T @ states(4)
    assert torch.allclose(rbm.reconstruction(hidden), expected, atol=1e-5)
    gaussian = machine(GAUSSIAN)
    slope = torch.autograd.functional.jacobian(
        lambda seen: energy(gaussian, seen[None], hidden[5:6]).sum(), gaussian.reconstruction(hidden[5:6])[0]
    )
    assert slope.abs().max() < 1e-5, "a Gaussian's mean is where the energy is lowest"


def test_contrastive_divergence_of_many_steps_is_the_gradient_of_the_likelihood() -> None:
    rbm = machine(scale=1.5)
    seen = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    learned = [rbm.weight, rbm.hidden_bias, rbm.visible_bias]
    for parameter in learned:
        parameter.requires_grad_()
    exact = torch.autograd.grad(log_likelihood(rbm, seen), learned)
    with torch.no_grad():
        found, _ = rbm.gradient(seen.repeat(20_000, 1), 60, rng())
        at_once, _ = rbm.gradient(seen.repeat(20_000, 1), 1, rng())
    for estimate, gradient in zip(found, exact, strict=True):
        assert (estimate - gradient).abs().max() < 0.01
    assert (at_once[0] - exact[0]).abs().max() > 0.02, "one step is biased, or the test could not fail"


def test_a_gaussian_chain_ends_where_the_machine_says() -> None:
    rbm = machine(GAUSSIAN)
    with torch.no_grad():
        (weight, hidden, visible), _ = rbm.gradient(torch.zeros(40_000, 4), 30, rng())
    hidden_states = states(NUM_HIDDEN)
    inputs = hidden_states @ rbm.weight + rbm.visible_bias  # the visible units are integrated out
    log_weights = hidden_states @ rbm.hidden_bias + 0.5 * (inputs.square() - rbm.visible_bias.square()).sum(dim=1)
    share = torch.softmax(log_weights, dim=0)
    assert torch.allclose(-visible, share @ inputs, atol=0.03)
    assert torch.allclose(rbm.hidden(torch.zeros(4)) - hidden, share @ hidden_states, atol=0.02)
    assert torch.allclose(-weight, torch.einsum("s,sh,sv->hv", share, hidden_states, inputs), atol=0.03)


def test_learning_raises_the_exact_likelihood() -> None:
    seen = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]).repeat(10, 1)
    generator = rng()
    rbm = RBM.fresh(NUM_HIDDEN, seen, BINARY, generator)
    learning = Learning(rbm, Pretraining(lr=0.1, momentum=0.9), generator)
    before = float(log_likelihood(rbm, seen))
    errors = [float(learning.step(seen)) for _ in range(300)]
    assert before == pytest.approx(-4 * 0.693, abs=0.05), "at first all 16 states are as likely"
    assert log_likelihood(rbm, seen) > -1.2, "two states are; -0.69 is the best"
    assert errors[-1] < 0.3 * errors[0]


@pytest.mark.parametrize("visible", [BINARY, GAUSSIAN])
def test_digits_that_were_not_learned_are_likelier_than_noise_of_the_same_pixels(
    visible: str, shared_data: Path
) -> None:
    images = torch.from_numpy(MNIST(root=shared_data / "mnist").read().images[:1500]).flatten(1) / 255
    images = (images - images.mean()) / images.std() if visible == GAUSSIAN else images
    generator = rng()
    rbm = RBM.fresh(64, images[:1000], visible, generator)
    learning = Learning(rbm, Pretraining(visible=visible, lr=0.1, momentum=0.9), generator)
    for epoch in range(3):
        for batch in torch.split(images[:1000][torch.randperm(1000, generator=rng(epoch))], 50):
            learning.step(batch)
    digits, order = images[1000:], torch.rand(500, 784, generator=rng()).argsort(dim=1)
    assert rbm.free_energy(digits).mean() < rbm.free_energy(digits.gather(1, order)).mean() - 50
    assert rbm.free_energy(digits).mean() < rbm.free_energy(digits.flip(1)).mean(), "not upside down"


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.pretrain\.visible must be binary or gaussian, but got 'relu'"):
        Pretraining(visible="relu")
    with pytest.raises(ConfigError, match=r"model\.pretrain\.cd_steps must be a whole number from 1 up, but got 0"):
        Pretraining(cd_steps=0)
