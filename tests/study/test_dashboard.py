"""Optuna's dashboard: on the storage of the study, or a message that names the extra."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path

import optuna
import pytest

from idealfit.cli import main
from idealfit.pruning import open_storage
from idealfit.study.dashboard import serve_dashboard
from idealfit.study.launch import Asked, Launch


@pytest.fixture
def journal(in_tmp_dir: Path) -> str:
    """The storage of study `s`."""
    folder = in_tmp_dir / "runs" / "s"
    Launch(config_name="x", overrides=[]).write(folder, Asked())
    storage = str(folder / "study.journal")
    optuna.create_study(study_name="s", storage=open_storage(storage))
    return storage


def test_without_the_package_the_extra_is_named(
    journal: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert main(["dashboard", "s"]) == 2
    assert "pip install 'idealfit[dashboard]'" in capsys.readouterr().err


def test_what_has_no_storage_is_named(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "train"]) == 2
    assert "no study 'train'" in capsys.readouterr().err
    assert not (in_tmp_dir / "runs").exists()
    (in_tmp_dir / "runs" / "train" / "0").mkdir(parents=True)
    assert main(["dashboard", "train"]) == 2
    assert "only studies have a storage" in capsys.readouterr().err


def test_a_password_is_asked_for_again(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = Asked(storage="postgresql://me:secret@host/db")
    Launch(config_name="x", overrides=[]).write(in_tmp_dir / "runs" / "s", asked)
    assert main(["dashboard", "s"]) == 2
    assert "study.storage=" in capsys.readouterr().err


def test_it_serves_the_study(journal: str) -> None:
    pytest.importorskip("optuna_dashboard")
    said: list[str] = []
    up = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        up.set()

    threading.Thread(target=serve_dashboard, args=(journal, "s"), kwargs={"say": say}, daemon=True).start()
    assert up.wait(60)
    base = said[0].partition("/dashboard")[0]
    host, port = base.removeprefix("http://").split(":")
    for _ in range(200):
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    with urllib.request.urlopen(f"{base}/api/studies", timeout=30) as answer:
        assert [study["study_name"] for study in json.load(answer)["study_summaries"]] == ["s"]
