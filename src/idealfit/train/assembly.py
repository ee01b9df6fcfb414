"""Lightning's Trainer, with what a sweep needs and nothing else."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.utils.deterministic
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping

from idealfit.config.schema import TrainerConfig
from idealfit.objective import natural_direction
from idealfit.spec import JSON, ConfigError
from idealfit.train.allocator import kept_memory
from idealfit.train.checkpoints import SafeCheckpointIO
from idealfit.train.distributed import check_devices, strategy_options, trains_on_cuda

# Lightning warns of what is right here. Each with its reason:
EXPECTED_WARNINGS = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning 2.6 on torch 2.15, around every loader
    r"You defined a `validation_step` but have no `val_dataloader`",  # idealfit evaluates, whatever the module
    r"The `srun` command is available on your system but is not used",  # engines place trials
    r"Found \d+ module\(s\) in eval mode at the start of training",  # a user's net may freeze a part of itself
)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's notes to the terminal (`GPU available ...`) and the warnings that are expected."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def cheap_device_checks() -> Iterator[None]:
    """Spare each optimizer step a search for GPUs where there are none.

    torch asks for them in every step. Lightning, when imported, has it ask the driver's library, so that a later fork
    may still use the GPUs; where there is no driver that is a search for a missing file, a tenth of a small network's
    step.
    """
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    value = None if torch.cuda.is_available() else os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value


@contextmanager
def unfilled_memory() -> Iterator[None]:
    """Spare each new tensor the filling with NaN that comes with torch's deterministic algorithms.

    It would show code that reads what it has not written; torch's own does not, and the filling of images alone is a
    fourteenth of a perceptron's training.
    """
    switches: Any = torch.utils.deterministic
    fills = switches.fill_uninitialized_memory
    switches.fill_uninitialized_memory = False
    try:
        yield
    finally:
        switches.fill_uninitialized_memory = fills


@contextmanager
def lean() -> Iterator[None]:
    """Training with no notes of Lightning and no work that it does not need."""
    with quiet(), cheap_device_checks(), unfilled_memory(), kept_memory():
        yield


def early_stopping(config: TrainerConfig) -> list[Callback]:
    """Lightning's early stopping, if the config asks for it."""
    stopping = config.early_stopping
    if not stopping.patience:
        return []
    return [
        EarlyStopping(
            stopping.monitor,
            patience=stopping.patience,
            min_delta=stopping.min_delta,
            mode="min" if natural_direction(stopping.monitor) == "minimize" else "max",
            check_on_train_epoch_end=True,
        )
    ]


def resolved_precision(config: TrainerConfig) -> str:
    """`auto`: bf16-mixed where a CUDA device has it, else 32-true."""
    if config.precision != "auto":
        return config.precision
    has_cuda = trains_on_cuda(config)
    return "bf16-mixed" if has_cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"


def make_trainer(config: TrainerConfig, callbacks: Sequence[Callback], *, root_dir: Path, **options: Any) -> pl.Trainer:
    """A Trainer that runs `callbacks` in the order given.

    Raises:
        ConfigError: There is no such accelerator here, not as many devices, or this is no rank of several.
    """
    check_devices(config)
    options |= strategy_options(config)
    try:
        trainer = pl.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            precision=resolved_precision(config),  # type: ignore[arg-type]
            deterministic="warn" if config.deterministic else False,
            max_epochs=config.max_epochs,
            min_epochs=config.min_epochs,
            callbacks=list(callbacks),
            plugins=[SafeCheckpointIO(), LightningEnvironment()],  # ours, also where Slurm or torchrun set theirs
            default_root_dir=root_dir,
            logger=False,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            **options,
        )
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(
            f"trainer: accelerator={config.accelerator} devices={config.devices} precision={config.precision} "
            f"do not work here: {error}"
        ) from error
    # Lightning puts all Checkpoint callbacks last, but an epoch is measured before early stopping looks at it.
    trainer.callbacks = list(callbacks)  # type: ignore[attr-defined]
    return trainer


def device_facts(trainer: pl.Trainer) -> JSON:
    """Where and how exactly is computed."""
    return {
        "device": str(trainer.strategy.root_device),
        "num_threads": torch.get_num_threads(),
        "precision": trainer.precision_plugin.precision,
    } | ({"num_devices": trainer.world_size} if trainer.world_size > 1 else {})
