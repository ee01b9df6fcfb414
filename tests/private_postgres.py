"""A PostgreSQL of one's own: a fresh cluster in a temporary directory, gone with the process that asked for it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 30
PASSWORD = "s3cret"
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "fsync": "off",  # of a database that lives for minutes
}


class NoPostgresError(Exception):
    """There is none, with the command that installs it."""


@contextmanager
def private_postgres(**settings: str) -> Iterator[str]:
    """Start a server; gives the URL of an empty database, with a password that nobody asks for.

    It never runs as root: where this process is root, it runs as the user postgres. It ends when this process does.

    Args:
        settings: Further lines of postgresql.conf.

    Raises:
        NoPostgresError: There is no server to start.
    """
    binaries = find_binaries()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        directory = Path(name)
        prefix = as_user("postgres", directory)
        subprocess.run(
            [*prefix, binaries / "initdb", "-D", directory / "data", "-U", "postgres", "-A", "trust", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=directory,
            env=ENVIRONMENT,
        )
        lines = {**SETTINGS, "port": str(free_port()), "unix_socket_directories": name, **settings}
        with started(
            [*prefix, binaries / "postgres", "-D", "data", *(f"--{k}={v}" for k, v in lines.items())], directory
        ):
            yield f"postgresql://postgres:{PASSWORD}@127.0.0.1:{lines['port']}/postgres"


@contextmanager
def some_postgres() -> Iterator[str]:
    """The database that IDEALFIT_POSTGRES_URL names, else one of our own.

    Raises:
        NoPostgresError: Neither.
    """
    if url := os.environ.get("IDEALFIT_POSTGRES_URL"):
        yield url
        return
    with private_postgres() as url:
        yield url


@contextmanager
def started(command: Sequence[str | Path], directory: Path) -> Iterator[None]:
    """Run a server until the block ends."""
    path = directory / "server.log"
    with path.open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + START_S
        while b"ready to accept connections" not in path.read_bytes():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{path.read_text(errors='replace')}")
            time.sleep(0.02)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # at once, whoever is connected
        server.wait(START_S)


def find_binaries() -> Path:
    """The directory of `initdb` and `postgres`: distributions keep them off the PATH.

    Raises:
        NoPostgresError: There is none.
    """
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise NoPostgresError("there is no PostgreSQL here: apt-get install postgresql, or set IDEALFIT_POSTGRES_URL")


def as_user(name: str, directory: Path) -> list[str]:
    """What goes before a command so that it runs as `name` where this process is root, and ends with it."""
    if not sys.platform.startswith("linux"):
        return []
    ends_with_us = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() != 0:
        return ends_with_us
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise NoPostgresError(f"root may not run PostgreSQL, and there is no user {name}") from None
    os.chown(directory, user.pw_uid, user.pw_gid)
    return [*ends_with_us, f"--reuid={name}", f"--regid={name}", "--init-groups"]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
