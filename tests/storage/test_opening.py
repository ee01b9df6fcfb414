"""Storages that cannot be opened: what the user is told, and what is never told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from idealfit.pruning import open_storage
from idealfit.spec import StudyError


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="cannot be used"):
        open_storage(str(tmp_path / "file" / "study.journal"))


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        with pytest.raises(StudyError, match=r"pip install 'idealfit\[postgres\]'"):
            open_storage(f"{scheme}://user:s3cret@localhost/db")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////no/such/folder/x.db", "cannot be opened"),
        ("sqlte:///x.db", "Did you mean 'sqlite'"),
        ("mysql://user:s3cret@host/db", "not supported"),
        ("postgresql://user:s3cret@127.0.0.1:1/db", "cannot be opened"),
        ("postgresql://user:s3cret@host:no-port/db", "cannot be opened"),
        ("postgresql+nodriver://user:s3cret@127.0.0.1:1/db", "cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_told_without_its_password(url: str, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        open_storage(url)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.postgres
def test_a_database_that_does_not_exist_is_told_without_its_password(postgres_url: str) -> None:
    url = postgres_url.rpartition("/")[0] + "/nowhere"
    with pytest.raises(StudyError, match='database "nowhere" does not exist') as caught:
        open_storage(url)
    assert "s3cret" not in str(caught.value)


def test_braces_in_an_address_are_no_template(tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path}/{{study}}.db")
    assert (tmp_path / "{study}.db").exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("not a database, and longer than a header of sixteen bytes" * 10)
    with pytest.raises(StudyError, match="file is not a database"):
        open_storage(f"sqlite:///{tmp_path}/study.db")
