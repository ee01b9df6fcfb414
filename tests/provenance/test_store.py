"""Provenance on disk: found by hash, or refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from idealfit.provenance import Provenance, collect, load, load_data_files, save, save_data_files
from idealfit.spec import StudyError

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def dirty(repo: Path) -> Provenance:
    (repo / "net.py").write_text("depth = 2\n")
    return collect(repo)


def test_a_saved_state_is_found_by_its_hash(dirty: Provenance, tmp_path: Path) -> None:
    found = load(tmp_path, save(dirty, tmp_path))
    assert found == dirty
    assert found.code.patch == dirty.code.patch


def test_a_second_state_lies_beside_the_first(dirty: Provenance, tmp_path: Path) -> None:
    other = replace(dirty, packages=dirty.packages | {"torch": "9.9"})
    names = {save(dirty, tmp_path), save(other, tmp_path), save(dirty, tmp_path)}
    assert len(names) == len(list((tmp_path / "provenance").glob("*.json"))) == 2
    assert load(tmp_path, other.sha256).packages["torch"] == "9.9"


def test_a_missing_state_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="is gone"):
        load(tmp_path, "0" * 64)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "code": 3}'])
def test_a_damaged_document_is_told(dirty: Provenance, tmp_path: Path, content: str) -> None:
    sha256 = save(dirty, tmp_path)
    next((tmp_path / "provenance").glob("*.json")).write_text(content)
    with pytest.raises(StudyError):
        load(tmp_path, sha256)


def test_another_patch_is_refused(dirty: Provenance, tmp_path: Path) -> None:
    sha256 = save(dirty, tmp_path)
    patch = next((tmp_path / "provenance").glob("*.patch"))
    patch.write_bytes(patch.read_bytes() + b"\n")
    with pytest.raises(StudyError, match="not the patch"):
        load(tmp_path, sha256)
    patch.unlink()
    with pytest.raises(StudyError, match="cannot be read"):
        load(tmp_path, sha256)


def test_a_newer_document_asks_for_an_upgrade(dirty: Provenance) -> None:
    with pytest.raises(StudyError, match="Upgrade idealfit"):
        Provenance.from_json(dirty.to_json() | {"schema_version": 99})


def test_unknown_keys_of_a_newer_writer_are_ignored(dirty: Provenance) -> None:
    assert Provenance.from_json(dirty.to_json() | {"later": 1}).sha256 == dirty.sha256


def test_data_files_are_kept_once_for_each_content(tmp_path: Path) -> None:
    save_data_files(tmp_path, "abc", {"a.png": [10, 1]})
    save_data_files(tmp_path, "abc", {"a.png": [10, 2]})
    assert load_data_files(tmp_path, "abc") == {"a.png": [10, 1]}
    assert load_data_files(tmp_path, "other") == {}


def test_the_golden_document_of_version_1_reads_for_ever() -> None:
    found = load(GOLDEN, "1" * 64)
    assert found.code.commit == "0" * 40
    assert found.code.patch.startswith(b"diff --git a/net.py b/net.py")
    assert found.packages["torch"] == "2.15.0"
    assert found.machine.gpus == ["NVIDIA H200"]
    assert found.to_json() == json.loads((GOLDEN / "provenance" / f"{'1' * 16}.json").read_text())
