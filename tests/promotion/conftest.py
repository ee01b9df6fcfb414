"""A small finished study on the digits, and what promoting it once left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import idealfit
from idealfit.study.promotion import Promotion

SWEEP = """defaults:
  - train
  - _self_
trainer: {max_epochs: 3, accelerator: cpu}
model: {width: 16}
study:
  name: small
  sampler: grid
  pruner: none
  budget: {trials: 3}
  space:
    optimizer.lr: choice(0.0003, 0.005, 0.02)
"""
HERE = ("tracking.pictures=false", "engine.slots=2")


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Promotion]:
    """The folder of a study of three trials, its best two promoted with two seeds, and what came out."""
    place = tmp_path_factory.mktemp("promoted")
    (place / "sweeps").mkdir()
    (place / "sweeps" / "small.yaml").write_text(SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        idealfit.sweep("small", *HERE, quiet=True)
        shutil.copytree(place / "runs", place / "before")
        promotion = idealfit.promote("small", *HERE, top=2, seeds=2, quiet=True)
    assert promotion is not None
    return place, promotion


@pytest.fixture
def study(promoted: tuple[Path, Promotion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the promoted study, to work in."""
    return _copy(promoted[0] / "runs", promoted[0], tmp_path, monkeypatch)


@pytest.fixture
def finished(promoted: tuple[Path, Promotion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the study before it was promoted."""
    return _copy(promoted[0] / "before", promoted[0], tmp_path, monkeypatch)


def _copy(runs: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(runs, tmp_path / "runs")
    shutil.copytree(place / "sweeps", tmp_path / "sweeps")
    if (place / ".idealfit-cache").is_dir():
        shutil.copytree(place / ".idealfit-cache", tmp_path / ".idealfit-cache")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "small"
