"""The workers engine: attempts run on whatever machines have joined the study."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from idealfit.engines.cluster_engine import ClusterEngine
from idealfit.engines.dispatcher import Dispatcher
from idealfit.engines.local import PRELOAD
from idealfit.engines.pool import checked_slots, checked_timeout
from idealfit.engines.workers_cluster import POLL_S, WorkersCluster
from idealfit.spec import redacted


class WorkersEngine(ClusterEngine):
    """Runs attempts in the slots that `idealfit worker` offers on any machine, each in a fresh process there.

    Workers come and go while the study runs. One that leaves has its attempts write checkpoints, and they go on in the
    next free slot; one that is lost is noticed by the end of its lease, and its trials are attempted again from their
    checkpoints. They meet in the study's PostgreSQL, and share the folder of the records.

    Args:
        slots: Attempts at once, at most; 0: as many as workers offer.
        timeout_s: Seconds after which an attempt is killed; waiting for a worker does not count.
        lease_s: Seconds without a sign of life after which a worker is lost.
        stop_grace_s: Seconds that a stopped attempt gets to write its checkpoint.
        devices_per_trial: `trainer.devices`: ranks of each attempt, all on one machine.
        folder: The study's; its name is the study's.
        storage: The study's PostgreSQL.
        preload: Modules that attempts find imported.

    Raises:
        ConfigError: The study is in no PostgreSQL, or a value makes no sense.
        StudyError: The database cannot be used.
    """

    def __init__(
        self,
        slots: int = 0,
        timeout_s: float | None = None,
        lease_s: float = 30.0,
        stop_grace_s: float = 60.0,
        *,
        devices_per_trial: int = 1,
        folder: str | Path,
        storage: str = "",
        preload: Sequence[str] = PRELOAD,
    ) -> None:
        self._limit = checked_slots(slots)
        timeout_s = checked_timeout(timeout_s)
        self._address = f"{redacted(storage)}#{Path(folder).name}"
        self._cluster = WorkersCluster(
            folder=Path(folder).resolve(),
            storage=storage,
            lease_s=lease_s,
            stop_grace_s=stop_grace_s,
            preload=preload,
            devices_per_trial=devices_per_trial,
        )
        dispatcher = Dispatcher(self._cluster, num_seats=self._limit or sys.maxsize, poll_s=POLL_S)
        super().__init__(dispatcher, timeout_s)

    @property
    def num_slots(self) -> int:
        """How many attempts run at once: so many slots are offered now; at least 1, for whom may come."""
        offered = self._cluster.num_offered
        return max(1, min(offered, self._limit) if self._limit else offered)

    @property
    def invitation(self) -> str:
        """What to type on other machines."""
        return f"workers may join now, on any machine that shares {self._cluster.folder}: " + shlex.join(
            ["idealfit", "worker", self._address]
        )
