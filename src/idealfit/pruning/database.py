"""A study in SQLite or PostgreSQL."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from idealfit.spec import StudyError, nearest, redacted

if TYPE_CHECKING:
    from sqlalchemy import URL

DIALECTS = ("sqlite", "postgresql")
CONNECT_S = 10
# Else the system decides when a server is gone whose network went silent, and takes a quarter of an hour.
LIBPQ = {
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # ms
}


def open_database(url: str, *, patience_s: float = 0.0, kind: type[RDBStorage] = RDBStorage) -> RDBStorage:
    """The storage at `url`, its tables made if they are not there.

    Args:
        url: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/DATABASE`.
        patience_s: How long to try again, once it was opened, when its server cannot be reached any more.
        kind: Its class.

    Raises:
        StudyError: It cannot be opened; the message holds no password.
    """
    try:
        address = _address(url)
        storage = _open(address, kind)
    except ImportError:
        raise StudyError(
            "A study on PostgreSQL needs a driver that is not installed: pip install 'idealfit[postgres]'"
        ) from None
    except StudyError:
        raise
    except Exception as error:  # noqa: BLE001 - each driver has its own errors
        # Neither the cause nor its context is kept: drivers quote the URL with its password.
        raise StudyError(f"The study's storage {redacted(url)} cannot be opened: {reason(error, url)}") from None
    if patience_s:
        _insist(storage, patience_s)
    return storage


def reason(error: BaseException, url: str) -> str:
    """What went wrong with the storage at `url`, in words and without a password."""
    if isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__  # Optuna's own words speak of invalid data, whatever happened
    return _without_secrets(str(error).split("\n(Background")[0].strip() or type(error).__name__, url)


def is_database_error(error: Exception) -> bool:
    """Whether the database or the way to it is at fault."""
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, SQLAlchemyError | StorageInternalError)


def modules_to_preload(url: str) -> tuple[str, ...]:
    """What a worker imports to report to the storage at `url`: half a second, if it is done in each."""
    if "://" not in url:
        return ()
    driver = ("psycopg",) if url.startswith(("postgresql:", "postgres:")) else ()
    return ("idealfit.pruning.worker_database", "alembic.migration", *driver)


def _address(url: str) -> URL:
    from sqlalchemy.engine import make_url

    scheme = url.split("://", 1)[0]
    dialect, _, driver = scheme.partition("+")
    dialect = "postgresql" if dialect == "postgres" else dialect
    if dialect not in DIALECTS:
        hint = nearest(dialect, DIALECTS)
        raise StudyError(
            f"study.storage={redacted(url)}: {scheme}:// is not supported. {hint} Or a path of a journal file."
        )
    driver = driver or ("psycopg" if dialect == "postgresql" else "pysqlite")
    return make_url(url).set(drivername=f"{dialect}+{driver}")


def _open(address: URL, kind: type[RDBStorage]) -> RDBStorage:
    text = address.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")  # Optuna formats it
    is_complete = kind is not RDBStorage  # a worker's: its controller has made the tables
    for pause in (0.1, 0.2, 0.4, 0.8, None):
        try:
            return kind(
                text,
                engine_kwargs=_engine_options(address),
                skip_compatibility_check=is_complete,
                skip_table_creation=is_complete,
            )
        except Exception as error:
            if pause is None or is_complete or not _is_race(error):
                raise
            time.sleep(pause * random.uniform(0.5, 1.5))
    raise AssertionError


def _is_race(error: Exception) -> bool:
    """Whether another process made the same tables at the same moment."""
    from sqlalchemy.exc import IntegrityError

    return isinstance(error, IntegrityError) or "already exists" in str(error) or "is locked" in str(error)


def _engine_options(address: URL) -> dict[str, Any]:
    if address.get_backend_name() == "sqlite":
        # SQLite waits 5 s for other writers by default: too short for many workers on a slow disk.
        return {"connect_args": {"timeout": 60}, "pool_events": [(_write_ahead, "connect")]}
    is_libpq = address.get_driver_name() in ("psycopg", "psycopg2")
    arguments = {name: value for name, value in LIBPQ.items() if name not in address.query} if is_libpq else {}
    return {"connect_args": arguments, "pool_pre_ping": True}


def _write_ahead(connection: sqlite3.Connection, record: object) -> None:
    """Log ahead without waiting for the disk: 40 times faster, and what a power cut takes is in the records."""
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    except sqlite3.OperationalError:  # somebody writes at this moment; the mode is the file's, so he has set it
        return
    if mode == "wal":  # not on network shares
        connection.execute("PRAGMA synchronous=NORMAL")


def _insist(storage: RDBStorage, patience_s: float) -> None:
    """Connect again and again before giving up; nothing was sent yet, so nothing can be done twice."""
    from sqlalchemy import event

    @event.listens_for(storage.engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


def _without_secrets(text: str, url: str) -> str:
    from sqlalchemy.engine import make_url

    try:
        password = make_url(url).password
    except Exception:  # noqa: BLE001 - not a URL at all: the message may quote any part of it
        return redacted(text.replace(url, redacted(url)))
    return redacted(text.replace(password, "***") if password else text)
