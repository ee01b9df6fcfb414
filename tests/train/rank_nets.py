"""Networks that note which process they are in, and misbehave on one rank. Ranks import this module by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """A linear network that leaves the id of each rank's process in `folder`.

    Args:
        folder: Where.
        rank: Which rank misbehaves.
        after: In which training step.
        what: How: `kill`, `hang`, `raise` or `nan`.
    """

    def __init__(self, folder: str, rank: int = -1, after: int = 0, what: str = "") -> None:
        super().__init__()
        self.out = nn.Linear(64, 10)
        self._is_bad = rank == int(os.environ.get("LOCAL_RANK", -2))
        self._after = after
        self._what = what
        self._step = 0
        Path(folder, f"rank{os.environ.get('LOCAL_RANK')}.pid").write_text(str(os.getpid()))

    def forward(self, images: Tensor) -> Tensor:
        logits = cast("Tensor", self.out(images.flatten(1)))
        if self.training:
            self._step += 1
            if self._is_bad and self._step == self._after:
                return self._misbehave(logits)
        return logits

    def _misbehave(self, logits: Tensor) -> Tensor:
        if self._what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._what == "hang":
            time.sleep(600)
        if self._what == "raise":
            raise MemoryError(f"on rank {os.environ['LOCAL_RANK']}")
        return logits * torch.nan
