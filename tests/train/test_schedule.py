"""Learning-rate schedules of our own, and gradient descent by batch, by single image and by mini-batch as one knob."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

from idealfit.spec import JSON
from idealfit.train.schedule import Schedule, WarmUpCosine


def rates(total_steps: int, **shares: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = WarmUpCosine(optimizer, total_steps, **shares)
    assert Schedule(scheduler).is_per_batch
    found = []
    for _ in range(total_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_the_rate_goes_up_in_a_line_and_down_along_a_cosine() -> None:
    found = rates(10, warm_up=0.3, end=0.5)
    assert found[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert all(later < earlier for earlier, later in pairwise(found[3:]))
    assert 0.2 < found[-1] < 0.22
    assert rates(7, warm_up=0.0)[0] == 0.4


def test_warm_up_reaches_its_end_in_a_fit(config: JSON, run: Callable[..., Any]) -> None:
    config["scheduler"] = {"_target_": "idealfit.train.schedule.WarmUpCosine", "warm_up": 1 / 3}
    found = run(config).result.curves["lr"]
    assert found[0] < found[1] == 0.01 > found[2], "eight of 24 steps lead up"


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 40), (16, 3), (10_000, 1)])
def test_stochastic_mini_batch_and_batch_descent_are_one_knob(
    config: JSON, run: Callable[..., Any], batch_size: int, steps: int
) -> None:
    config["data"] |= {"batch_size": batch_size, "limit": 40}
    config["trainer"]["max_epochs"] = 1
    fitted = run(config)
    assert torch.load(fitted.directory / "last.ckpt", weights_only=True)["global_step"] == steps
