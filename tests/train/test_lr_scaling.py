"""Learning rates are meant for a batch size, and follow another one by the rule that the config chooses."""

from __future__ import annotations

from typing import Any

import pytest

from idealfit.config.schema import TrainerConfig
from idealfit.spec import ConfigError
from idealfit.train.schedule import lr_factor, scaled_rates


@pytest.mark.parametrize(("rule", "lr"), [("none", 0.01), ("linear", 0.0025), ("sqrt", 0.005)])
def test_the_rate_follows_the_batch_size(config: Any, run: Any, rule: str, lr: float) -> None:
    config["trainer"] |= {"max_epochs": 1, "lr_scaling": rule}  # 64 images a batch, 256 is what 0.01 is meant for
    assert run(config).result.curves["lr"] == pytest.approx([lr])


def test_a_scheduler_s_own_rates_follow_too(config: Any, run: Any) -> None:
    config["scheduler"] = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.08}
    config["trainer"] |= {"max_epochs": 1, "lr_scaling": "linear", "lr_batch_size": 128}
    assert run(config).result.curves["lr"] == pytest.approx([0.04 / 25])


def test_nothing_else_is_scaled() -> None:
    node = {"_target_": "a.B", "lr": 0.1, "weight_decay": 0.1, "eta_min": 0.0, "min_lr": None}
    assert scaled_rates(node, 2.0) == node | {"lr": 0.2}


def test_a_batch_size_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"lr_scaling=sqrt needs data\.batch_size"):
        lr_factor(TrainerConfig(lr_scaling="sqrt"), None)
