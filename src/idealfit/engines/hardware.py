"""What this machine offers: cores that we may use, accelerator devices, and how slots share them.

Nothing here touches CUDA: a controller that does cannot fork its workers any more.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

MAX_CPU_SLOTS = 8
"""Default slots without a device, at most. More trials at once teach the sampler less and need more memory."""

WAIT_POLICY = "passive"
"""OMP_WAIT_POLICY: threads that wait for each other sleep. Where a machine has other work too, spinning makes small
nets many times slower (a trial on the digits, 2 threads on 2 busy cores: 8.0 s spinning, 0.4 s sleeping)."""


def usable_cores() -> int:
    """CPU cores that this process may use: by affinity, and by the quota of its container."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    quota = _container_quota()
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def device_ids() -> list[str]:
    """CUDA devices by the names that CUDA_VISIBLE_DEVICES knows them by; those hidden from this process left out."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        ids = [part.strip() for part in visible.split(",")]
        return ids[: ids.index("-1")] if "-1" in ids else [part for part in ids if part]
    tool = shutil.which("nvidia-smi")
    try:
        return [str(index) for index in range(_count_devices(tool))] if tool else []
    except (OSError, subprocess.SubprocessError):
        return []


@cache
def _count_devices(tool: str) -> int:
    """As `nvidia-smi` lists them, asked once: it wakes every sleeping GPU."""
    listing = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    return sum(line.startswith("GPU ") for line in listing.splitlines())


def default_slots(num_devices: int, num_cores: int, devices_per_trial: int = 1) -> int:
    """As many slots as the devices go round; without one, as the cores do, at most `MAX_CPU_SLOTS`."""
    return max(1, (num_devices or min(num_cores, MAX_CPU_SLOTS)) // devices_per_trial)


def devices_of_slot(slot: int, num_devices: int, devices_per_trial: int = 1) -> list[int] | None:
    """Positions of the devices dealt to `slot`; None without any.

    Further slots than the devices go round begin with the first devices again, so that several small trials share one.
    """
    if num_devices == 0:
        return None
    per_trial = min(devices_per_trial, num_devices)  # where that is too few, the trial says so
    first = slot % (num_devices // per_trial) * per_trial
    return list(range(first, first + per_trial))


def visible_devices(positions: Sequence[int], ids: Sequence[str]) -> str:
    """The value of CUDA_VISIBLE_DEVICES that shows only `positions`."""
    return ",".join(ids[position] for position in positions)


def _container_quota() -> float | None:
    """Cores that the control group grants, None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        folder = Path("/sys/fs/cgroup/cpu")
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        return quota_us / int((folder / "cpu.cfs_period_us").read_text()) if quota_us > 0 else None
    except (OSError, ValueError):
        return None
