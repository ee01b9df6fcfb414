"""A real store for every test: an SQLite database copied from a template, for making one costs seconds."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idealfit.tracking import preflight
from idealfit.tracking.server import UiServer

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode does not
from mirrored import Asked, Study


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Commit without fsync: MLflow commits a dozen times a trial, and a test survives no power cut anyway."""
    from sqlalchemy import Engine, event

    def forget_fsync(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", forget_fsync)
    yield
    event.remove(Engine, "connect", forget_fsync)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    preflight(f"sqlite:///{path}")
    return path


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    """A store of the test's own."""
    path = tmp_path / "mlflow.db"
    shutil.copy(empty_database, path)
    return f"sqlite:///{path}"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Records to mirror, written by hand."""
    return Study(tmp_path / "runs", "digits")


@pytest.fixture
def asked(uri: str) -> Asked:
    """What MLflow answers, asked through a client of its own."""
    return Asked(uri, "digits")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[UiServer]:
    """A real `mlflow server` on loopback."""
    path = tmp_path_factory.mktemp("server") / "mlflow.db"
    shutil.copy(empty_database, path)
    with UiServer(f"sqlite:///{path}") as running:
        running.wait_ready()
        yield running
