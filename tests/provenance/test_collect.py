"""What is collected for a study, and what never is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import idealfit
from idealfit.provenance import Provenance, collect, requirements
from idealfit.provenance import machine as machine_module
from idealfit.provenance.machine import environment, machine
from idealfit.provenance.redact import redacted_command


def test_it_is_json_and_reads_back(repo: Path) -> None:
    (repo / "net.py").write_text("depth = 2\n")
    before = collect(repo, command_line=["idealfit", "sweep", "x"], study={"sampler": "tpe"})
    after = Provenance.from_json(json.loads(json.dumps(before.to_json())))
    assert after.to_json() == before.to_json()
    assert after.sha256 == before.sha256
    assert after.code.patch == b""  # lies beside it


def test_it_names_versions_machine_and_study(in_tmp_dir: Path) -> None:
    found = collect(in_tmp_dir, study={"sampler": "tpe"})
    assert found.idealfit == idealfit.__version__
    assert found.packages["torch"]
    assert found.packages["hydra-core"].count(".") >= 1
    assert found.machine.python.startswith("CPython 3.")
    assert found.machine.cpu
    assert found.machine.num_cores >= 1
    assert found.study == {"sampler": "tpe"}


def test_the_same_state_has_the_same_hash(repo: Path) -> None:
    first, second = collect(repo), collect(repo)
    assert first.sha256 == second.sha256
    (repo / "net.py").write_text("depth = 2\n")
    assert collect(repo).sha256 != first.sha256


def test_only_listed_variables_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert environment()["OMP_NUM_THREADS"] == "3"
    assert "hunter2" not in str(environment())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["sweep", "x", "seed=1"], ["sweep", "x", "seed=1"]),
        (["tracking.uri=https://me:hunter2@host/x"], ["tracking.uri=https://***@host/x"]),
        (["study.storage=postgresql://me:hunter2@host/db"], ["study.storage=postgresql://***@host/db"]),
        (["tracking.token=hunter2"], ["tracking.token=***"]),
        (["--api-key=hunter2"], ["--api-key=***"]),
        (["--password", "hunter2", "next"], ["--password", "***", "next"]),
        (["--token", "--verbose"], ["--token", "--verbose"]),
        (["model.name=token_mixer"], ["model.name=token_mixer"]),
    ],
)
def test_secrets_on_the_command_line_are_replaced(given: list[str], kept: list[str]) -> None:
    assert redacted_command(given) == kept


def test_the_gpu_is_read_from_the_drivers_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA H200\nIRQ: 1\n")
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu\nGCC version: 12\n"
    )
    monkeypatch.setattr(machine_module, "NVIDIA", tmp_path)
    assert (machine().gpus, machine().gpu_driver) == (["NVIDIA H200"], "570.86.15")


def test_the_gpu_is_asked_of_nvidia_smi_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A100, 80GB, 550.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(machine_module, "NVIDIA", tmp_path / "none")
    assert (machine().gpus, machine().gpu_driver) == (["NVIDIA A100, 80GB"], "550.1")


def test_a_broken_nvidia_smi_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(machine_module, "NVIDIA", tmp_path / "none")
    assert machine().gpus == []


def test_requirements_pin_what_an_index_has() -> None:
    text = requirements(
        {"torch": "2.9.0+cu128", "mine": "0.1", "fork": "1.0"},
        {"mine": "editable", "fork": "git+https://example.org/fork@abc"},
    )
    assert text.splitlines() == [
        "torch==2.9.0",
        "# mine==0.1  (editable: install it from its source)",
        "fork @ git+https://example.org/fork@abc",
    ]


def test_collecting_imports_nothing_heavy() -> None:
    code = (
        "import sys, pathlib; from idealfit.provenance import collect; collect(pathlib.Path('.'));"
        "print([m for m in ('torch', 'numpy', 'mlflow', 'optuna', 'lightning') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
