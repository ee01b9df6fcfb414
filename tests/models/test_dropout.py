"""Dropout with masks of its own on a CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from idealfit.models import Dropout


def dropped(p: float, input: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    output: Tensor = Dropout(p)(input)
    return output


@pytest.mark.parametrize("p", [0.001, 0.1, 0.3, 0.5, 0.9, 0.99999])
def test_as_many_units_are_dropped_as_asked_and_the_rest_keeps_the_mean(p: float) -> None:
    num_units = 2_000_000
    output = dropped(p, torch.ones(num_units))
    is_dropped = output == 0
    five_sigma = 5 * (p * (1 - p) / num_units) ** 0.5
    assert abs(float(is_dropped.float().mean()) - p) < five_sigma + 1 / 65_536
    assert len(set(output[~is_dropped].tolist())) == 1
    assert abs(float(output.double().mean()) - 1) < five_sigma / (1 - p)


def test_each_unit_is_dropped_for_itself() -> None:
    """Neighbours, and units a word of random bits apart, are dropped together as often as any two."""
    is_dropped = (dropped(0.3, torch.ones(1_000_000)) == 0).float()
    for distance in (1, 2, 3, 4, 5, 8, 64):
        together = float((is_dropped[distance:] * is_dropped[:-distance]).mean())
        assert abs(together - 0.09) < 0.0015, distance


def test_the_seed_decides_and_the_gradient_takes_the_same_units() -> None:
    first, again, other = (dropped(0.5, torch.ones(7, 33), seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    images = torch.rand(7, 33, requires_grad=True)
    output = dropped(0.5, images)
    output.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(images.grad, first)  # type: ignore[arg-type]
    assert torch.equal(output, images * first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_every_kind_of_number_keeps_its_kind(dtype: torch.dtype) -> None:
    output = dropped(0.25, torch.ones(1000, dtype=dtype))
    assert output.dtype == dtype
    assert set(output.tolist()) == {0.0, float(torch.tensor(4 / 3, dtype=dtype))}


def test_images_in_any_memory_order_are_dropped_alike() -> None:
    images = torch.rand(3, 4, 5, 6)
    assert torch.equal(dropped(0.4, images), dropped(0.4, images.to(memory_format=torch.channels_last)))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_ends_are_those_of_torch(p: float) -> None:
    assert torch.equal(dropped(p, torch.ones(9)), nn.Dropout(p)(torch.ones(9)))


def test_in_eval_mode_nothing_is_dropped_and_nothing_drawn() -> None:
    torch.manual_seed(0)
    state, images = torch.get_rng_state(), torch.rand(4, 4)
    torch.set_rng_state(state)
    assert Dropout(0.5).eval()(images) is images
    assert torch.equal(torch.get_rng_state(), state)
