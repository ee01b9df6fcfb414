"""The services of docker-compose.yml as processes: their own commands, environments and health checks, unchanged.

Started by `unshare --net --mount`: there the names of the services lead to the loopback interface, their ports are
free, and /srv is empty. Prints one line a step, and ends with 0 where every step worked.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from private_postgres import find_binaries, private_postgres

WAIT_S = 240
SERVICES = ("mlflow", "dashboard", "worker")
HBA = "local all all trust\nhost all all all scram-sha-256\n"


def set_up(config: dict[str, Any]) -> None:
    """Names and places."""
    run("ip", "link", "set", "lo", "up")
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "tmpfs", "/srv")
    hosts = Path("/srv/hosts")
    hosts.write_text(f"127.0.0.1 localhost {' '.join(config['services'])}\n")
    run("mount", "--bind", str(hosts), "/etc/hosts")
    for folder in ("artifacts", "idealfit"):
        Path("/srv", folder).mkdir()


def run(*command: str, **options: Any) -> None:
    subprocess.run(command, check=True, **options)


def command_of(service: dict[str, Any]) -> list[str]:
    """What its container runs."""
    return [*(service.get("entrypoint") or []), *(service.get("command") or [])]


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    """Nothing of ours but the paths of our programs."""
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "HOME") if name in os.environ}
    path = f"{Path(sys.executable).parent}:{find_binaries()}:{os.environ['PATH']}"
    return kept | {"PATH": path, "LC_ALL": "C.UTF-8"} | service["environment"]


def wait_healthy(name: str, service: dict[str, Any]) -> None:
    """Until its health check passes."""
    kind, *check = service["healthcheck"]["test"]
    assert kind == "CMD", name
    deadline = time.monotonic() + WAIT_S
    while True:
        done = subprocess.run(check, env=environment_of(service), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            print(f"healthy: {name}", flush=True)
            return
        assert time.monotonic() < deadline, f"{name} is not healthy: {done.stderr}\n{log_of(name).read_text()}"
        time.sleep(0.5)


def log_of(name: str) -> Path:
    return Path("/srv", f"{name}.log")


def start(name: str, service: dict[str, Any], stack: ExitStack) -> subprocess.Popen[bytes]:
    """Run a service until the stack closes."""
    log = stack.enter_context(log_of(name).open("wb"))
    process = subprocess.Popen(
        command_of(service),
        cwd=service["working_dir"],
        env=environment_of(service),
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    stack.callback(end, process)
    return process


def end(process: subprocess.Popen[bytes]) -> int:
    """As `docker compose stop` does."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    return process.wait(WAIT_S)


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    services = config["services"]
    set_up(config)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)
        (directory / "hba").write_text(HBA)
        database = services["postgres"]["environment"]
        options = {"listen_addresses": "*", "port": "5432", "hba_file": str(directory / "hba")}
        stack.enter_context(private_postgres(**options, unix_socket_directories="/tmp"))
        psql = ["psql", "--quiet", "--host=/tmp", "--username=postgres", "--set=ON_ERROR_STOP=1"]
        user = f"CREATE ROLE {database['POSTGRES_USER']} SUPERUSER LOGIN PASSWORD '{database['POSTGRES_PASSWORD']}'"
        environment = environment_of(services["postgres"])
        for sql in (user, f"CREATE DATABASE {database['POSTGRES_DB']}"):
            run(*psql, f"--command={sql}", env=environment)
        (script,) = (v["source"] for v in services["postgres"]["volumes"] if v["type"] == "bind")
        run(*psql, f"--file={script}", env=environment)
        wait_healthy("postgres", services["postgres"])
        tables = services["tables"]
        run(*command_of(tables), cwd=tables["working_dir"], env=environment_of(tables), timeout=WAIT_S)
        processes = {name: start(name, services[name], stack) for name in SERVICES}
        for name in SERVICES:
            wait_healthy(name, services[name])
        assert end(processes["worker"]) == 0, log_of("worker").read_text()
        print("worker left", flush=True)


if __name__ == "__main__":
    main()
