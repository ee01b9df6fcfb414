"""Studies made by hand: records with believable curves, of two slots at work, without training anything."""

from __future__ import annotations

import json
import math
import os
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from idealfit.objective import constants_of
from idealfit.overfit import summarize
from idealfit.record import Record
from idealfit.spec import JSON, FailureKind, Objective, Params, TrialResult, TrialSpec, TrialState

START = 1_790_000_000.0  # unix seconds
SPACE = {
    "optimizer.lr": "tag(log, interval(1e-4, 1e-1))",
    "model.depth": "range(1, 6)",
    "model.dropout": "interval(0, 0.6)",
    "model.width": "choice(32, 64, 128, 256)",
    "model.activation": "choice(relu, gelu, tanh)",
}
QUESTION = "Which learning rate, dropout and depth fit best?"
EVIL = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1"><!--<script>\u2028{{data}}$x$%{y}'
ACCURACY = Objective(metric="val/accuracy", direction="maximize")


@dataclass
class Plan:
    """One trial as it is to be written."""

    params: Params
    curves: dict[str, list[float]] = field(default_factory=dict)
    state: TrialState = TrialState.COMPLETE
    failure: FailureKind | None = None
    message: str = ""
    max_epochs: int = 30
    epoch_seconds: float = 0.4
    facts: JSON = field(default_factory=dict)


def curves(
    num_epochs: int, *, reach: float = 0.97, pace: float = 4.0, overfit: float = 0.0, seed: int = 0
) -> dict[str, list[float]]:
    """Learning curves: validation accuracy comes near `reach`; `overfit` turns validation loss up again."""
    noise = random.Random(seed)
    found: dict[str, list[float]] = {
        name: [] for name in ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "lr", "epoch_seconds")
    }
    for epoch in range(num_epochs):
        learned = 1 - math.exp(-(epoch + 1) / pace)
        past = max(0.0, epoch - 1.5 * pace)
        train_error = (1 - reach * learned) * math.exp(-0.25 * overfit * epoch / pace)
        val_error = 1 - reach * learned + 0.004 * overfit * past / pace
        found["train/loss"].append(2.3 * train_error + 0.004 * noise.random())
        found["val/loss"].append(
            2.3 * (1 - reach * learned) * 1.05 + 0.05 * overfit * past / pace + 0.01 * noise.random()
        )
        found["train/accuracy"].append(min(1.0, 1 - 0.9 * train_error))
        found["val/accuracy"].append(max(0.0, 1 - 0.9 * val_error - 0.004 * noise.random()))
        found["lr"].append(1e-3)
        found["epoch_seconds"].append(0.4)
    return found


def sample(number: int, seed: int = 0) -> Plan:
    """A trial of `SPACE`: best near lr 0.01, overfitting with depth, less with dropout; extremes fail or are pruned."""
    draw = random.Random(seed * 100_003 + number)
    near = number > 12 and draw.random() < 0.65  # as a sampler does: more and more trials where the good ones were
    lr = 10 ** min(-1.0, draw.gauss(-2.1, 0.35)) if near else 10 ** draw.uniform(-4, -1)
    depth = draw.choice((3, 4, 5)) if near else draw.randint(1, 5)
    dropout = min(0.6, max(0.0, draw.gauss(0.25, 0.12))) if near else draw.uniform(0, 0.6)
    width, activation = (
        draw.choice((64, 128, 256) if near else (32, 64, 128, 256)),
        draw.choice(("relu", "gelu", "tanh")),
    )
    params: Params = {
        "optimizer.lr": lr,
        "model.depth": depth,
        "model.dropout": dropout,
        "model.width": width,
        "model.activation": activation,
    }
    reach = (
        0.965
        + 0.006 * math.log2(width / 32)
        - 0.035 * (math.log10(lr) + 2) ** 2
        - 0.01 * abs(depth - 4)
        - 0.02 * (activation == "tanh")
        - 0.03 * (dropout > 0.45)
    )
    overfit = max(0.15, 0.6 * depth * math.log2(width / 16) / 4 - 4 * dropout)
    plan = Plan(
        params,
        curves=curves(30, reach=reach, pace=3 + 2 * abs(math.log10(lr) + 2), overfit=overfit, seed=number),
        epoch_seconds=0.15 + 0.05 * depth * width / 64,
        facts={
            "num_params": 784 * width + (depth - 1) * width**2 + 10 * width,
            "device": "cpu",
            "precision": "32-true",
            "num_threads": 1,
            "data_fingerprint": "3f1c9a0b77e2",
            "image_shape": [1, 28, 28],
            "num_classes": 10,
        },
    )
    if lr > 0.075:
        return replace(
            plan,
            curves=cut(plan.curves, 2),
            state=TrialState.FAILED,
            failure=FailureKind.NAN,
            message=f"NonFiniteLossError: the training loss became nan in epoch 2, batch {number}",
        )
    if depth == 5 and width == 256 and draw.random() < 0.5:
        return replace(
            plan,
            curves={},
            state=TrialState.FAILED,
            failure=FailureKind.OOM,
            message="RuntimeError: [enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory.",
        )
    if reach < 0.945 and number > 4:
        return replace(plan, curves=cut(plan.curves, draw.choice((3, 3, 9))), state=TrialState.PRUNED)
    return plan


