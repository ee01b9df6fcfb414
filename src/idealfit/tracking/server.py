"""An MLflow server of our own, on loopback, for as long as somebody looks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from filelock import FileLock, Timeout

from idealfit.spec import TrackingError
from idealfit.tracking import address

HOST = "127.0.0.1"
DEFAULT_PORT = 5000
STOP_S = 10.0

# One worker: with several, each request costs 40 ms more. The job runner serves nothing that a sweep needs.
_SETTINGS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONSAFEPATH": "1",  # a file of the user's folder, say types.py, must not stand in for a module
}


class UiServer:
    """`mlflow server` on a store, as a context: leaving it ends all its processes.

    Args:
        uri: Resolved tracking URI of a database.
        port: Port on loopback; None: 5000, or any free one where that is taken.

    Raises:
        TrackingError: `port` is taken, or the server does not start.
    """

    def __init__(self, uri: str, port: int | None = None) -> None:
        self._uri = uri
        self._port, self._claim = _claim_port(port)
        self.address = f"http://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._log: IO[bytes] = tempfile.TemporaryFile()
        database = address.sqlite_path(self._uri)
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            HOST,
            "--port",
            str(self._port),
            "--workers",
            "1",
        ]
        if database:
            command += ["--artifacts-destination", (database.parent / "mlartifacts").as_uri()]
        self._process = subprocess.Popen(
            command,
            # The address travels in the environment: a command line, and the password in it, is there for all to read.
            env=os.environ | _SETTINGS | {"MLFLOW_BACKEND_STORE_URI": self._uri},
            cwd=database.parent if database else None,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its own group, so that one signal reaches the server and what it started
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self._claim.release()
        self._log.close()

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Block until the server answers.

        Raises:
            TrackingError: It ended, or does not answer in time, with the end of its output.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise TrackingError(f"MLflow's server did not start:\n{self._tail()}")
            with suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=2):
                return
            time.sleep(0.1)
        raise TrackingError(f"MLflow's server did not answer in {timeout_s:.0f} s:\n{self._tail()}")

    def wait(self) -> None:
        """Block until the server ends.

        Raises:
            TrackingError: Always: it ends only when something went wrong.
        """
        self._process.wait()
        raise TrackingError(f"MLflow's server ended:\n{self._tail()}")

    def _tail(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return address.scrub("\n".join(lines[-8:]), self._uri)


def _claim_port(port: int | None) -> tuple[int, FileLock]:
    """A port and the right to serve there: a server binds it only a second after it was chosen."""
    for candidate in (port,) if port else (DEFAULT_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that just was in use counts as free
            try:
                probe.bind((HOST, candidate))
            except (OSError, OverflowError):
                continue
            free = int(probe.getsockname()[1])
        claim = FileLock(Path(tempfile.gettempdir(), f"idealfit-ui-{os.getuid()}-{free}.lock"))
        with suppress(Timeout):
            claim.acquire(timeout=0)
            return free, claim
    raise TrackingError(f"Port {port} is taken. Choose another one, or none to get a free one.")
