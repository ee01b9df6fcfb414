"""Random numbers for dropout: each trial draws what it would draw alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from idealfit.data.rng import epoch_seed
from idealfit.models.dropout import levels


class Noise:
    """One generator for each (seed, epoch) in the group.

    A trial alone seeds torch's generator from (seed, epoch) and dropout draws from it, layer by layer. Trials that have
    both in common drop by the same numbers, each at its own probability: these are drawn once for all of them. A draw
    costs as much as half a step of a small network.
    """

    def __init__(self) -> None:
        self._generators: list[torch.Generator] = []
        self._generator_of: Tensor | None = None  # by trial; None: all have the same

    def begin_epoch(self, trials: Sequence[tuple[int, int]], device: torch.device) -> None:
        """Seed for an epoch of trials with these (seed, epoch)."""
        kinds = list(dict.fromkeys(trials))
        seeds = [epoch_seed(seed, epoch) for seed, epoch in kinds]
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._generator_of = None if len(kinds) == 1 else torch.tensor([kinds.index(t) for t in trials], device=device)

    def uniform(self, like: Tensor) -> Tensor:
        """Numbers in [0, 1), `[1, *shape]` where all trials share them, else `[K, *shape]`.

        In double precision: these are the numbers that torch's own dropout on a CPU compares with its probability.
        """
        return self._drawn(lambda each: torch.empty_like(like, dtype=torch.float64).uniform_(generator=each))

    def levels(self, like: Tensor) -> Tensor:
        """The numbers that `models.Dropout` draws, of a shape like those of `uniform`."""
        return self._drawn(lambda each: levels(like, each))

    def _drawn(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        drawn = torch.stack([draw(each) for each in self._generators])
        return drawn if self._generator_of is None else drawn.index_select(0, self._generator_of)
