"""One pass over the test images with trained weights: the only place that unlocks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from idealfit.spec import JSON, Objective
from idealfit.tasks import Task
from idealfit.train.assembly import make_trainer, quiet
from idealfit.train.checkpoints import load_safely
from idealfit.train.evaluation import eval_mode
from idealfit.train.parts import make_parts
from idealfit.train.predicting import as_classes


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """What a network says of the test images.

    Attributes:
        task: What it has learned.
        targets: Integers `[N]`, the right class of each image; of a task without classes floats `[N, num_outputs]`.
        scores: `[N, num_classes]`, a probability for each class or label; or `[N, 1]`, a number.
        more: Metrics that the run was asked for beside those of its task.
    """

    task: Task
    targets: NDArray[np.generic]
    scores: NDArray[np.float64]
    more: Sequence[str]


def score_test_images(
    config: JSON,
    *,
    weights: Path,
    objective: Objective,
    trusted: Sequence[str],
    refit: bool,
) -> Scored:
    """Send every test image through the network once.

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
    targets, scores = [], []
    with trainer.precision_plugin.val_step_context(), torch.inference_mode(), eval_mode(net):
        for images, right in parts.data.test_batches():  # type: ignore[attr-defined]
            scores.append(activation(net(convert(images)).float()).cpu().double().numpy())
            targets.append((as_classes(right) if parts.task.is_of_classes else right).cpu().numpy())
    return Scored(
        task=parts.task, targets=np.concatenate(targets), scores=np.concatenate(scores), more=list(parts.more)
    )
