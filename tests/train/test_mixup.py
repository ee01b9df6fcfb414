"""Training on mixed images and mixed labels."""

from __future__ import annotations

from typing import Any

import pytest

from idealfit.spec import ConfigError

MIXUP = {"_target_": "idealfit.data.Augment", "mixup": 0.2}


@pytest.mark.parametrize("loss", ["CrossEntropyLoss", "BCEWithLogitsLoss", "MSELoss"])
def test_losses_that_take_probabilities_train_on_mixed_labels(config: Any, run: Any, loss: str) -> None:
    config["augment"], config["loss"] = MIXUP, {"_target_": f"torch.nn.{loss}"}
    curve = run(config).result.curves["val/loss"]
    assert curve[-1] < 0.95 * curve[0]


def test_a_loss_that_takes_whole_labels_is_refused_by_name(config: Any, run: Any) -> None:
    config["augment"], config["loss"] = MIXUP, {"_target_": "torch.nn.MultiMarginLoss"}
    with pytest.raises(ConfigError, match=r"augment\.mixup .* MultiMarginLoss .* loss=cross_entropy"):
        run(config)


def test_without_mixing_any_loss_is_taken(config: Any, run: Any) -> None:
    config["augment"], config["loss"] = {**MIXUP, "mixup": 0.0}, {"_target_": "torch.nn.MultiMarginLoss"}
    assert run(config).result.curves["val/accuracy"][-1] > 0.7
