from __future__ import annotations

import socket
from pathlib import Path

import pytest

from idealfit.spec import TrackingError
from idealfit.tracking import Mirror, preflight
from idealfit.tracking.address import base_address, check, resolve, scheme_of, scrub, shown, sqlite_path


def test_a_relative_database_lies_where_it_was_named(in_tmp_dir: Path) -> None:
    assert resolve("sqlite:///mlflow.db") == f"sqlite:///{in_tmp_dir}/mlflow.db"
    assert resolve("sqlite:///a/b.db?timeout=9") == f"sqlite:///{in_tmp_dir}/a/b.db?timeout=9"
    assert resolve("sqlite:////abs/b.db") == "sqlite:////abs/b.db"
    assert sqlite_path("sqlite:////abs/b.db?timeout=9") == Path("/abs/b.db")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mlruns", r"file store.*sqlite:///mlflow\.db"),
        ("./mlruns", "file store"),
        ("file:///tmp/mlruns", "migrate-filestore"),
        ("sqllite:///mlflow.db", r"unknown scheme 'sqllite'.*'sqlite'"),
        ("ftp://host/x", "unknown scheme 'ftp'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("", "unknown scheme ''"),
    ],
)
def test_what_is_no_tracking_address_is_refused_at_once_required_or_not(uri: str, words: str) -> None:
    with pytest.raises(TrackingError, match=words):
        Mirror(uri=uri, experiment="x", required=False)


def test_a_database_in_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match=r"cannot make the folder .*file/x"):
        preflight(f"sqlite:///{tmp_path}/file/x/mlflow.db")
    with pytest.raises(TrackingError, match="cannot write"):
        preflight(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are my notes, and more than sixteen bytes of them")
    with pytest.raises(TrackingError, match="no usable SQLite database"):
        preflight(f"sqlite:///{tmp_path}/notes.db")


def test_missing_folders_are_made(tmp_path: Path) -> None:
    check(resolve(f"sqlite:///{tmp_path}/a/b/mlflow.db"))
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("scheme", ["http://me:s3cret@", "postgresql+socket://me:s3cret@"])
def test_a_server_that_is_down_is_told_without_the_password(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(TrackingError, match="does not answer") as caught:
            Mirror(uri=f"{scheme}127.0.0.1:{taken.getsockname()[1]}/db", experiment="x")
    assert "s3cret" not in str(caught.value)


def test_a_driver_that_is_missing_is_named() -> None:
    with pytest.raises(TrackingError, match=r"needs the driver 'nodriver'.*idealfit\[postgres\]"):
        preflight("postgresql+nodriver://me:s3cret@127.0.0.1/x")


@pytest.mark.parametrize("uri", ["http://host:notaport", "http://", "postgresql+socket://host:notaport/x"])
def test_a_malformed_server_address(uri: str) -> None:
    with pytest.raises(TrackingError, match="does not answer"):
        preflight(uri)


def test_credentials_are_never_shown() -> None:
    uri = "postgresql+psycopg://me:p%40ss@db:5432/mlflow"
    assert "p%40ss" not in shown(uri)
    assert scrub("connection as me with p@ss, p%40ss failed", uri) == "connection as me with ***, *** failed"
    assert base_address("https://me:pw@host:8080/mlflow/") == "https://host:8080/mlflow"
    assert shown("sqlite:////home/a@b/mlflow.db") == "sqlite:////home/a@b/mlflow.db"


def test_schemes() -> None:
    assert scheme_of("postgresql+psycopg://x") == "postgresql"
    assert scheme_of("relative/path") == ""
    assert scheme_of("databricks") == "databricks"
