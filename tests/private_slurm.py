"""A Slurm of one's own: real daemons on this machine, several nodes, all state in a temporary directory."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from private_postgres import free_port

NUM_NODES = 2
NUM_CPUS = max(2, len(os.sched_getaffinity(0)))  # of each node
START_S = 120
STOP_S = 60
INSTALL = "apt-get install slurm-wlm munge"
CONFIG = """\
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.sock,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SlurmctldParameters={signals}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
EnforcePartLimits=ALL
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=2
SlurmdTimeout=8
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.%n.pid
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool/%n
{nodes}
PartitionName=main Nodes=n[1-{num_nodes}] Default=YES MaxTime=INFINITE PriorityTier=10 State=UP PreemptMode=OFF
PartitionName=low Nodes=n[1-{num_nodes}] Default=NO MaxTime=60 PriorityTier=1 State=UP PreemptMode=REQUEUE GraceTime=10
PartitionName=lonely Nodes=lonely Default=NO State=UP PreemptMode=OFF
"""


class NoSlurmError(Exception):
    """There is none, with the command that installs it."""


class PrivateSlurm:
    """A running cluster.

    Attributes:
        directory: Its state.
        hidden: A folder that node `lonely` sees another one of.
        has_lonely_node: Whether that node could be started.
    """

    def __init__(self, directory: Path, *, tells_of_preemption: bool = True) -> None:
        self.directory = directory
        self.hidden = directory / "hidden"
        self._signals = "preempt_send_user_signal" if tells_of_preemption else "enable_configless"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def has_lonely_node(self) -> bool:
        return self._daemons["lonely"].poll() is None

    def start(self) -> None:
        for name in ("state", "spool", "hidden"):
            (self.directory / name).mkdir()
        self._write_config()
        key = self.directory / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        files = {"socket": "munge.sock", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munge.seed"}
        paths = [f"--{option}={self.directory / name}" for option, name in files.items()]
        self._run("munged", "munged", "--foreground", f"--key-file={key}", "--num-threads=2", *paths)
        self._wait(lambda: (self.directory / "munge.sock").exists(), "munged")
        self._run("slurmctld", "slurmctld", "-D")
        for number in range(1, NUM_NODES + 1):
            self.start_node(f"n{number}")
        own_view = f'mount -t tmpfs none "{self.hidden}" && exec slurmd -D -N lonely'
        self._spool("lonely")
        self._run("lonely", "unshare", "--mount", "sh", "-c", own_view)
        self._wait(lambda: self.num_idle() == NUM_NODES, "slurmctld")

    def start_node(self, name: str) -> None:
        self._spool(name)
        self._run(name, "slurmd", "-D", "-N", name)

    def kill_node(self, name: str, *, cut_off: bool = False) -> None:
        """SIGKILL all that runs there, and let Slurm know at once. `cut_off`: the daemon alone; jobs run on."""
        self._daemons[name].kill()
        for pid in [] if cut_off else self._processes_of(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._daemons[name].wait()
        self._set_state(name, "DOWN")

    def revive_node(self, name: str) -> None:
        self.start_node(name)
        self._set_state(name, "RESUME")

    def _processes_of(self, name: str) -> Iterator[int]:
        """What its jobs run, below the daemons that watch over them."""
        marks = {f"SLURMD_NODENAME={name}".encode(), f"SLURM_CONF={self.directory / 'slurm.conf'}".encode()}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if marks <= set((folder / "environ").read_bytes().split(b"\0")):
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                    if (Path("/proc") / str(parent) / "comm").read_text().startswith("slurmstepd"):
                        yield parent
                    yield int(folder.name)

    def _set_state(self, name: str, state: str) -> None:
        subprocess.run(["scontrol", "update", f"NodeName={name}", f"State={state}", "Reason=test"], check=True)

    def num_idle(self) -> int:
        listing = subprocess.run(
            ["sinfo", "--noheader", "-N", "-p", "main", "-t", "idle", "-o", "%N"], capture_output=True, check=False
        )
        return len(listing.stdout.split())

    def stop(self) -> None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            for partition in ("main", "low", "lonely"):
                subprocess.run(["scancel", "--quiet", f"--partition={partition}"], check=False, timeout=STOP_S)
            deadline = time.monotonic() + STOP_S
            while subprocess.run(["squeue", "-h"], capture_output=True, check=False, timeout=STOP_S).stdout.strip():
                if time.monotonic() > deadline:
                    break
                time.sleep(0.2)
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(STOP_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _write_config(self) -> None:
        host = socket.gethostname().split(".")[0]
        names = [*(f"n{number}" for number in range(1, NUM_NODES + 1)), "lonely"]
        nodes = [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs={NUM_CPUS} "
            "RealMemory=4000 Gres=gpu:2 State=UNKNOWN"
            for name in names
        ]
        text = CONFIG.format(
            directory=self.directory,
            host=host,
            port=free_port(),
            nodes="\n".join(nodes),
            num_nodes=NUM_NODES,
            signals=self._signals,
        )
        (self.directory / "slurm.conf").write_text(text)
        devices = [f"NodeName={name} Name=gpu File={file}" for name in names for file in ("/dev/null", "/dev/zero")]
        (self.directory / "gres.conf").write_text("\n".join(devices) + "\n")

    def _spool(self, name: str) -> None:
        (self.directory / "spool" / name).mkdir(exist_ok=True)

    def _run(self, name: str, *command: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command], stdout=log, stderr=log, start_new_session=True
            )

    def _wait(self, is_ready: object, name: str) -> None:
        deadline = time.monotonic() + START_S
        while not is_ready():  # type: ignore[operator]
            if self._daemons[name].poll() is not None or time.monotonic() > deadline:
                log = (self.directory / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"{name} does not start:\n{log}")
            time.sleep(0.05)


@contextlib.contextmanager
def private_slurm(*, tells_of_preemption: bool = True) -> Iterator[PrivateSlurm]:
    """Start a cluster; Slurm's commands find it by the environment variable SLURM_CONF.

    Raises:
        NoSlurmError: It cannot be started here.
    """
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name)]
    if missing:
        raise NoSlurmError(f"there is no {', '.join(missing)} here: {INSTALL}")
    if os.geteuid() != 0:
        raise NoSlurmError("a Slurm of one's own is started by root only")
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        cluster = PrivateSlurm(directory, tells_of_preemption=tells_of_preemption)
        with mock.patch.dict(os.environ, SLURM_CONF=str(directory / "slurm.conf")):
            try:
                cluster.start()
                yield cluster
            finally:
                cluster.stop()
