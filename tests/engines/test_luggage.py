"""Files of a record that travel."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealfit.engines.luggage import Change, Luggage, unpack


def test_a_copy_follows_what_is_appended_and_what_is_replaced(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "checkpoints").mkdir(parents=True)
    luggage = Luggage(here)
    for number in range(3):
        with (here / "metrics.jsonl").open("a") as file:
            file.write(f"{number}\n")
        (here / "checkpoints" / "last.ckpt").write_bytes(bytes([number]) * (5 - number))
        changes = luggage.changes()
        assert {change.path: len(change.data) for change in changes} == {
            "metrics.jsonl": 2,
            "checkpoints/last.ckpt": 5 - number,
        }
        unpack(changes, there)
        unpack(changes, there)  # a change may come twice
    assert luggage.changes() == []
    assert (there / "metrics.jsonl").read_text() == "0\n1\n2\n"
    assert (there / "checkpoints" / "last.ckpt").read_bytes() == b"\2\2\2"


def test_half_written_files_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "result.json.tmp").touch()
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert Luggage(tmp_path).changes() == []


@pytest.mark.parametrize("path", ["../other/result.json", "/etc/passwd"])
def test_nothing_is_unpacked_outside_the_record(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="leads out"):
        unpack([Change(path, b"")], tmp_path / "record")
