"""docker-compose.yml and the Dockerfile, as far as can be known without a Docker engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from idealfit import __version__

REPOSITORY = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent


def tool(name: str) -> str:
    """A program that `pip install 'idealfit[dev]'` brings."""
    path = TOOLS / name
    if not path.exists():
        pytest.skip(f"{name} is not installed: pip install 'idealfit[dev]'")
    return str(path)


def compose(*arguments: str, env_file: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Docker Compose itself, which needs no engine to check and to resolve a file."""
    chosen = ["--env-file", str(env_file)] if env_file else []
    environment = {"PATH": os.environ["PATH"], "HOME": str(REPOSITORY)}
    return subprocess.run(
        [tool("docker-compose"), *chosen, *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def config() -> dict[str, Any]:
    """All services of all profiles, resolved with the example's values."""
    done = compose("--profile=*", "config", "--format=json", env_file=REPOSITORY / "compose.env.example")
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    resolved: dict[str, Any] = json.loads(done.stdout)
    return resolved


def test_without_a_password_it_says_what_to_do() -> None:
    done = compose("config", env_file=Path(os.devnull))
    assert "copy compose.env.example to .env" in done.stderr


def test_up_starts_the_lab_and_profiles_the_rest(config: dict[str, Any]) -> None:
    profiles = {name: service.get("profiles", []) for name, service in config["services"].items()}
    assert profiles == {
        "postgres": [],
        "mlflow": [],
        "tables": [],
        "dashboard": [],
        "worker": [],
        "idealfit": ["controller"],
        "gpu-worker": ["gpu"],
        "s3": ["s3"],
        "s3-bucket": ["s3"],
    }


def test_nothing_listens_beyond_this_machine(config: dict[str, Any]) -> None:
    ports = [port for service in config["services"].values() for port in service.get("ports", [])]
    assert {port["target"] for port in ports} == {5000, 8080}
    assert all(port["host_ip"] == "127.0.0.1" for port in ports)


def test_services_run_without_root_and_without_privileges(config: dict[str, Any]) -> None:
    last_user = re.findall(r"^USER (\S+)", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert last_user == ["1000", "1000"], "both images"
    for name, service in config["services"].items():
        assert service.get("user", "1000") not in ("0", "root"), name
        assert "build" in service or "user" in service, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name


def test_images_are_pinned_and_ours_have_the_version(config: dict[str, Any]) -> None:
    for name, service in config["services"].items():
        _, _, tag = service["image"].rpartition(":")
        assert re.search(r"\d+\.\d+|\d{4}-\d\d-\d\d", tag), name
        if "build" in service:
            assert service["image"] == f"idealfit:{__version__}-{service['build']['target']}"


def test_every_service_that_stays_has_a_health_check(config: dict[str, Any]) -> None:
    without = {name for name, service in config["services"].items() if "healthcheck" not in service}
    assert without == {"idealfit", "tables", "s3-bucket"}, "these end by themselves"


def test_no_command_holds_a_password(config: dict[str, Any]) -> None:
    for name, service in config["services"].items():
        words = json.dumps([service.get("command"), service.get("entrypoint"), service.get("healthcheck")])
        assert "change me" not in words, name


def test_controller_and_workers_see_the_same_records(config: dict[str, Any]) -> None:
    services = config["services"]
    assert services["idealfit"]["volumes"] == services["worker"]["volumes"] == services["gpu-worker"]["volumes"]


def test_workers_can_be_many(config: dict[str, Any]) -> None:
    worker = config["services"]["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker


def test_the_s3_profile_lays_artifacts_into_the_bucket_that_it_makes(tmp_path: Path) -> None:
    example = (REPOSITORY / "compose.env.example").read_text()
    (tmp_path / "env").write_text(re.sub(r"^# (?=S3_|MLFLOW_(?:ARTIFACTS|S3))", "", example, flags=re.MULTILINE))
    done = compose("--profile=s3", "config", "--format=json", env_file=tmp_path / "env")
    services = json.loads(done.stdout)["services"]
    assert "--artifacts-destination=s3://mlflow" in services["mlflow"]["command"]
    assert services["mlflow"]["environment"]["MLFLOW_S3_ENDPOINT_URL"] == "http://s3:9000"
    assert "Bucket='mlflow'" in services["s3-bucket"]["command"][-1]
    assert services["s3"]["environment"]["MINIO_ROOT_USER"] == services["mlflow"]["environment"]["AWS_ACCESS_KEY_ID"]


def test_the_dockerfile_has_nothing_to_complain_of() -> None:
    done = subprocess.run([tool("hadolint"), "Dockerfile"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_build_context_holds_what_the_dockerfile_copies_and_no_more() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    sources = {name for line in copied for name in line.split()}
    allowed = re.findall(r"^!(\S+)$", (REPOSITORY / ".dockerignore").read_text(), flags=re.MULTILINE)
    assert sources == set(allowed)
    assert all((REPOSITORY / name).exists() for name in sources)
    assert (REPOSITORY / ".dockerignore").read_text().splitlines()[1] == "*"


def test_secrets_are_kept_out_of_git() -> None:
    assert subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=REPOSITORY, check=False).returncode == 0


def test_every_command_and_health_check_works_together(config: dict[str, Any], tmp_path: Path) -> None:
    """As processes in a network of their own: all that `up` starts."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("a network and a /srv of one's own need root, unshare and ip")
    if subprocess.run(["unshare", "--net", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespaces of one's own here")
    tool("optuna-dashboard")
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = ["unshare", "--net", "--mount", "--fork", "--pid", "--kill-child"]
    lab = [sys.executable, str(Path(__file__).with_name("compose_lab.py")), str(tmp_path / "config.json")]
    done = subprocess.run([*command, *lab], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [line for line in done.stdout.splitlines() if line.startswith(("healthy", "worker left"))]
    assert steps == [
        "healthy: postgres",
        "healthy: mlflow",
        "healthy: dashboard",
        "healthy: worker",
        "worker left",
    ]
