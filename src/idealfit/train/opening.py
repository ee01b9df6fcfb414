"""From a config to its data, and to what changes its training images."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as pl
from torch import nn

from idealfit.config.gate import build
from idealfit.config.schema import TrainerConfig
from idealfit.data import DATA_KEYS, ImageSource, LoaderData, TrainingData, open_source
from idealfit.protocol import fold_of
from idealfit.spec import JSON, ConfigError
from idealfit.tasks import task_of
from idealfit.train.checks import check_own_data

Opened = tuple[TrainingData, ImageSource | None]
"""A data set, and what it was read from."""


def make_augment(config: JSON, trusted: Sequence[str]) -> nn.Module | None:
    """What changes training images, as `config` says.

    Raises:
        UserError: It does not exist, or is not trusted.
    """
    return build(config["augment"], expect=nn.Module, trusted=trusted) if config.get("augment") else None


def open_data(
    config: JSON,
    trainer: TrainerConfig,
    augment: nn.Module | None,
    trusted: Sequence[str],
    *,
    train_on_val: bool = False,
    unlock_test: bool = False,
) -> Opened:
    """Open the data of `config`, whose training batches `augment` changes.

    Raises:
        UserError: It cannot be read, or is not trusted.
    """
    node = dict(config["data"])
    common = {key: node.pop(key) for key in DATA_KEYS if key in node}
    source = build(node, expect=(ImageSource, pl.LightningDataModule), trusted=trusted, extra=common)
    fold = fold_of(config)
    if isinstance(source, pl.LightningDataModule):
        if config.get("task"):
            check_own_data(source, task_of(config))
        if fold:
            raise ConfigError(
                f"protocol=kfold: the data module {type(source).__name__} splits its images itself, so idealfit can't "
                "make folds of them. Take protocol=holdout or protocol=seeds."
            )
        if train_on_val or unlock_test:
            raise ConfigError(
                f"data {type(source).__name__} is a data module of its own, whose test part idealfit can't open, nor "
                "join its training and validation parts. Promote without them: --no-test, and no --refit."
            )
        return LoaderData(source, seed=config["seed"], augment=augment), None
    evaluation = trainer.eval_batch_size
    data = open_source(
        source,
        **common,
        augment=augment,
        eval_batch_size=evaluation,
        seed=config["seed"],
        train_on_val=train_on_val,
        unlock_test=unlock_test,
        fold=fold,
        task=config.get("task"),
    )
    return data, source
