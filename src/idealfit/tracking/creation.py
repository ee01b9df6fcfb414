"""MLflow's own database, made in one step: killed half-way through its migrations, it can never be opened again."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from idealfit.collector import collector_paused
from idealfit.tracking.quiet import make_client


def make_database(path: Path) -> None:
    """Make the SQLite database `path` unless there is one; other processes that want it wait."""
    if _is_there(path):
        return
    with _alone_in(path.parent):
        if _is_there(path):
            return
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)  # of a process that was killed
        try:
            with collector_paused():
                client = make_client(f"sqlite:///{new}")
                client.search_experiments(max_results=1)
            client._tracking_client.store.engine.dispose()
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    file = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # no locks here: then it is as if one came alone
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
