"""Every storage, empty, and what closes it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from idealfit.pruning import close_storage, storage

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(params=["journal", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to keep a study: each kind of storage in turn."""
    if request.param == "postgres":
        address: str = request.getfixturevalue("postgres_url")
        return address
    return {"journal": str(tmp_path / "study.journal"), "sqlite": f"sqlite:///{tmp_path / 'study.db'}"}[request.param]


@pytest.fixture
def study_name() -> str:
    """A name with all that names may hold; new each time, for a database may outlive the tests."""
    return f"Größe 尺寸 {uuid.uuid4()}"


@pytest.fixture(autouse=True)
def _close_storages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python warns of connections that nobody closed."""
    opened: list[optuna.storages.BaseStorage] = []
    for name in ("open_database", "open_journal"):
        monkeypatch.setattr(storage, name, _remembering(getattr(storage, name), opened))
    yield
    for each in opened:
        close_storage(each)


def _remembering(open_: Callable[..., Any], opened: list[Any]) -> Callable[..., Any]:
    def open_and_remember(*args: Any, **options: Any) -> Any:
        opened.append(open_(*args, **options))
        return opened[-1]

    return open_and_remember
