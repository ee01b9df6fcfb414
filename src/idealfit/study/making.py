"""From a point to the config of its trial: searched values, derived ones, and another seed for a replicate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from idealfit.config import Composer
from idealfit.config.schema import MAX_SEED
from idealfit.provenance import flattened
from idealfit.space import Derivation
from idealfit.spec import JSON, Params

SEED, SPLIT_SEED = "seed", "data.split_seed"


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a trial tries.

    Attributes:
        replicates: Earlier trials of the very same point, in order: this one differs from them by its seed alone.
    """

    number: int
    params: Params
    replicates: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Made:
    """A trial's config, and the values that its point alone does not give: derived ones and a replicate's seed."""

    config: JSON
    extra: Params = field(default_factory=dict)


def make_config(composer: Composer, derivation: Derivation, params: Params, *, replicate: int = 0) -> Made:
    """Compose the config of a point.

    Args:
        composer: Of the study.
        derivation: `study.derive`.
        params: The point.
        replicate: How many earlier trials had the same point. Their split stays, so that scores compare.

    Raises:
        UserError: A value that is not allowed, or that cannot be derived.
    """
    extra: Params = {}
    if replicate:
        base = flattened(composer.trial_config({}))
        seeds = base.get("protocol.seeds", 1)  # a trial of several takes as many, and another one the next
        extra[SEED] = (int(base[SEED]) + replicate * int(seeds)) % (MAX_SEED + 1)
        if SPLIT_SEED in base and SPLIT_SEED not in params:
            extra[SPLIT_SEED] = base[SPLIT_SEED]
    config = composer.trial_config({**params, **extra})
    derived = derivation.values(flattened(config)) if derivation.expressions else {}
    if derived:
        extra |= derived
        config = composer.trial_config({**params, **extra})
    return Made(config=config, extra=extra)


def without_replicate(config: JSON, base: JSON) -> JSON:
    """The config of a replicate as if it were the first trial of its point."""
    seeds = {SEED: base[SEED]}
    data: dict[str, Any] = dict(config["data"])
    if "split_seed" in data and "split_seed" in base["data"]:
        data["split_seed"] = base["data"]["split_seed"]
    return {**config, **seeds, "data": data}
