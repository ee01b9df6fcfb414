"""From a config to the objects that are trained with: data, network, loss, optimizer, schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.optim import Optimizer

from idealfit.config.gate import build
from idealfit.config.schema import AttackConfig, EarlyStoppingConfig, TrainerConfig
from idealfit.data import ImageData, ImageSource, Mixing, TrainingData
from idealfit.data.rng import derive_seed
from idealfit.models.estimators import Estimator
from idealfit.models.whitening import Whitened
from idealfit.spec import JSON, Objective
from idealfit.tasks import MULTI_CLASS, TASKS, Task, task_of
from idealfit.train.attack import ROBUST_ACCURACY, Attack, make_attack
from idealfit.train.checks import (
    check_estimator,
    check_look,
    check_net,
    check_own_module,
    check_start,
    check_task,
)
from idealfit.train.compiling import check_compiler
from idealfit.train.evaluation import Evaluation
from idealfit.train.freezing import Start
from idealfit.train.measuring import Measure, make_measure
from idealfit.train.opening import Opened, make_augment, open_data
from idealfit.train.pretraining import check_pretraining
from idealfit.train.schedule import Schedule
from idealfit.train.stepping import make_optimizer, make_schedule
from idealfit.train.task import (
    Criterion,
    asked_metrics,
    check_metric,
    check_mixed_labels,
    check_objective,
    make_criterion,
    metric_names,
)
from idealfit.train.transfer import build_network, prepare
from idealfit.train.whitening import fit_whitening


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What one fit is made of.

    Attributes:
        net: Images to logits; a `LightningModule` where the user brought one.
        criterion: `loss` on logits and labels.
        optimizer: None for an estimator, which has no gradient.
        schedule: None leaves the learning rate.
        source: What the images were read from; None where the user brought a data module.
        task: What is learned.
        more: Metrics beyond the task's own that every epoch measures.
        start: What the network started from, and what of it stands still.
    """

    trainer: TrainerConfig
    data: TrainingData
    net: nn.Module
    loss: nn.Module
    criterion: Criterion
    optimizer: Optimizer | None
    schedule: Schedule | None
    source: ImageSource | None
    task: Task = TASKS[MULTI_CLASS]
    more: Sequence[str] = ()
    start: Start = field(default_factory=Start)

    @property
    def stepper(self) -> Optimizer:
        """The optimizer, of what is no estimator."""
        assert self.optimizer is not None  # noqa: S101
        return self.optimizer

    @property
    def averages_batch(self) -> bool:
        """Whether the criterion averages over a batch (else it adds up)."""
        return getattr(self.loss, "reduction", "mean") == "mean"

    @cached_property
    def measure(self) -> Measure:
        """What is measured beside the loss."""
        return make_measure(self.task, self.data.num_classes, self.loss)

    @property
    def evaluation(self) -> Evaluation:
        """How the network is scored after each epoch."""
        return Evaluation(
            criterion=self.criterion,
            sums_over_batch=not self.averages_batch,
            measure=self.measure,
            parts=("train", "val") if self.trainer.train_eval else ("val",),
            task=self.task,
            more=self.more,
        )

    @cached_property
    def attack(self) -> Attack | None:
        """What changes validation images against the network."""
        return make_attack(self.trainer.attack, self.data, self.criterion, self.task)

    @property
    def monitors(self) -> dict[str, str]:
        """Metrics that the trainer relies on, by config key."""
        stopping = self.trainer.early_stopping
        return {"trainer.early_stopping.monitor": stopping.monitor} if stopping.patience else {}

    def facts(self) -> JSON:
        """What the parts turned out to be."""
        return (
            self.start.facts
            | {
                "num_params": sum(parameter.numel() for parameter in self.net.parameters()),
                "image_shape": list(self.data.image_shape),
                "num_classes": self.data.num_classes,
                "class_names": list(self.data.class_names),
                **({} if self.task.name == MULTI_CLASS else self._task_facts()),
                "data_fingerprint": self.data.fingerprint,
                "split_sha256": self.data.split_sha256,
                "num_train_images": self.data.sizes["train"],
                "num_val_images": self.data.sizes["val"],
            }
            | (_image_facts(self.data) if isinstance(self.data, ImageData) else {})
        )

    def _task_facts(self) -> JSON:
        return {"task": self.task.name, "num_outputs": self.data.num_outputs}


