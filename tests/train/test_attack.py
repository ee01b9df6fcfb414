"""Adversarial images: within their bounds, worse for the network, and a metric that a study can optimise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from idealfit.spec import JSON, ConfigError, Objective
from idealfit.train import preflight
from idealfit.train.attack import ROBUST_ACCURACY, Attack

EPSILON, LOW, HIGH = (torch.full((1, 1, 1), value) for value in (0.2, -1.0, 1.0))


def attack(num_steps: int) -> Attack:
    return Attack(criterion=nn.CrossEntropyLoss(), epsilon=EPSILON, low=LOW, high=HIGH, num_steps=num_steps)


@pytest.mark.parametrize("num_steps", [1, 10])
def test_pixels_move_against_the_network_within_their_bounds(num_steps: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))
    images, labels = torch.rand(64, 1, 4, 4) * 2 - 1, torch.randint(3, (64,))
    changed = attack(num_steps).changed(net, images, labels)
    assert (changed - images).abs().max() <= 0.2 + 1e-6
    assert changed.min() >= -1.0
    assert changed.max() <= 1.0
    criterion = nn.CrossEntropyLoss(reduction="none")
    assert (criterion(net(changed), labels) > criterion(net(images), labels)).float().mean() > 0.95
    assert all(parameter.grad is None for parameter in net.parameters()), "the fit's gradients are not touched"


def test_one_step_on_a_linear_net_is_the_sign_of_its_weights() -> None:
    """Of a linear net with two classes the gradient is the difference of the templates: worked out by hand."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 0.0]]))
    changed = attack(1).changed(net, torch.zeros(1, 1, 1, 2), torch.tensor([0]))
    assert changed.flatten().tolist() == pytest.approx([-0.2, 0.2])


def test_robust_accuracy_is_a_metric_of_every_epoch(config: JSON, run: Callable[..., Any]) -> None:
    plain = run(config).result.curves
    config["trainer"]["attack"] = {"epsilon": 0.1}
    objective = Objective(metric=ROBUST_ACCURACY)
    attacked = run(config, "attacked", objective=objective).result.curves
    assert attacked["val/accuracy"] == plain["val/accuracy"], "measuring does not change the training"
    assert all(
        0.0 < robust < 0.9 * clean
        for robust, clean in zip(attacked[ROBUST_ACCURACY][1:], plain["val/accuracy"][1:], strict=True)
    )
    config["trainer"]["attack"] = {"epsilon": 0.1, "steps": 10}
    stronger = run(config, "stronger", objective=objective).result.curves
    assert stronger[ROBUST_ACCURACY][-1] <= attacked[ROBUST_ACCURACY][-1]


def test_an_attack_that_is_off_or_impossible_is_refused(config: JSON) -> None:
    with pytest.raises(ConfigError, match=r"study.objective.metric is 'val/robust_accuracy', but this task logs only"):
        preflight(config, objective=Objective(metric=ROBUST_ACCURACY))
    config["trainer"]["attack"] = {"epsilon": 0.1}
    config["model"] = {"_target_": "idealfit.models.Forest"}
    with pytest.raises(
        ConfigError, match=r"model Forest has no gradient to attack it by: take trainer.attack.epsilon=0"
    ):
        preflight(config, objective=Objective())
