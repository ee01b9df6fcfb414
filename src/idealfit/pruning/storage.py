"""Where a study is kept: a journal file, SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, TypeVar

import optuna
from optuna.storages import BaseStorage

from idealfit.pruning.database import is_database_error, open_database, reason
from idealfit.pruning.errors import NoTrialError, StorageLostError
from idealfit.pruning.journal import CREATION, UNUSED_BY_WORKERS, VALUE, JournalFile, Keep, open_journal
from idealfit.spec import TrialSpec, redacted

T = TypeVar("T")
Compares = Literal["nothing", "progress", "values"]  # of other trials: also how far they got, also each value


def open_storage(url: str, *, patience_s: float = 0.0) -> BaseStorage:
    """The storage of a study, made if it is not there.

    Args:
        url: Path of a journal file, or `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/DATABASE`.
        patience_s: How long to try again when the server of an opened database cannot be reached any more.

    Raises:
        StudyError: It cannot be opened; the message holds no password.
    """
    if "://" not in url:
        return open_journal(Path(url))
    return open_database(url, patience_s=patience_s)


def reached(call: Callable[[], T], url: str, *, again: bool = True) -> T:
    """What `call` gets from the opened storage at `url`.

    Args:
        call: Asks or tells.
        url: Where.
        again: Whether to call once more where a connection broke under the first call; a new one is waited for as long
            as the storage was told to be patient.

    Raises:
        StorageLostError: The storage cannot be reached, or takes nothing more.
    """
    try:
        return call()
    except Exception as error:
        if not is_database_error(error):
            raise
        if again:
            return reached(call, url, again=False)
        why = reason(error, url)
    raise StorageLostError(f"The study's storage {redacted(url)} was lost: {why}")


def synced_once(storage: BaseStorage) -> AbstractContextManager[None]:
    """A block whose writes to an opened storage need not be on the disk before it ends; a database decides itself."""
    backend = getattr(storage, "_backend", None)
    return backend.synced_once() if isinstance(backend, JournalFile) else nullcontext()


def open_for_trial(spec: TrialSpec, *, compares: Compares) -> tuple[BaseStorage, int]:
    """A storage to report one trial to, and the trial's id there.

    Args:
        spec: Names the storage, the study and the trial.
        compares: What of the other trials is looked at, so that nothing else need be read.

    Raises:
        NoTrialError: It does not know the trial.
        StudyError: It cannot be opened.
    """
    if "://" in spec.storage:
        return _open_database_for_trial(spec, compares)
    path, guess = Path(spec.storage), spec.number
    journal = open_journal(path, _kept_lines(guess, compares))
    trial_id = _trial_id(journal, spec)
    if trial_id != guess:  # a journal of several studies
        journal = open_journal(path, _kept_lines(trial_id, compares))
    return journal, trial_id


def _kept_lines(trial_id: int, compares: Compares) -> Keep:
    """Most of a journal are other trials' values: 30 of 40 lines a trial of 30 epochs. Only the median needs them."""
    own = b'"trial_id":%d,' % trial_id

    def keep(line: bytes) -> bool:
        if line.startswith(UNUSED_BY_WORKERS):
            return False
        if line.startswith(CREATION) or own in line:
            return True
        return compares == "values" or (compares == "progress" and not line.startswith(VALUE))

    return keep


def _open_database_for_trial(spec: TrialSpec, compares: Compares) -> tuple[BaseStorage, int]:
    from idealfit.pruning.worker_database import ValuesDatabase, WorkerDatabase

    kind = ValuesDatabase if compares == "values" else WorkerDatabase
    database = open_database(spec.storage, kind=kind)
    return database, _trial_id(database, spec)


def close_storage(storage: BaseStorage) -> None:
    """Close the connections of a database; a journal holds none."""
    storage.remove_session()
    if isinstance(storage, optuna.storages._CachedStorage):
        storage = storage._backend
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.engine.dispose()


def _trial_id(storage: BaseStorage, spec: TrialSpec) -> int:
    try:
        study_id = storage.get_study_id_from_name(spec.study)
        return storage.get_trial_id_from_study_id_trial_number(study_id, spec.number)
    except KeyError as error:
        close_storage(storage)
        raise NoTrialError(f"The storage {redacted(spec.storage)} holds no trial {spec.label}.") from error
    except Exception:
        close_storage(storage)
        raise