def make_parts(
    config: JSON,
    *,
    objective: Objective,
    trusted: Sequence[str],
    opened: Opened | None = None,
    refit: bool = False,
    unlock_test: bool = False,
) -> Parts:
    """Build everything that `config` names, every class behind the trust gate.

    Args:
        config: The resolved tree of one training run.
        objective: What is asked for must be among what is logged.
        trusted: Packages whose classes may be built.
        opened: The data of `config`, where somebody has opened them already.
        refit: The validation images train too.
        unlock_test: The data give their test images. Never in a study.

    Raises:
        UserError: Something does not exist, is not trusted, or does not fit together.
    """
    trainer, task = trainer_config(config), task_of(config)
    augment: Any = make_augment(config, trusted)
    check_task(config, augment)
    data, source = opened or open_data(config, trainer, augment, trusted, train_on_val=refit, unlock_test=unlock_test)
    net = _make_net(config, data, trainer, trusted)
    start = _prepare_net(net, config, data, trainer, for_test=unlock_test)
    if isinstance(net, Estimator):
        check_estimator(net, augment, trainer, task)
    loss = build(config["loss"], expect=nn.Module, trusted=trusted)
    optimizer = schedule = None
    if not isinstance(net, Estimator):
        optimizer = make_optimizer(config, net, trainer, start, trusted)
        schedule = make_schedule(config, optimizer, trainer, data.num_train_batches, start, trusted)
    parts = Parts(
        trainer=trainer,
        data=data,
        net=net,
        loss=loss,
        criterion=make_criterion(loss, data.num_classes, task),
        optimizer=optimizer,
        schedule=schedule,
        source=source,
        task=task,
        start=start,
    )
    parts = replace(parts, more=asked_metrics(task, config, objective, parts.monitors.values()))
    if not isinstance(net, pl.LightningModule):  # what a user's own module logs is known only when it has run
        _check_logged(parts, objective)
        if task.name == MULTI_CLASS and isinstance(augment, Mixing) and augment.mixes:
            check_mixed_labels(loss, parts.criterion, data.num_classes)
    return parts


def _make_net(config: JSON, data: TrainingData, trainer: TrainerConfig, trusted: Sequence[str]) -> nn.Module:
    # Initial weights depend on the seed alone, not on what was drawn before.
    torch.manual_seed(derive_seed(config["seed"], "init"))
    shape = {"image_shape": data.image_shape, "num_classes": data.num_outputs}
    net = build_network(config["model"], trusted=trusted, extra=shape)
    check_net(net)
    if not trainer.channels_last:
        net.to(memory_format=torch.contiguous_format)
    return net


def _prepare_net(net: nn.Module, config: JSON, data: TrainingData, trainer: TrainerConfig, *, for_test: bool) -> Start:
    """What training needs before its first step, checked; a test brings the weights of the end."""
    start = Start() if for_test else prepare(net, config["model"], config=config, fingerprint=data.fingerprint)
    check_start(start, net, trainer)
    check_pretraining(net, config["model"], data, trainer)
    if trainer.look:
        check_look(net, task_of(config))
    if isinstance(net, Whitened) and not (for_test or config["model"].get("weights")):  # else it comes with them
        fit_whitening(net.whitening, data)
    if not (for_test or isinstance(net, Estimator)):  # neither a test nor an estimator takes compiled steps
        check_compiler(trainer)
    if isinstance(net, pl.LightningModule):
        check_own_module(net, trainer)
    return start


def _check_logged(parts: Parts, objective: Objective) -> None:
    logged = metric_names(parts.measure, parts.more, train_eval=parts.trainer.train_eval)
    logged += [ROBUST_ACCURACY] if parts.attack else []
    check_objective(objective, logged, parts.task)
    for key, name in parts.monitors.items():
        check_metric(key, name, logged)


def _image_facts(data: ImageData) -> JSON:
    return {"pixel_mean": data.mean, "pixel_std": data.std, "num_test_images": data.num_test_images}


def trainer_config(config: JSON) -> TrainerConfig:
    """The config's `trainer` node, defaults filled in."""
    node = dict(config["trainer"])
    stopping = EarlyStoppingConfig(**node.pop("early_stopping", None) or {})
    attack = AttackConfig(**node.pop("attack", None) or {})
    return TrainerConfig(**node, early_stopping=stopping, attack=attack)
