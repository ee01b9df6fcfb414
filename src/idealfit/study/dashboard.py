"""Optuna's own dashboard on a study's storage: an extra, for those who know it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from idealfit.pruning import open_storage
from idealfit.spec import StudyError
from idealfit.study.launch import Asked
from idealfit.study.ledger import load_optuna_study
from idealfit.study.outcome import no_such_study
from idealfit.study.plan import journal_path

HOST = "127.0.0.1"  # it asks for no password, and can delete studies
PORT = 8080


def storage_of(study_dir: Path, given: str | None = None) -> str:
    """Address of the storage that holds a study.

    Args:
        study_dir: `RUNS_DIR/STUDY`.
        given: What the user says, with its password; None: what the study's folder says.

    Raises:
        StudyError: Nobody knows it.
    """
    if not given and not study_dir.is_dir():
        raise no_such_study(study_dir.parent, study_dir.name)
    storage = given or Asked.read(study_dir).storage
    if "***" in storage:
        raise StudyError(f"the password of {storage} is in no record. Give it again: study.storage=...")
    if storage:
        return storage
    journal = Path(journal_path(study_dir.parent, study_dir.name))
    if not journal.is_file():
        raise StudyError(f"there is no {journal}: only studies have a storage, and single runs have none.")
    return str(journal)


def serve_dashboard(storage: str, study: str, *, port: int | None = None, say: Callable[[str], None] = print) -> None:
    """Serve until Ctrl-C.

    Raises:
        StudyError: The package is not installed, the study is not in the storage, or the port is taken.
    """
    run_server = _run_server()
    study_id = load_optuna_study(storage, study)._study_id
    chosen = _free_port(port)
    say(f"http://{HOST}:{chosen}/dashboard/studies/{study_id}")
    say("Ctrl-C stops it.")
    try:
        run_server(open_storage(storage), host=HOST, port=chosen)
    except KeyboardInterrupt:
        say("")


def _run_server() -> Any:
    try:
        from optuna_dashboard import run_server
    except ImportError:
        raise StudyError(
            "optuna-dashboard is not installed. It is an extra: pip install 'idealfit[dashboard]'. "
            "Without it, idealfit report and idealfit ui show the same trials."
        ) from None
    return run_server


def _free_port(port: int | None) -> int:
    for candidate in (PORT, 0) if port is None else (port,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except (OSError, OverflowError):
                continue
            return int(probe.getsockname()[1])
    raise StudyError(f"--port {port} can't be used: it is taken or not allowed. Leave it out to get a free one.")
