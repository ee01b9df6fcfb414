"""Cores and devices, and how slots share them."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealfit.engines import hardware


def test_there_is_a_core_to_use() -> None:
    assert hardware.usable_cores() >= 1


@pytest.mark.parametrize(
    ("devices", "cores", "each", "slots"),
    [
        (0, 2, 1, 2),
        (0, 64, 1, 8),
        (4, 64, 1, 4),
        (1, 2, 1, 1),
        (16, 8, 1, 16),
        (0, 2, 2, 1),
        (0, 1, 2, 1),
        (4, 8, 2, 2),
    ],
)
def test_default_slots(devices: int, cores: int, each: int, slots: int) -> None:
    assert hardware.default_slots(devices, cores, each) == slots


@pytest.mark.parametrize(
    ("slots", "devices", "each", "dealt"),
    [
        (2, 0, 1, [None, None]),
        (2, 2, 1, [[0], [1]]),
        (2, 4, 2, [[0, 1], [2, 3]]),
        (3, 4, 2, [[0, 1], [2, 3], [0, 1]]),
        (2, 5, 3, [[0, 1, 2], [0, 1, 2]]),
        (4, 2, 1, [[0], [1], [0], [1]]),
        (1, 2, 3, [[0, 1]]),
    ],
)
def test_devices_are_dealt_by_slot(slots: int, devices: int, each: int, dealt: list[list[int] | None]) -> None:
    assert [hardware.devices_of_slot(slot, devices, each) for slot in range(slots)] == dealt


@pytest.mark.parametrize(
    ("visible", "ids"),
    [
        ("0,1", ["0", "1"]),
        ("", []),
        ("-1", []),
        ("3, 1", ["3", "1"]),
        ("2,-1,3", ["2"]),
        ("GPU-8a,MIG-1", ["GPU-8a", "MIG-1"]),
    ],
)
def test_only_visible_devices_count(monkeypatch: pytest.MonkeyPatch, visible: str, ids: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.device_ids() == ids


def test_devices_are_counted_by_the_driver_s_own_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho '  MIG 1g.10gb Device 0: (UUID: MIG-1)'\necho 'GPU 1: B'\n"
    )
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert hardware.device_ids() == ["0", "1"]


def test_without_a_working_driver_there_is_no_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert hardware.device_ids() == []
