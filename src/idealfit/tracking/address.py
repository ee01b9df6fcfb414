"""Tracking addresses: made absolute, checked without importing MLflow, and shown without credentials."""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import os
import re
import socket
import sqlite3
import ssl
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path

from idealfit.spec import TrackingError, nearest, redacted

DATABASES = {"postgresql": ("psycopg2", 5432), "mysql": ("MySQLdb", 3306), "mssql": ("pyodbc", 1433)}
"""Dialect: the driver that SQLAlchemy takes where the address names none, and the usual port."""
SCHEMES = ("sqlite", *DATABASES, "http", "https", "databricks")
ANSWER_S = 5.0


def scheme_of(uri: str) -> str:
    """The scheme without a driver: `postgresql` of `postgresql+psycopg://...`; "" of a plain path."""
    match = re.match(r"([a-zA-Z][\w.\-]*)(\+\w+)?:", uri)
    return match[1].lower() if match else ("databricks" if uri == "databricks" else "")


def is_database(uri: str) -> bool:
    """Whether MLflow opens the store itself, without a server."""
    return scheme_of(uri) in ("sqlite", *DATABASES)


def shown(uri: str) -> str:
    """The address as it may be printed and kept."""
    return uri if scheme_of(uri) == "sqlite" else redacted(uri)


def scrub(message: str, uri: str) -> str:
    """`message` without the credentials of `uri`, whichever way a library wrote them."""
    parts = urllib.parse.urlsplit(uri) if scheme_of(uri) not in ("", "sqlite") else None
    for secret in {parts.password, urllib.parse.unquote(parts.password or "")} if parts else set():
        if secret:
            message = message.replace(secret, "***")
    return redacted(message)


def resolve(uri: str) -> str:
    """`uri` with a relative SQLite path made absolute against the working directory of now.

    Raises:
        TrackingError: The address cannot be one of a tracking store.
    """
    uri = uri.strip()
    scheme = scheme_of(uri)
    if scheme == "file" or (not scheme and uri):
        raise TrackingError(
            f"tracking.uri {uri!r} is a folder of MLflow's file store, which MLflow refuses since 3.13. "
            "Use sqlite:///mlflow.db; `mlflow migrate-filestore` moves old runs there."
        )
    if scheme not in SCHEMES:
        hint = nearest(scheme, SCHEMES) or f"Valid: {', '.join(SCHEMES)}."
        raise TrackingError(f"tracking.uri {shown(uri)!r} has the unknown scheme {scheme!r}. {hint}")
    return _resolve_sqlite(uri) if scheme == "sqlite" else uri


def sqlite_path(uri: str) -> Path | None:
    """The database file of a resolved `sqlite:///` address; None for any other store."""
    if scheme_of(uri) != "sqlite":
        return None
    return Path(uri.split(":///", 1)[1].partition("?")[0])


def check(uri: str) -> None:
    """Find out in a few seconds, without MLflow, whether a resolved address can work.

    Raises:
        TrackingError: It cannot: with the reason and the cure.
    """
    scheme = scheme_of(uri)
    path = sqlite_path(uri)
    if path:
        _check_sqlite(path)
    elif scheme in DATABASES:
        _check_database(uri)
    elif scheme in ("http", "https"):
        _check_server(uri)


def _resolve_sqlite(uri: str) -> str:
    prefix, separator, rest = uri.partition(":///")
    name, question, query = rest.partition("?")
    if not separator or not name or name == ":memory:":
        raise TrackingError(
            f"tracking.uri {uri!r} names no file. Use sqlite:///mlflow.db, or sqlite:////an/absolute/path."
        )
    path = Path(name).expanduser().absolute()
    if "?" in str(path):
        raise TrackingError(
            f"tracking.uri {uri!r}: an SQLite address cannot hold the '?' of {str(path)!r}. Use another folder."
        )
    return f"{prefix}:///{path}{question}{query}"


def _check_sqlite(path: Path) -> None:
    cure = "Give tracking.uri a file in a folder that you may write to, e.g. tracking.uri=sqlite:///mlflow.db."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(
            f"tracking.uri: cannot make the folder {str(path.parent)!r} ({error.strerror}). {cure}"
        ) from error
    if (
        not os.access(path if path.exists() else path.parent, os.W_OK)
        or not os.access(path.parent, os.W_OK)
        or path.is_dir()
    ):
        raise TrackingError(f"tracking.uri: cannot write to {str(path)!r}. {cure}")
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=ANSWER_S)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise TrackingError(f"tracking.uri: {str(path)!r} is no usable SQLite database ({error}). {cure}") from error


def _check_database(uri: str) -> None:
    default_driver, default_port = DATABASES[scheme_of(uri)]
    named = re.match(r"\w+\+(\w+):", uri)
    driver = named[1] if named else default_driver
    if importlib.util.find_spec(driver) is None:
        cure = (
            "Use postgresql+psycopg:// with `pip install 'idealfit[postgres]'`" if "postgres" in uri else "Install it"
        )
        raise TrackingError(f"tracking.uri {shown(uri)!r} needs the driver {driver!r}, which is not installed. {cure}.")
    try:
        parts = urllib.parse.urlsplit(uri)
        where = parts.hostname or "localhost", parts.port or default_port
        socket.create_connection(where, timeout=ANSWER_S).close()
    except (OSError, ValueError) as error:
        raise _unreachable(uri, error) from error


def _check_server(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{base_address(uri)}/health", timeout=ANSWER_S):
            return
    except urllib.error.HTTPError:
        return  # it answers; what it thinks of us, MLflow finds out with the credentials
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            return  # MLflow has settings for certificates of one's own
        raise _unreachable(uri, error.reason) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _unreachable(uri, error) from error


def base_address(uri: str) -> str:
    """An http address without credentials and trailing slash, fit for a browser."""
    parts = urllib.parse.urlsplit(uri)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def mlflow_version(uri: str) -> str:
    """The version of the server at an http address, "" where it does not tell; else of the MLflow installed here."""
    if scheme_of(uri) not in ("http", "https"):
        return importlib.metadata.version("mlflow")
    try:
        with urllib.request.urlopen(f"{base_address(uri)}/version", timeout=ANSWER_S) as answer:
            return str(answer.read(100).decode(errors="replace")).strip()
    except (OSError, ValueError, http.client.HTTPException):
        return ""


def _unreachable(uri: str, reason: object) -> TrackingError:
    words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return TrackingError(
        f"The tracking store at {shown(uri)!r} does not answer ({scrub(words, uri)}). Start it, correct tracking.uri, "
        "or set tracking.required=false to train now and send the runs later by `idealfit sync`."
    )
