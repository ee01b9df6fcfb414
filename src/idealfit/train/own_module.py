"""A user's own LightningModule: trained its own way, measured ours."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.model_helpers import is_overridden

from idealfit.train.parts import Parts


def adopt(module: pl.LightningModule, parts: Parts) -> bool:
    """Give `module` the config's optimizer and per-batch schedule where it makes none of its own.

    Returns:
        Whether the config's optimizer is in charge; then its per-epoch schedule is too.
    """
    if is_overridden("configure_optimizers", module):
        return False
    configured: dict[str, Any] = {"optimizer": parts.optimizer}
    if parts.schedule and parts.schedule.is_per_batch:
        configured["lr_scheduler"] = {"scheduler": parts.schedule.scheduler, "interval": "step"}
    module.configure_optimizers = lambda: configured  # type: ignore[method-assign,assignment,return-value]
    return True
