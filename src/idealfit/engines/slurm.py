"""The Slurm engine: attempts run in jobs of a cluster."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idealfit.engines.cluster_engine import ClusterEngine, check_storage
from idealfit.engines.dispatcher import Dispatcher
from idealfit.engines.local import PRELOAD
from idealfit.engines.pool import checked_slots, checked_timeout
from idealfit.engines.slurm_cluster import SlurmCluster, Submission
from idealfit.engines.slurm_commands import SlurmError, flags, slurm
from idealfit.engines.slurm_session import SlurmSession
from idealfit.spec import ConfigError, nearest

DEFAULT_SLOTS = 8


class SlurmEngine(ClusterEngine):
    """Runs attempts in Slurm jobs, each attempt in a fresh process there, over a folder that all nodes share.

    A job takes one attempt after the other, so that queueing and start-up are paid once. When its time ends or another
    job takes its place, the running attempt writes its checkpoint and goes on when the job, or another one, starts.

    Args:
        slots: Jobs at once, at most; each runs one attempt at a time. 0: 8.
        timeout_s: Seconds after which an attempt is killed; waiting for a job does not count.
        trials_per_job: Attempts that a job takes before it ends; 0: as many as there are.
        time_min: Time limit of a job in minutes. A trial may take longer: it goes on in the next one.
        partition: Where to run, as `account`, `qos` and `constraint`; None: Slurm's default.
        cpus: CPU cores of each job, the threads of its attempts; at least one for each device of an attempt.
        gpus: GPUs of each job; more than 0 is at least one for each device of an attempt.
        mem_gb: Memory of each job in GiB; None: Slurm's default.
        options: More options of `sbatch` by their long names, e.g. `{"exclude": "n3"}`; they win.
        setup: Lines of shell that run first in each job, e.g. `module load cuda`.
        signal_delay_s: Seconds before the end of its time at which a job begins to leave.
        idle_s: Seconds without work after which a job ends.
        stop_grace_s: Seconds that a stopped attempt gets to write its checkpoint.
        poll_s: Seconds between two looks into the mailboxes.
        state_s: Seconds between two questions to Slurm.
        folder: Where the session keeps its files, on a file system that all nodes share.
        storage: The study's, which must work for several hosts.
        devices_per_trial: `trainer.devices`: ranks of each attempt, all on one node.
        preload: Modules that attempts find imported.

    Raises:
        ConfigError: There is no Slurm, it refuses such jobs, or a value makes no sense.
    """

    def __init__(
        self,
        slots: int = 0,
        timeout_s: float | None = None,
        trials_per_job: int = 0,
        time_min: int = 60,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        cpus: int = 1,
        gpus: int = 0,
        mem_gb: float | None = None,
        options: Mapping[str, Any] | None = None,
        setup: Sequence[str] = (),
        signal_delay_s: int = 90,
        idle_s: float = 120.0,
        stop_grace_s: float = 60.0,
        poll_s: float = 0.2,
        state_s: float = 5.0,
        *,
        folder: str | Path,
        storage: str = "",
        devices_per_trial: int = 1,
        preload: Sequence[str] = PRELOAD,
    ) -> None:
        num_slots = checked_slots(slots) or DEFAULT_SLOTS
        cpus = max(cpus, devices_per_trial)
        gpus = max(gpus, devices_per_trial) if gpus else 0
        timeout_s = checked_timeout(timeout_s)
        place = {"partition": partition, "account": account, "qos": qos, "constraint": constraint}
        asked = _asked(place, cpus, gpus, mem_gb, time_min)
        asked |= {key.replace("_", "-"): value for key, value in (options or {}).items()}
        asked = {key: value for key, value in asked.items() if value is not None}
        _check_place(Path(folder), storage)
        _check_cluster(asked)
        submission = Submission(
            options=asked,
            setup=setup,
            num_cpus=cpus,
            time_min=time_min,
            signal_delay_s=signal_delay_s,
            idle_s=idle_s,
            stop_grace_s=stop_grace_s,
            poll_s=poll_s,
            state_s=state_s,
            preload=tuple(preload),
        )
        cluster = SlurmCluster(SlurmSession.create(Path(folder)), submission)
        dispatcher = Dispatcher(cluster, num_seats=num_slots, poll_s=poll_s, runs_per_seat=trials_per_job)
        super().__init__(dispatcher, timeout_s)


def _asked(place: Mapping[str, Any], cpus: int, gpus: int, mem_gb: float | None, time_min: int) -> dict[str, Any]:
    """Options of `sbatch` by their long names."""
    return {
        **place,
        "cpus-per-task": cpus,
        "gpus-per-node": gpus or None,
        "mem": f"{round(mem_gb * 1024)}M" if mem_gb else None,
        "time": time_min,
    }


def _check_place(folder: Path, storage: str) -> None:
    check_storage(storage, "engine=slurm")
    if "%" in str(folder):
        raise ConfigError(f"runs_dir: Slurm puts values for '%' in the names of logs, so {folder} can't hold any.")


def _check_cluster(asked: Mapping[str, Any]) -> None:
    """Let Slurm judge such a job without submitting it."""
    if not shutil.which("sbatch"):
        raise ConfigError(
            "engine=slurm: no command `sbatch` here. Start idealfit where Slurm is installed, usually on the cluster's "
            "login node, or take engine=local."
        )
    if importlib.util.find_spec("submitit") is None:
        raise ConfigError("engine=slurm needs submitit: pip install 'idealfit[slurm]'")
    try:
        partitions = slurm("sinfo", "--noheader", "--all", "-o", "%R").split()
        if asked.get("partition") and not set(str(asked["partition"]).split(",")) <= set(partitions):
            known = nearest(str(asked["partition"]), partitions)
            raise ConfigError(f"engine.partition={asked['partition']}: Slurm has no such partition. {known}")
        slurm("sbatch", "--test-only", *flags(asked), f"--wrap={sys.executable}")
    except SlurmError as error:
        raise ConfigError(
            f"engine=slurm: Slurm would not run such a job: {error}. Asked: {' '.join(flags(asked))}"
        ) from error
