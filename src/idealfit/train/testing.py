"""One pass over the test images with trained weights: the only place that unlocks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from idealfit.spec import JSON, Objective
from idealfit.train.assembly import make_trainer, quiet
from idealfit.train.checkpoints import load_safely
from idealfit.train.evaluation import eval_mode
from idealfit.train.parts import make_parts
from idealfit.train.predicting import as_classes


def score_test_images(
    config: JSON,
    *,
    weights: Path,
    objective: Objective,
    trusted: Sequence[str],
    refit: bool,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The right class of each test image, integers `[N]`, and a probability for each class, `[N, num_classes]`.

    Args:
        config: Of the training run.
        weights: The state dict to score with.
        objective: Of the run.
        trusted: Packages whose classes may be built.
        refit: Whether it was trained on the validation images too: the images are normalised as they were then.

    Raises:
        UserError: The data have no test part, or something cannot be built.
    """
    with quiet():
        parts = make_parts(config, objective=objective, trusted=trusted, refit=refit, unlock_test=True)
        trainer = make_trainer(
            replace(parts.trainer, devices=1), [], root_dir=weights.parent, enable_checkpointing=False
        )
    device = trainer.strategy.root_device
    net = parts.net.to(device)
    net.load_state_dict(load_safely(weights))
    parts.data.to(device)
    activation, convert = parts.measure.activation, trainer.precision_plugin.convert_input
    labels, scores = [], []
    with trainer.precision_plugin.val_step_context(), torch.inference_mode(), eval_mode(net):
        for images, right in parts.data.test_batches():  # type: ignore[attr-defined]
            scores.append(activation(net(convert(images)).float()).cpu().double().numpy())
            labels.append(as_classes(right).cpu().numpy())
    return np.concatenate(labels), np.concatenate(scores)
