"""One network trained by several processes, one for each device: what they share, and how they are set up.

The processes themselves are started by the engine (`engines.ranks`), which sets LOCAL_RANK; Lightning only joins.
"""

from __future__ import annotations

import inspect
import os
from datetime import timedelta
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel

from idealfit.config.schema import TrainerConfig
from idealfit.engines.hardware import usable_cores
from idealfit.engines.worker import RANK
from idealfit.spec import ConfigError
from idealfit.train.evaluation import ALONE, Ranks

CUDA_NAMES = ("auto", "gpu", "cuda")
# torch 2.15 gave the argument another name.
_ARGUMENTS = inspect.signature(DistributedDataParallel).parameters
BUFFERS_AT_EACH_BATCH = "forward_sync_buffers" if "forward_sync_buffers" in _ARGUMENTS else "broadcast_buffers"


def ranks_of(trainer: pl.Trainer) -> Ranks:
    """The ranks of a running trainer."""
    if trainer.world_size == 1:
        return ALONE

    def add_up(tensor: Tensor) -> Tensor:
        return cast("Tensor", trainer.strategy.reduce(tensor, reduce_op="sum"))

    return Ranks(rank=trainer.global_rank, size=trainer.world_size, add_up=add_up)


def share_buffers(model: nn.Module, ranks: Ranks) -> None:
    """Give all ranks the same buffers, so that each scores the same network.

    Running statistics of normalisation become the mean over ranks; of every other buffer, rank 0's is taken.
    """
    if ranks.size == 1:
        return
    statistics = {
        id(buffer)
        for module in model.modules()
        if isinstance(module, _NormBase)
        for buffer in module.buffers(recurse=False)
        if buffer.is_floating_point()
    }
    with torch.no_grad():
        for buffer in model.buffers():
            if id(buffer) in statistics:
                buffer.copy_(ranks.add_up(buffer.double()) / ranks.size)
            else:
                torch.distributed.broadcast(buffer, src=0)


def trains_on_cuda(config: TrainerConfig) -> bool:
    """Whether this config trains on a CUDA device here."""
    return config.accelerator in CUDA_NAMES and torch.cuda.is_available()


def check_devices(config: TrainerConfig) -> None:
    """Check that there are as many devices as `config` asks for.

    Raises:
        ConfigError: There are fewer, or none that train together.
    """
    wanted = config.devices
    if wanted == 1:
        return
    if trains_on_cuda(config):
        there = torch.cuda.device_count()
        if wanted > there:
            raise ConfigError(
                f"trainer.devices={wanted}: a trial sees {there} CUDA device{'s' * (there != 1)} here, in one slot of "
                "its engine. Take fewer devices, or fewer engine.slots."
            )
    elif config.accelerator == "auto" and wanted > usable_cores():
        raise ConfigError(
            f"trainer.devices={wanted}: there is no CUDA device here, and only {usable_cores()} CPU cores. Take fewer "
            "devices; trainer.accelerator=cpu starts as many processes on the cores that there are."
        )
    elif config.accelerator in ("gpu", "cuda"):
        raise ConfigError(
            f"trainer.devices={wanted}: a trial sees no CUDA device here. On a cluster engine.gpus asks for some; "
            "trainer.accelerator=cpu trains on the cores."
        )
    elif config.accelerator not in ("auto", "cpu"):
        raise ConfigError(f"trainer.devices={wanted}: accelerator={config.accelerator} trains on one device only")


def strategy_options(config: TrainerConfig) -> dict[str, Any]:
    """What the Trainer is told of the ranks; nothing where there is one.

    Raises:
        ConfigError: This process is none of several.
    """
    if config.devices == 1:
        return {}
    if RANK not in os.environ:
        raise ConfigError(
            f"trainer.devices={config.devices}: the ranks of a distributed trial are started by its engine, and this "
            "one starts a single process; take engine=local or trainer.devices=1"
        )
    # Buffers are shared once an epoch (`share_buffers`) instead of before every batch.
    options: dict[str, Any] = {"timeout": timedelta(seconds=config.rank_timeout_s), BUFFERS_AT_EACH_BATCH: False}
    strategy = DDPStrategy(**options)
    on_cuda = trains_on_cuda(config)
    return {"strategy": strategy, "sync_batchnorm": config.sync_batchnorm and on_cuda}
