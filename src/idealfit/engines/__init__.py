"""Engines execute attempts: `inline` here, `local` in others, `fused` many in one, all else elsewhere."""

from idealfit.engines.forkserver import close_ahead
from idealfit.engines.fused import FusedEngine
from idealfit.engines.inline import InlineEngine
from idealfit.engines.local import LocalEngine, warm_up
from idealfit.engines.ray_engine import RayEngine
from idealfit.engines.slurm import SlurmEngine
from idealfit.engines.slurm_session import end_leftovers
from idealfit.engines.workers import WorkersEngine

__all__ = [
    "FusedEngine",
    "InlineEngine",
    "LocalEngine",
    "RayEngine",
    "SlurmEngine",
    "WorkersEngine",
    "close_ahead",
    "end_leftovers",
    "warm_up",
]
