from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from idealfit.tracking import preflight

MAKES = "import sys; from idealfit.tracking import preflight; preflight(sys.argv[1])"


def test_a_kill_while_the_database_is_made_leaves_none_and_hinders_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "mlflow.db"
    uri = f"sqlite:///{path}"
    maker = subprocess.Popen([sys.executable, "-c", MAKES, uri])
    while not any(file.stat().st_size > 50_000 for file in path.parent.glob("*") if file.is_file()):
        assert maker.poll() is None
        time.sleep(0.001)
    os.kill(maker.pid, signal.SIGKILL)
    maker.wait()
    assert not path.exists()
    preflight(uri)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM experiments").fetchall() == [("Default",)]
    assert [file.name for file in path.parent.iterdir()] == ["mlflow.db"]


def test_studies_that_make_the_database_at_once_share_it(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    makers = [subprocess.Popen([sys.executable, "-c", MAKES, uri]) for _ in range(2)]
    assert [maker.wait() for maker in makers] == [0, 0]
