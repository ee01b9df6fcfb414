"""Who may join a group: trials whose parts fusing supports, of the same shape as the group's."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn

from idealfit.config.schema import TrainerConfig
from idealfit.data import ImageData
from idealfit.models.estimators import Estimator
from idealfit.models.whitening import Whitened
from idealfit.spec import JSON, sha256_of
from idealfit.tasks import MULTI_CLASS
from idealfit.train.fused.errors import NotFusableError, UnlikeGroupError
from idealfit.train.fused.member import Applicant, Member
from idealfit.train.opening import Opened, make_augment, open_data
from idealfit.train.parts import Parts, make_parts, trainer_config
from idealfit.train.pretraining import is_pretrained

PRECISIONS = ("32-true", "bf16-mixed", "64-true")


class Admission:
    """Builds the parts of trials for one group, the data of those that have them in common once.

    Args:
        device: Where the group is trained.
        chunk_size: Batches of one training step.
    """

    def __init__(self, device: torch.device, chunk_size: int) -> None:
        self._device = device
        self._chunk_size = chunk_size
        self._opened: dict[str, Opened] = {}
        self._shape: Any = None

    def admit(self, applicant: Applicant) -> Member | None:
        """The trial as a member, gone on from its last checkpoint.

        None where it is not to be trained here: refused, at its end already, or broken. Then it was told.
        """
        try:
            member = self._member(applicant)
        except NotFusableError as error:
            applicant.on_refusal(str(error), not isinstance(error, UnlikeGroupError))
            return None
        except Exception as error:  # noqa: BLE001 - a user's own parts may raise anything; the others go on
            applicant.on_end(error)
            return None
        if member.is_over or applicant.stop.is_set():
            member.is_stopped = not member.is_over
            member.leave({})
            return None
        return member

    def _member(self, applicant: Applicant) -> Member:
        config = applicant.config
        trainer = trainer_config(config)
        check_trainer(trainer)
        if "latency_ms" in applicant.objective.asked:
            raise NotFusableError("an objective with latency_ms")
        opened = self._open(config, trainer, applicant)
        parts = make_parts(config, objective=applicant.objective, trusted=applicant.trusted_packages, opened=opened)
        check_parts(parts)
        shape = shape_of(parts)
        self._shape = self._shape or shape
        if shape != self._shape:
            raise UnlikeGroupError("trials unlike those of their group")
        parts.net.to(self._device)
        if trainer.precision == "64-true":
            parts.net.double()
        member = Member(applicant, parts, chunk_size=self._chunk_size)
        member.load()
        return member

    def _open(self, config: JSON, trainer: TrainerConfig, applicant: Applicant) -> Opened:
        nodes = [config.get(name) for name in ("seed", "data", "augment", "protocol", "task")]
        key = sha256_of([*nodes, trainer.eval_batch_size])
        if key not in self._opened:
            trusted = applicant.trusted_packages
            opened = open_data(config, trainer, make_augment(config, trusted), trusted)
            opened[0].to(self._device)
            self._opened[key] = opened
        return self._opened[key]


def check_trainer(trainer: TrainerConfig) -> None:
    """Check the options of training.

    Raises:
        NotFusableError: One is not supported.
    """
    refused = {
        "trainer.gradient_clip_val": trainer.gradient_clip_val is not None,
        "trainer.accumulate_grad_batches": trainer.accumulate_grad_batches > 1,
        "trainer.l1": trainer.l1 > 0,
        "trainer.max_norm": trainer.max_norm is not None,
        "trainer.attack.epsilon": trainer.attack.epsilon > 0,
        "trainer.devices": trainer.devices > 1,
        "trainer.compile": trainer.compile != "none",
        f"trainer.precision={trainer.precision}": trainer.precision not in ("auto", *PRECISIONS),
    }
    for key, is_refused in refused.items():
        if is_refused:
            raise NotFusableError(key)


def check_parts(parts: Parts) -> None:
    """Check what was built.

    Raises:
        NotFusableError: It is not supported.
    """
    if parts.task.name != MULTI_CLASS:
        raise NotFusableError(f"task={parts.task.name}")
    if parts.more:
        raise NotFusableError(f"the metrics {', '.join(parts.more)}")
    if isinstance(parts.net, pl.LightningModule):
        raise NotFusableError("a LightningModule of your own")
    if isinstance(parts.net, Estimator):
        raise NotFusableError("an estimator, which has no gradient")
    if isinstance(parts.net, Whitened):
        raise NotFusableError("model.zca_epsilon")
    if is_pretrained(parts.net):
        raise NotFusableError("model.pretrain")
    if not all(parameter.requires_grad for parameter in parts.net.parameters()):
        raise NotFusableError("a network with frozen weights")
    if not isinstance(parts.data, ImageData):
        raise NotFusableError("a data module of your own")
    if len(parts.stepper.param_groups) > 1:
        raise NotFusableError("an optimizer with several groups of parameters")


def shape_of(parts: Parts) -> Any:
    """Equal for trials that may share a group."""
    group = parts.stepper.param_groups[0]
    data = parts.data
    return (
        [
            (name, type(layer), "" if isinstance(layer, nn.Dropout) else layer.extra_repr())
            for name, layer in parts.net.named_modules()
        ],
        type(parts.loss),
        type(parts.stepper),
        {key: value for key, value in group.items() if isinstance(value, bool)},
        bool(group.get("momentum")),
        (data.image_shape, data.num_classes, data.sizes, data.num_train_batches),
        parts.trainer.train_eval,
    )
