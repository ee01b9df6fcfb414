"""Random streams that depend on what they are for, never on who drew before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


def derive_seed(*parts: int | str) -> int:
    """A seed in 0..2**63-1 from whole numbers and words; a change of any part gives an unrelated one."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """What every generator is seeded with as an epoch begins, so that each way to train draws the same numbers."""
    return derive_seed(seed, "epoch", epoch, rank)


class RandomStream:
    """torch's global CPU random numbers for some calls only: lent to them, then put back as they were.

    So augmentation is the same whatever the model drew for its dropout, and however many batches make one step.
    """

    def __init__(self, seed: int) -> None:
        self._state = torch.Generator().manual_seed(seed).get_state()

    def run(self, function: Callable[[], Result]) -> Result:
        """What `function()` returns, its random numbers drawn from this stream."""
        outer = torch.get_rng_state()
        torch.set_rng_state(self._state)
        try:
            return function()
        finally:
            self._state = torch.get_rng_state()
            torch.set_rng_state(outer)
