"""An estimator instead of a network: fitted in one go, measured, recorded and reported as one epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from idealfit.data.rng import epoch_seed
from idealfit.models.estimators import Estimator
from idealfit.objective import constants_of
from idealfit.record import BEST_WEIGHTS
from idealfit.spec import JSON, Objective, Reporter
from idealfit.train.assembly import device_facts, make_trainer
from idealfit.train.checkpoints import save_atomically
from idealfit.train.latency import measure_latency
from idealfit.train.parts import Parts
from idealfit.train.predicting import predict_validation


def fit_estimator(
    net: Estimator,
    parts: Parts,
    seed: int,
    *,
    objective: Objective,
    reporter: Reporter,
    on_epoch: Callable[[int, dict[str, float]], None],
    checkpoint_dir: Path,
) -> dict[str, Any]:
    """Fit `net` to the training images; `best.pt` holds its state.

    Returns:
        Curves of one epoch, facts and predictions, as `FitResult` has them.
    """
    trainer = make_trainer(parts.trainer, [], root_dir=checkpoint_dir, enable_checkpointing=False)
    device = trainer.strategy.root_device
    parts.data.to(device)
    parts.loss.to(device)
    net.to(device)
    torch.manual_seed(epoch_seed(seed, 0))
    started = time.perf_counter()
    images, labels = (torch.cat(column) for column in zip(*parts.data.train_batches(0), strict=True))
    net.fit(images, labels)
    seconds = time.perf_counter() - started
    metrics = parts.evaluation(net, parts.data)
    metrics["epoch_seconds"] = time.perf_counter() - started
    metrics["samples_per_second"] = len(labels) / seconds
    checkpoint_dir.mkdir(parents=True, exist_ok=True)
    save_atomically(net.state_dict(), checkpoint_dir / BEST_WEIGHTS)
    curves = {name: [value] for name, value in metrics.items()}
    facts = parts.facts() | device_facts(trainer) | _latency(net, parts, objective)
    on_epoch(0, metrics)
    reporter.report(0, objective.curve(curves, constants_of(facts))[-1])
    predictions = predict_validation(
        net,
        parts.data,
        weights=None,
        activation=parts.measure.activation,
        num_images=parts.data.sizes["val"],
        num_classes=parts.data.num_classes,
        look=parts.trainer.look,
    )
    return {"curves": curves, "facts": facts, "predictions": predictions}


def _latency(net: Estimator, parts: Parts, objective: Objective) -> JSON:
    if "latency_ms" not in objective.asked:
        return {}
    image = torch.zeros(1, *parts.data.image_shape, device=net.images.device)
    return {"latency_ms": measure_latency(net, image)}
