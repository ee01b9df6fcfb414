"""The default sweep of 20 trials on real clusters of this machine, while a node, a job and the controller are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.common import REPOSITORY, store
from benchmarks.faults.processes import descendants
from benchmarks.faults.verify import violations
from idealfit.record import iter_records

sys.path.insert(0, str(REPOSITORY / "tests"))
from private_ray import NoRayError, PrivateRay, private_ray
from private_slurm import NoSlurmError, private_slurm

STUDY = "lr_dropout_depth"
NUM_TRIALS = 20
PATIENCE_S = 300.0


@dataclass
class ClusterReport:
    """What was done to a study on a cluster, and what was wrong afterwards."""

    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    num_restarts: int = 0
    num_attempts: int = 0
    wrong: list[str] = field(default_factory=list)


class Sweep:
    """The study as a user would start it, and start it again."""

    def __init__(self, directory: Path, *overrides: str) -> None:
        self.directory = directory
        self.overrides = overrides
        self.controller = self._start("sweep", STUDY, *overrides)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.directory / "output.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "idealfit", *words],
                cwd=self.directory,
                env={**os.environ, "COLUMNS": "160"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def num_finished(self) -> int:
        """Trials with a final result."""
        results = [record.read_result() for record in iter_records(self.directory / "runs", STUDY)]
        return sum(result is not None and result.state.is_finished for result in results)

    def wait_until(self, num_finished: int) -> None:
        """Wait until so many trials are finished and another one trains."""
        deadline = time.monotonic() + PATIENCE_S
        while self.num_finished() < num_finished or not self._trains():
            if self.controller.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no progress; see {self.directory / 'output.log'}")
            time.sleep(0.05)

    def _trains(self) -> bool:
        records = iter_records(self.directory / "runs", STUDY)
        return any(record.metrics_path.exists() and record.read_result() is None for record in records)

    def kill_controller(self) -> None:
        """SIGKILL, and go on with the study in a new one."""
        self.controller.kill()
        self.controller.wait()
        self.controller = self._start("resume", STUDY)

    def finish(self, report: ClusterReport) -> None:
        """Wait for the end and verify everything."""
        if code := self.controller.wait(PATIENCE_S):
            report.wrong.append(f"the controller ended with {code}; see {self.directory / 'output.log'}")
        report.wrong += violations(
            self.directory / "runs",
            STUDY,
            num_trials=NUM_TRIALS,
            storage=str(self.directory / "runs" / STUDY / "study.journal"),
            tracking_uri=f"sqlite:///{self.directory / 'mlflow.db'}",
        )
        records = list(iter_records(self.directory / "runs", STUDY))
        results = [record.read_result() for record in records]
        report.num_restarts = sum(result.num_restarts for result in results if result)
        report.num_attempts = sum(len(list(record.log_path(0).parent.glob("*.log"))) for record in records)


def run_slurm(directory: Path) -> ClusterReport:
    """A pause, a node, a job and the controller."""
    report = ClusterReport()
    with private_slurm() as cluster:
        started = time.monotonic()
        sweep = Sweep(directory, "engine=slurm", "engine.slots=2")

        def fault(num_finished: int, words: str, action: Callable[[], object]) -> None:
            sweep.wait_until(num_finished)
            report.faults.append(f"{words}, after {sweep.num_finished()} trials")
            action()

        fault(2, "a job told to leave", lambda: _scancel(["--signal=USR2"]))
        fault(5, "a node lost", lambda: cluster.kill_node(_running()[0][1]))
        fault(9, "a job cancelled", lambda: _scancel([]))
        fault(13, "the controller killed", sweep.kill_controller)
        sweep.finish(report)
        report.seconds = round(time.monotonic() - started, 1)
        report.wrong += _left_over()
    return report


def run_ray(directory: Path) -> ClusterReport:
    """A node, an actor and the controller, on two nodes beside the controller's."""
    report = ClusterReport()
    with private_ray("n1", "n2") as cluster:
        started = time.monotonic()
        sweep = Sweep(directory, "engine=ray", f"engine.address={cluster.address}", "engine.slots=2")

        def fault(num_finished: int, words: str, action: Callable[[], object]) -> None:
            sweep.wait_until(num_finished)
            report.faults.append(f"{words}, after {sweep.num_finished()} trials")
            action()

        fault(3, "a node lost", lambda: cluster.kill_node(_busiest(cluster)))
        fault(8, "an actor killed", lambda: os.kill(_actors(cluster, _busiest(cluster))[0], signal.SIGKILL))
        fault(13, "the controller killed", sweep.kill_controller)
        sweep.finish(report)
        report.seconds = round(time.monotonic() - started, 1)
        left = [pid for name in cluster.node_pids() for pid in _actors(cluster, name)]
        report.wrong += [f"actor {pid} is left" for pid in left]
    return report


def run(directory: Path) -> list[str]:
    """Every cluster that can be started here; what was wrong."""
    reports: dict[str, ClusterReport] = {}
    for name, script in {"slurm": run_slurm, "ray": run_ray}.items():
        place = directory / name
        place.mkdir()
        try:
            reports[name] = script(place)
        except (NoSlurmError, NoRayError) as error:
            print(f"  {name}: skipped; {error}")
            continue
        report = reports[name]
        print(f"  {name}: {NUM_TRIALS} trials, {report.num_attempts} attempts, {report.seconds:.0f} s", flush=True)
        print("\n".join(f"    {words}" for words in report.faults), flush=True)
    if reports:
        store("clusters", {name: asdict(report) for name, report in reports.items()}, repeats=1)
    return [f"{name}: {line}" for name, report in reports.items() for line in report.wrong]


def _actors(cluster: PrivateRay, node: str) -> list[int]:
    """Processes of a node that hold attempts."""
    found = []
    for pid in descendants(cluster.node_pids()[node]):
        with contextlib.suppress(OSError):
            if b"RayHost" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _busiest(cluster: PrivateRay) -> str:
    return max(cluster.node_pids(), key=lambda name: len(_actors(cluster, name)))


def _running() -> list[tuple[str, str]]:
    """(id, node) of running jobs."""
    listing = subprocess.check_output(["squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i %N"], text=True)
    return [(line.split()[0], line.split()[1]) for line in listing.splitlines()]


def _scancel(options: list[str]) -> None:
    subprocess.run(["scancel", *options, _running()[0][0]], check=True)


def _left_over() -> list[str]:
    jobs = subprocess.check_output(["squeue", "-h", "-o", "%i %T"], text=True).splitlines()
    return [f"job {job} is left" for job in jobs]
