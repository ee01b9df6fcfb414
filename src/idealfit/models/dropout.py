"""Dropout whose masks cost a fifth of those of torch on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NUM_LEVELS = 1 << 16  # of a number of 16 bits
_PER_WORD = 4  # such numbers in one of 64 bits


class Dropout(nn.Dropout):
    """`nn.Dropout`, for a CPU with masks from 16 random bits a unit (Srivastava et al., 2014).

    Torch draws a double for each unit there, which for a small perceptron takes as long as its matrix products. Here
    the probability is rounded to a 65,536th, and what is kept is scaled up by what is kept in fact. Other devices
    and compiled code take torch's way.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Float to float of the same shape, as it came in eval mode."""
        is_plain = input.device.type == "cpu" and not self.inplace and 0 < self.p < 1
        if not (self.training and is_plain) or torch.compiler.is_compiling():
            return super().forward(input)
        lowest, scale = kept_from(self.p)
        return input * levels(input).ge_(lowest).to(input.dtype).mul_(scale)


def levels(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Whole numbers from -32,768 to 32,767, each as likely as the others, as float32 of the shape of `like`."""
    words = torch.empty(-(-like.numel() // _PER_WORD), dtype=torch.int64, device=like.device)
    words.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    return words.view(torch.int16)[: like.numel()].view(like.shape).to(torch.float32)


def kept_from(p: float) -> tuple[float, float]:
    """The least level that is kept where a share `p` is dropped, and by how much to scale up what is kept."""
    num_dropped = min(round(p * _NUM_LEVELS), _NUM_LEVELS - 1)
    return float(num_dropped - _NUM_LEVELS // 2), _NUM_LEVELS / (_NUM_LEVELS - num_dropped)