def hostile(number: int) -> Plan:
    """A trial whose every name tries to run as a script."""
    plan = sample(number)
    params = {EVIL: EVIL if number % 2 else "plain", **plan.params}
    plan = replace(plan, params=params, facts={**plan.facts, EVIL: EVIL})
    if number % 5 == 0:
        plan = replace(plan, state=TrialState.FAILED, failure=FailureKind.BUG, message=EVIL)
    return plan


def cut(whole: dict[str, list[float]], num_epochs: int) -> dict[str, list[float]]:
    """The first epochs of curves."""
    return {name: curve[:num_epochs] for name, curve in whole.items()}


def write_study(
    study_dir: Path, plans: list[Plan], *, slots: int = 2, objective: Objective = ACCURACY, name: str | None = None
) -> Path:
    """Write one record a plan, times as of a study whose freed slots take the next trial at once."""
    free_at = [START] * slots
    for number, plan in enumerate(plans):
        slot = min(range(slots), key=lambda s: free_at[s])
        free_at[slot] = write_record(
            study_dir, number, plan, begin=free_at[slot] + 0.05, objective=objective, name=name
        )
    return study_dir


def write_record(
    study_dir: Path, number: int, plan: Plan, *, begin: float, objective: Objective = ACCURACY, name: str | None = None
) -> float:
    """Write one record; returns when its attempt ended, in unix seconds."""
    config = {
        "seed": 0,
        "data": {"_target_": "idealfit.data.MNIST", "batch_size": 128},
        "model": {"_target_": "idealfit.models.MLP", "depth": plan.params.get("model.depth", 2)},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": plan.params.get("optimizer.lr", 1e-3)},
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "trainer": {"max_epochs": plan.max_epochs},
    }
    spec = TrialSpec(
        study=name or study_dir.name,
        number=number,
        config=config,
        params=plan.params,
        objective=objective,
        record_dir=str(study_dir / str(number)),
    )
    record = Record.create(spec)
    num_epochs = max(map(len, plan.curves.values()), default=0)
    moment, lines = begin + 0.3, []
    for epoch in range(num_epochs):
        moment += plan.epoch_seconds
        metrics: dict[str, Any] = {metric: curve[epoch] for metric, curve in plan.curves.items()} | {
            "epoch_seconds": plan.epoch_seconds
        }
        lines.append(json.dumps({"epoch": epoch, "time": round(moment, 3), "attempt": 0, "metrics": metrics}))
    if lines:
        record.metrics_path.write_text("\n".join(lines) + "\n")
    os.utime(record.spec_path, (begin, begin))
    if plan.state is TrialState.RUNNING:
        return moment
    write_result(record, plan, objective, num_epochs)
    os.utime(record.result_path, (moment + 0.1, moment + 0.1))
    return moment + 0.1


def write_result(record: Record, plan: Plan, objective: Objective, num_epochs: int) -> None:
    """Write what the worker would have written."""
    curve = plan.curves.get(objective.metric, [])
    has_value = plan.state in (TrialState.COMPLETE, TrialState.PRUNED) and curve
    record.write_result(
        TrialResult(
            state=plan.state,
            value=objective.score(curve) if has_value else None,
            failure=plan.failure,
            message=plan.message,
            summaries=summarize(plan.curves, objective, constants_of(plan.facts))
            if plan.curves and plan.state is not TrialState.FAILED
            else {},
            facts=plan.facts,
            num_epochs=num_epochs,
            fit_seconds=plan.epoch_seconds * num_epochs,
        )
    )
