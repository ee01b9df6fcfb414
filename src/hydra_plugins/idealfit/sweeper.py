"""`python -m idealfit train -m optimizer.lr=0.1,0.01`: Hydra's `--multirun` by the same code as `idealfit sweep`.

Hydra imports this module at every start of any Hydra program, so nothing heavy is imported here.
"""

from __future__ import annotations

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class IdealfitSweeper(Sweeper):
    """Hands the command line to idealfit; the task function is not called, trials run in idealfit's engine."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember which primary config Hydra was started with."""
        self.config_name: str = config.hydra.job.config_name

    def sweep(self, arguments: list[str]) -> Any:
        """Run a study over the overrides of the command line."""
        from idealfit.api import multirun
        from idealfit.cli.sweep import exit_code

        study = multirun(self.config_name, *arguments)
        if code := exit_code(study):
            raise SystemExit(code)  # Hydra drops what a sweeper returns
        return study


NODE = {"_target_": "hydra_plugins.idealfit.sweeper.IdealfitSweeper"}
ConfigStore.instance().store(group="hydra/sweeper", name="idealfit", node=NODE, provider="idealfit")
