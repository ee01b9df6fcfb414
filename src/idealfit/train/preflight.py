"""Everything that can go wrong before training, found before training."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from idealfit.data import ImageSource
from idealfit.provenance import files_of
from idealfit.spec import JSON, ConfigError, Objective
from idealfit.train.assembly import device_facts, make_trainer, quiet
from idealfit.train.distributed import check_devices
from idealfit.train.evaluation import eval_mode
from idealfit.train.parts import Parts, make_parts

MAX_FILES = 50_000  # of a data set, whose names are kept; a change in a larger one is found, and has no name


def preflight(config: JSON, *, objective: Objective, trusted_packages: Sequence[str] = ()) -> JSON:
    """Open the data (which fills their cache), build every part, send two images through; the facts of the fit.

    Raises:
        UserError: The config does not fit together.
    """
    with quiet(), tempfile.TemporaryDirectory() as root_dir:
        parts = make_parts(config, objective=objective, trusted=trusted_packages)
        check_ranks(parts)
        alone = replace(parts.trainer, devices=1)  # this process starts no ranks, and one device is like the others
        trainer = make_trainer(alone, [], root_dir=Path(root_dir), enable_checkpointing=False)
        _try_forward(parts)
        files = _data_files(parts.source) if parts.source else {}
        return parts.facts() | device_facts(trainer) | ({"data_files": files} if 0 < len(files) <= MAX_FILES else {})


def check_ranks(parts: Parts) -> None:
    """Check that the ranks of this config find devices, and images of every batch.

    Raises:
        UserError: They do not.
    """
    if parts.trainer.devices == 1:
        return  # and no epoch is put in order for nothing
    check_devices(parts.trainer)
    parts.data.train_batches(0, rank=parts.trainer.devices - 1, world_size=parts.trainer.devices)


def _data_files(source: ImageSource) -> JSON:
    return files_of(source.files()) or files_of(source.identity())


def _try_forward(parts: Parts) -> None:
    name = type(parts.net).__name__
    images, labels = next(iter(parts.data.eval_batches("val")))
    images, labels = images[:2], labels[:2]
    with torch.no_grad(), eval_mode(parts.net):
        try:
            logits: Any = parts.net(images)
        except Exception as error:  # a user's own net may raise anything
            raise ConfigError(f"model {name} fails on images {list(images.shape)}: {error}") from error
        expected = (len(images), parts.data.num_outputs)
        if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
            got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ConfigError(
                f"model {name} must turn {len(images)} images into logits {list(expected)}, but gave {got}"
            )
        try:
            parts.criterion(logits, labels)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"loss {type(parts.loss).__name__} fails on logits and labels: {error}") from error
