"""Disks that are full, read-only, or cannot lock: the study stops or does not begin, and goes on from where it was."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from idealfit.config import Composer
from idealfit.pruning import StorageLostError, open_storage
from idealfit.record import Record
from idealfit.spec import StopSignal, StudyError, TrialResult, TrialSpec, TrialState
from idealfit.study import ledger
from idealfit.study.display import SilentDisplay
from idealfit.study.launch import Launch
from idealfit.study.lock import controller_lock
from idealfit.study.plan import make_plan
from idealfit.study.running import AtTheEnd, run_study
from idealfit.trial import run_trial

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
import toys
from stored_studies import make_study
from test_loop import drive


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 4 MB, the working directory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs root: sudo make test")
    monkeypatch.chdir(disk)
    yield disk
    monkeypatch.chdir(tmp_path)
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left; deleting the file makes room again."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017
    return ballast


STORAGES = ["", "study.storage=sqlite:///study.db"]


@pytest.mark.parametrize("storage", STORAGES, ids=["journal", "sqlite"])
def test_a_study_stops_on_a_full_disk_and_goes_on_when_there_is_room(
    small_disk: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PATIENCE_S", 0.1)
    overrides = ("study.budget.trials=5", *filter(None, [storage]))

    def fills_the_disk(spec: TrialSpec, stop: StopSignal) -> TrialResult:
        result = toys.score(spec, stop)
        if spec.number == 2:
            fill(small_disk)
        return result

    driven = drive(fills_the_disk, *overrides)
    assert driven.ending == "failed"
    assert "No space left on device" in driven.reason or "database or disk is full" in driven.reason
    assert "go on with: idealfit resume lr_dropout_depth" in driven.reason
    (small_disk / "ballast").unlink()
    again = drive(toys.score, *overrides)
    assert again.heard.started == [3, 4], "what came out of trial 2 is told from its record"
    assert again.states() == ["COMPLETE"] * 5
    records = [Record(again.plan.study_dir / str(number)) for number in range(5)]
    assert [len(record.read_metrics()) for record in records] == [1] * 5


def test_a_trial_on_a_full_disk_is_interrupted_and_leaves_whole_lines(small_disk: Path) -> None:
    config = Composer("train", ["data.cache_dir=../cache", "trainer.max_epochs=3", "tracking=none"]).trial_config()
    spec = TrialSpec(study="s", number=0, config=config, record_dir=str(small_disk / "runs/s/0"), params={})
    record = Record.create(spec)
    record.append_metrics(0, {"val/accuracy": 0.5})
    whole = record.metrics_path.read_bytes()
    ballast = fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        record.append_metrics(1, {f"val/metric {number}": 0.5 for number in range(1000)})
    assert record.metrics_path.read_bytes() == whole, "no half line"
    result = run_trial(spec, threading.Event())
    assert (result.state, result.failure) == (TrialState.INTERRUPTED, None)
    assert "No space left on device" in result.message
    ballast.unlink()
    again = run_trial(spec.with_(attempt=1), threading.Event())
    assert (again.state, again.num_epochs) == (TrialState.COMPLETE, 3)


def test_an_interruption_that_nobody_asked_for_ends_the_study(in_tmp_dir: Path) -> None:
    def no_room(spec: TrialSpec, stop: StopSignal) -> TrialResult:
        return TrialResult(state=TrialState.INTERRUPTED, message="No space left on device")

    driven = drive(no_room, "study.budget.trials=3")
    assert driven.ending == "failed"
    assert "No space left on device" in driven.reason
    assert driven.states() == ["RUNNING"]


LIMITED = """
import resource, sys, optuna
from pathlib import Path
from idealfit.pruning import StorageLostError, open_storage
optuna.logging.set_verbosity(optuna.logging.ERROR)
path = Path(sys.argv[1])
study = optuna.create_study(storage=open_storage(str(path)), study_name="s")
study.tell(study.ask(), 1.0)
whole = path.read_bytes()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 50, hard))
try:
    study.ask()
except StorageLostError as error:
    assert "Make room" in str(error), error
else:
    raise AssertionError
assert path.read_bytes() == whole, "no half line"
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert study.ask().number == 1
"""


def test_a_journal_that_may_not_grow_keeps_whole_lines(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path / "study.journal")], check=True)


# Before anything trains


def start() -> None:
    """Run the default study in the working directory as far as it gets."""
    composer = Composer("lr_dropout_depth", ["study.budget.trials=1", "tracking=none", "engine=inline"])
    plan = make_plan(composer, launch=Launch(config_name="lr_dropout_depth", overrides=[]))
    run_study(plan, composer, display=SilentDisplay(), at_the_end=AtTheEnd(lambda result: Path()))


def test_a_study_on_a_full_disk_does_not_begin(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(StudyError, match="No space left on device"):
        start()


def test_a_study_in_a_read_only_folder_does_not_begin(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StudyError, match=r"runs_dir: cannot write .* Set runs_dir"):
        start()
    for url in ("study.journal", f"sqlite:///{small_disk}/study.db"):
        with pytest.raises(StudyError, match="cannot be"):
            open_storage(url)


def test_a_journal_that_became_read_only_is_lost_and_not_damaged(small_disk: Path) -> None:
    study = make_study("study.journal", "s")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageLostError, match="Read-only file system"):
        study.ask()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert study.ask().number == 0


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_apart(
    in_tmp_dir: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(file: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StudyError, match=r"cannot lock files.*study\.storage=.*PostgreSQL"):
        open_storage("study.journal")
    with pytest.raises(StudyError, match="cannot lock files"), controller_lock(in_tmp_dir / "runs" / "s"):
        pass
    with pytest.raises(StudyError, match="cannot lock files"):
        start()
