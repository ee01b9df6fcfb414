"""The Ray engine: attempts run in actors of a Ray cluster."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idealfit.engines.cluster_engine import ClusterEngine, check_storage
from idealfit.engines.dispatcher import Dispatcher
from idealfit.engines.hardware import MAX_CPU_SLOTS, usable_cores
from idealfit.engines.local import PRELOAD
from idealfit.engines.pool import checked_slots, checked_timeout
from idealfit.engines.ray_cluster import RayCluster
from idealfit.spec import ConfigError

REACH_S = 5.0


class RayEngine(ClusterEngine):
    """Runs attempts on a Ray cluster, each in a fresh process, in actors that hold the CPUs and GPUs of one attempt.

    Machines that share the study's folder write into it; from others a record's files come back as they grow.

    Args:
        slots: Actors at once, at most; each runs one attempt at a time. 0: as many as the cluster has room for, at most
            8 without GPUs.
        timeout_s: Seconds after which an attempt is killed; waiting for room does not count.
        address: `HOST:PORT` of a running cluster that this machine belongs to, `auto` for the one found here,
            `ray://HOST:PORT` from outside; None starts one on this machine alone.
        cpus: CPU cores of each attempt, its threads; at least one for each of its devices.
        gpus: GPUs of each attempt; 0.5 lets two share one, and more than 0 is at least one for each of its devices.
        resources: More that each attempt needs, by the cluster's own names, e.g. `{"a100": 1}`.
        runtime_env: How code travels, in Ray's words: `{"working_dir": ".", "py_modules": [...], "pip": [...]}`.
        stop_grace_s: Seconds that a stopped attempt gets to write its checkpoint.
        poll_s: Seconds between two exchanges with an actor.
        folder: Where the session lays down its token.
        devices_per_trial: `trainer.devices`: ranks of each attempt, all on one machine.
        storage: The study's, which must work for several hosts where there are.
        preload: Modules that attempts find imported.

    Raises:
        ConfigError: Ray is not installed, the cluster cannot be reached or used, or has no machine for such attempts.
    """

    def __init__(
        self,
        slots: int = 0,
        timeout_s: float | None = None,
        address: str | None = None,
        cpus: int = 1,
        gpus: float = 0,
        resources: Mapping[str, float] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        stop_grace_s: float = 60.0,
        poll_s: float = 0.1,
        *,
        folder: str | Path,
        storage: str = "",
        devices_per_trial: int = 1,
        preload: Sequence[str] = PRELOAD,
    ) -> None:
        num_slots = checked_slots(slots)
        timeout_s = checked_timeout(timeout_s)
        if address:
            check_storage(storage, "engine=ray on several hosts")
        is_ours = _connect(address, dict(runtime_env or {}))
        cpus = max(cpus, devices_per_trial)
        gpus = max(gpus, devices_per_trial) if gpus and devices_per_trial > 1 else gpus
        needs = {"CPU": float(cpus), "GPU": float(gpus), **(resources or {})}
        try:
            room = _room(needs)
            cluster = RayCluster(
                Path(folder).resolve(),
                needs,
                is_ours=is_ours,
                ships_code="working_dir" in (runtime_env or {}),
                stop_grace_s=stop_grace_s,
                preload=preload,
            )
        except BaseException:
            _disconnect(is_ours)
            raise
        default = room if gpus else min(room, MAX_CPU_SLOTS)
        super().__init__(Dispatcher(cluster, num_seats=num_slots or default, poll_s=poll_s), timeout_s)


def _connect(address: str | None, runtime_env: dict[str, Any]) -> bool:
    """Join the cluster, or start one. Whether that is to be undone: a program that uses Ray has joined already."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("engine=ray needs Ray: pip install 'idealfit[ray]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # we hide devices ourselves; Ray would warn
    import ray

    _check_reachable(address)
    if ray.is_initialized():
        if runtime_env:
            raise ConfigError("engine.runtime_env: this program has joined Ray already. Give it to ray.init instead.")
        return False
    own: dict[str, Any] = {} if address else {"num_cpus": usable_cores(), "include_dashboard": False}
    try:
        ray.init(
            address=address or "local", runtime_env=runtime_env, log_to_driver=False, logging_level=logging.ERROR, **own
        )
    except Exception as error:
        text = " ".join(str(error).split())
        where = f"engine.address={address}: the cluster can't be used" if address else "engine=ray: Ray does not start"
        raise ConfigError(f"{where}: {text}") from error
    return True


def _disconnect(is_ours: bool) -> None:
    import ray

    if is_ours:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not address or address == "auto":
        return
    if not host or not port.isdigit():
        raise ConfigError(
            f"engine.address={address}: expected HOST:PORT, ray://HOST:PORT, auto, or null (a local one)."
        )
    try:
        socket.create_connection((host, int(port)), timeout=REACH_S).close()
    except OSError as error:
        raise ConfigError(
            f"engine.address={address}: nobody answers there ({error}). Start a cluster by "
            f"`ray start --head --port={port}` on that machine, or leave engine.address out for one of your own here."
        ) from error


def _room(needs: Mapping[str, float]) -> int:
    """How many such attempts the cluster has room for.

    Raises:
        ConfigError: No machine has room for one.
    """
    import ray

    nodes: Any = ray.nodes
    machines = [node["Resources"] for node in nodes() if node["Alive"]]
    wanted = {key: value for key, value in needs.items() if value > 0}
    room = sum(min(int(has.get(key, 0) // value) for key, value in wanted.items()) for has in machines)
    if not room:
        most = {key: max((has.get(key, 0) for has in machines), default=0) for key in wanted}
        asks = ", ".join(f"{key} {value:g}" for key, value in wanted.items())
        offers = ", ".join(f"{key} {value:g}" for key, value in most.items())
        raise ConfigError(f"engine=ray: no machine of the cluster has {asks} (the most there is: {offers}).")
    return room
