"""Training steps through `torch.compile`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from idealfit.config.schema import TrainerConfig
from idealfit.spec import ConfigError
from idealfit.train.distributed import trains_on_cuda

COMPILERS = ("g++", "clang++")


def compiled_call(net: nn.Module, mode: str) -> Callable[[Tensor], Tensor] | None:
    """What training steps call for `net` in a mode of `torch.compile`; None: itself.

    Scoring calls the network as it is. A batch of another size, such as the last of an epoch, is compiled once more
    rather than for any size, which would be slower.
    """
    if mode == "none":
        return None

    def call(images: Tensor) -> Tensor:
        return cast("Tensor", net(images))

    return torch.compile(call, mode=mode, dynamic=False)


def check_compiler(trainer: TrainerConfig) -> None:
    """Check that there is what `torch.compile` needs on a CPU.

    Raises:
        ConfigError: There is no C++ compiler.
    """
    if trainer.compile == "none" or trains_on_cuda(trainer):
        return
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    if not any(shutil.which(name) for name in wanted):
        raise ConfigError(
            f"trainer.compile={trainer.compile} needs a C++ compiler on a CPU, and there is no {' or '.join(wanted)} "
            "on the PATH. Install one, or take trainer.compile=none"
        )
