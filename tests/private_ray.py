"""A Ray cluster of one's own: several real nodes on this machine, each with an address and processes of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

from benchmarks.faults.processes import descendants

from private_postgres import free_port

NUM_CPUS = max(2, len(os.sched_getaffinity(0)))  # of each node
START_S = 180
INSTALL = "pip install 'idealfit[ray]'"
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_raylet_start_wait_time_s": "60",
}
HEAD = "127.0.0.10"


class NoRayError(Exception):
    """There is none, with the command that installs it."""


class PrivateRay:
    """A head without CPUs, as a controller's machine is, and nodes named `n1`, `n2`; `apart` shares no `hidden` folder.

    Each node has a resource of its own name.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.hidden = directory / "hidden"
        self.hidden.mkdir()
        self.address = f"{HEAD}:{free_port()}"
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str, is_apart: bool = False) -> None:
        port = self.address.rpartition(":")[2]
        self._run("head", "--head", f"--port={port}", f"--node-ip-address={HEAD}", "--num-cpus=0", "--num-gpus=0")
        for name in names:
            self.start_node(name)
        if is_apart:
            hide = f'mount -t tmpfs none "{self.hidden}" && exec "$@"'
            self.start_node("apart", prefix=["unshare", "--mount", "sh", "-c", hide, "sh"])

    def start_node(self, name: str, prefix: list[str] | None = None) -> None:
        number = 11 + len(self._nodes)
        self._run(
            name,
            f"--address={self.address}",
            f"--node-ip-address=127.0.0.{number}",
            f"--num-cpus={NUM_CPUS}",
            "--num-gpus=2",
            f'--resources={{"{name}": 8}}',
            prefix=prefix or [],
        )

    def node_pids(self) -> dict[str, int]:
        """The process of each node, by name, the controller's left out."""
        return {name: node.pid for name, node in self._nodes.items() if name != "head"}

    def kill_node(self, name: str) -> None:
        """SIGKILL all of its processes."""
        node = self._nodes.pop(name)
        for pid in [node.pid, *descendants(node.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node.wait()

    def stop(self) -> None:
        for name in reversed(list(self._nodes)):
            self.kill_node(name)

    def _run(self, name: str, *options: str, prefix: list[str] | None = None) -> None:
        command = [
            *("setpriv", "--pdeathsig", "KILL", *(prefix or [])),
            *(str(Path(sys.executable).parent / "ray"), "start", "--block", "--include-log-monitor=false"),
            *("--object-store-memory=100000000", *options),
        ]
        if name == "head":
            command += ["--include-dashboard=false", f"--temp-dir={self.directory / 's'}"]
        path = self.directory / f"{name}.log"
        with path.open("wb") as log:
            self._nodes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | ENVIRONMENT, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while "Ray runtime started" not in path.read_text(errors="replace"):
            if self._nodes[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Ray does not start:\n{path.read_text(errors='replace')}")
            time.sleep(0.05)


@contextlib.contextmanager
def private_ray(*names: str, is_apart: bool = False) -> Iterator[PrivateRay]:
    """Start a cluster.

    Raises:
        NoRayError: It cannot be started here.
    """
    if find_spec("ray") is None:
        raise NoRayError(f"there is no Ray here: {INSTALL}")
    directory = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: sockets lie in it
    cluster = PrivateRay(directory)
    with mock.patch.dict(os.environ, ENVIRONMENT):
        try:
            cluster.start(*names, is_apart=is_apart)
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(directory, ignore_errors=True)
