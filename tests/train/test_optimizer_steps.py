"""Steps without the bookkeeping of `torch.optim` end with its bits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import ExponentialLR

from idealfit.train.optimizer_steps import quick_step, quick_zero_grad

Make = Callable[[list[nn.Parameter]], Optimizer]

QUICK: dict[str, Make] = {
    "adamw": lambda p: AdamW(p, lr=0.01, fused=True),
    "adam, amsgrad": lambda p: Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True, fused=True),
    "sgd": lambda p: SGD(p, lr=0.1, weight_decay=0.1, fused=True),
    "nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, fused=True),
}
AS_IT_IS: dict[str, Make] = {
    "not fused": lambda p: AdamW(p, lr=0.01, foreach=False),
    "maximising": lambda p: AdamW(p, lr=0.01, maximize=True, fused=True),
    "another optimizer": lambda p: RMSprop(p, lr=0.01),
    "two groups": lambda p: AdamW([{"params": each} for each in p], fused=True),
}


def trained(
    make: Make, way: Callable[[Optimizer], Callable[[], object]], *, skip: int = -1
) -> tuple[list[Tensor], Optimizer]:
    """Weights after five steps, the learning rate moved after each; in step `skip` the last weight has no gradient."""
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4))]
    optimizer = make(weights)
    schedule = ExponentialLR(optimizer, 0.9)
    step = way(optimizer)
    for index in range(5):
        optimizer.zero_grad()
        loss = (weights[0] ** 2).sum() + (0 if index == skip else 1) * (weights[1] ** 4).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        if index == skip:
            weights[1].grad = None
        step()
        schedule.step()
    return [weight.detach() for weight in weights], optimizer


# Torch's fused SGD cannot give a weight its first momentum later than another.
CASES = [pair for pair in product(QUICK | AS_IT_IS, (-1, 0, 2)) if pair != ("nesterov", 0)]


@pytest.mark.parametrize(("name", "skip"), CASES)
def test_each_optimizer_ends_with_the_bits_of_its_own_step(name: str, skip: int) -> None:
    make = (QUICK | AS_IT_IS)[name]
    (quick, one), (plain, other) = trained(make, quick_step, skip=skip), trained(make, lambda o: o.step, skip=skip)
    for mine, theirs in zip(quick, plain, strict=True):
        assert torch.equal(mine, theirs)
    mine, theirs = one.state_dict()["state"], other.state_dict()["state"]
    assert mine.keys() == theirs.keys()
    for index in mine:
        for key, value in theirs[index].items():
            assert torch.equal(torch.as_tensor(mine[index][key]), torch.as_tensor(value)), key


@pytest.mark.parametrize("name", QUICK)
def test_what_can_go_without_bookkeeping_does(name: str) -> None:
    optimizer = QUICK[name]([nn.Parameter(torch.ones(2))])
    assert quick_step(optimizer) != optimizer.step


@pytest.mark.parametrize("name", AS_IT_IS)
def test_what_needs_its_bookkeeping_keeps_its_step(name: str) -> None:
    optimizer = AS_IT_IS[name]([nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))])
    assert quick_step(optimizer) == optimizer.step


def test_hooks_and_frozen_weights_keep_the_step() -> None:
    hooked, frozen = (QUICK["adamw"]([nn.Parameter(torch.ones(2))]) for _ in range(2))
    hooked.register_step_post_hook(lambda *_: None)
    frozen.param_groups[0]["params"][0].requires_grad_(False)
    assert quick_step(hooked) == hooked.step
    assert quick_step(frozen) == frozen.step


def test_gradients_are_taken_away_as_the_optimizer_does_it() -> None:
    weights = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    optimizer = AdamW([{"params": weights[:2]}, {"params": weights[2:]}])
    sum((weight**2).sum() for weight in weights[1:]).backward()  # type: ignore[union-attr]
    quick_zero_grad(optimizer)()
    assert [weight.grad for weight in weights] == [None] * 3


def test_an_optimizer_that_takes_gradients_away_its_own_way_does() -> None:
    class Counting(SGD):
        num_calls = 0

        def zero_grad(self, set_to_none: bool = True) -> None:
            self.num_calls += 1
            super().zero_grad(set_to_none)

    optimizer = Counting([nn.Parameter(torch.ones(2))], lr=0.1)
    quick_zero_grad(optimizer)()
    assert optimizer.num_calls == 1
