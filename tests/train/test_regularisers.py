"""L1 and max-norm: what a step does to the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from idealfit.spec import JSON, ConfigError
from idealfit.train.classifier import limit_norms


def weights(fitted: Any) -> list[Tensor]:
    state = torch.load(fitted.directory / "last.ckpt", weights_only=True)["state_dict"]
    return [value for name, value in state.items() if name.endswith("weight")]


def test_l1_makes_weights_sparse_where_l2_makes_them_small(config: JSON, run: Callable[..., Any]) -> None:
    config["model"] = {"_target_": "idealfit.models.Linear"}
    config["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 0.05}
    config["trainer"]["max_epochs"] = 30
    l2 = {**config["optimizer"], "weight_decay": 0.02}
    (plain,), (small,) = weights(run(config)), weights(run(config | {"optimizer": l2}, "l2"))
    config["trainer"]["l1"] = 0.01
    (sparse,) = weights(run(config, "l1"))
    shares = [(weight.abs() < 0.002).float().mean().item() for weight in (plain, small, sparse)]
    assert shares[2] > 0.25
    assert shares[2] > 3 * max(shares[:2])
    assert small.norm() < 0.9 * plain.norm()


def test_l1_adds_its_own_gradient_and_no_more(config: JSON, run: Callable[..., Any]) -> None:
    """One step of plain descent over all images: the difference is the learning rate times the signs."""
    config["model"] = {"_target_": "idealfit.models.Linear"}
    config["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 0.1}
    config["data"]["batch_size"] = 500
    config["trainer"] |= {"max_epochs": 1}
    (plain,) = weights(run(config))
    config["trainer"]["l1"] = 0.001
    (pulled,) = weights(run(config, "l1"))
    assert (plain - pulled).abs().max().item() == pytest.approx(0.1 * 0.001, rel=0.01)


def test_max_norm_holds_for_every_unit_after_training(config: JSON, run: Callable[..., Any]) -> None:
    config["trainer"]["max_norm"] = 0.5
    for weight in weights(run(config)):
        assert weight.norm(dim=1).max() <= 0.5 + 1e-5


def test_a_kernel_keeps_its_direction_when_it_is_shrunk() -> None:
    kernels = torch.randn(4, 3, 5, 5)
    limited = kernels.clone()
    limit_norms([limited], 1.0)
    assert limited.flatten(1).norm(dim=1).tolist() == pytest.approx([1.0] * 4)
    assert torch.allclose(
        limited / limited.flatten(1).norm(dim=1).view(4, 1, 1, 1),
        torch.nn.functional.normalize(kernels.flatten(1)).view_as(kernels),
        atol=1e-6,
    )
    small = torch.full((2, 3), 0.01)
    limit_norms([small], 1.0)
    assert (small == 0.01).all()


def test_a_module_with_its_own_step_is_told_to_do_it_there(
    config: JSON, run: Callable[..., Any], own_nets: None
) -> None:
    config["model"] = {"_target_": "own_nets.Own"}
    config["trainer"]["l1"] = 0.1
    with pytest.raises(ConfigError, match=r"trainer.l1: model Own has a training_step of its own"):
        run(config)
