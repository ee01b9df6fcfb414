"""An MLflow server that dies and comes back while a study runs: in the end it must hold what the records hold."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.verify import violations


@dataclass
class OutageReport:
    """How often the server died, and what was wrong afterwards."""

    num_outages: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Server:
    """A real `mlflow server` on loopback that can be killed and started again on the same store."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            TimeoutError: It does not answer within two minutes.
        """
        environment = {
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"),
            *("--port", str(self.port), "--backend-store-uri", f"sqlite:///{self.directory / 'server.db'}"),
            *("--artifacts-destination", str(self.directory / "artifacts")),
        ]
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"the server on {self.uri} does not answer; see {self.directory / 'server.log'}")

    def kill(self) -> None:
        """SIGKILL to the server and all its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def run(directory: Path, *, num_outages: int, num_trials: int, max_epochs: int = 20, seed: int = 0) -> OutageReport:
    """Run a study against the server, kill and restart the server, sync at the end, compare metric by metric."""
    report, rng, started = OutageReport(), random.Random(seed), time.monotonic()
    server = Server(directory / "server")
    server.start()
    try:
        overrides = [
            *("study.name=outage", f"study.budget.trials={num_trials}", f"tracking.uri={server.uri}"),
            *(f"trainer.max_epochs={max_epochs}", "study.pruner=none", "data.batch_size=16", "engine.slots=2"),
        ]
        with (directory / "output.log").open("ab") as log:
            study = subprocess.Popen(
                [sys.executable, "-m", "idealfit", "sweep", "lr_dropout_depth", *overrides],
                cwd=directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while study.poll() is None and not list(directory.glob("runs/outage/*/metrics.jsonl")):
            time.sleep(0.1)  # a server that is down at the start is refused: that is another promise
        while report.num_outages < num_outages and study.poll() is None:
            time.sleep(rng.uniform(0.5, 2.0))
            server.kill()
            report.num_outages += 1
            time.sleep(rng.uniform(0.5, 3.0))
            server.start()
        code = study.wait(timeout=900)
        if code != 0:
            report.wrong.append(f"the study ended with {code}; see {directory / 'output.log'}")
        synced = subprocess.run(
            [sys.executable, "-m", "idealfit", "sync", "outage", f"tracking.uri={server.uri}"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if synced.returncode != 0:
            report.wrong.append(f"sync ended with {synced.returncode}: {synced.stderr[-500:]}")
        report.wrong += violations(
            directory / "runs",
            "outage",
            num_trials=num_trials,
            storage=str(directory / "runs" / "outage" / "study.journal"),
            tracking_uri=server.uri,
        )
    finally:
        server.kill()
    report.seconds = time.monotonic() - started
    return report
