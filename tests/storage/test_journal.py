"""The journal: what is left of it after kills, power cuts and strangers, and who can still read it."""

from __future__ import annotations

import os
import random
import shlex
import sys
import time
from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalOperation

from idealfit.pruning import JournalFile, StorageLostError, journal, open_storage, synced_once
from idealfit.spec import StudyError

sys.path.insert(0, str(Path(__file__).parent))
from stored_studies import make_study, start, start_together


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with a study "s" and one trial of value 1."""
    path = tmp_path / "a 'study' ü.journal"
    study = make_study(str(path), "s")
    study.tell(study.ask(), 1.0)
    return path


def values(path: Path) -> list[float]:
    study = optuna.load_study(study_name="s", storage=open_storage(str(path)))
    return [trial.value for trial in study.trials if trial.value is not None]


def test_optuna_reads_the_journal_and_adds_to_it(path: Path) -> None:
    theirs = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    theirs.tell(theirs.ask(), 2.0)
    assert values(path) == [1.0, 2.0]


def test_the_operations_that_workers_skip_are_those_of_optuna() -> None:
    def start(*operations: JournalOperation) -> tuple[bytes, ...]:
        return tuple(b'{"op_code":%d,' % operation for operation in operations)

    operation = JournalOperation
    assert start(operation.CREATE_STUDY, operation.DELETE_STUDY, operation.CREATE_TRIAL) == journal.CREATION
    unused = (operation.SET_STUDY_USER_ATTR, operation.SET_TRIAL_PARAM, operation.SET_TRIAL_USER_ATTR)
    assert start(*unused) == journal.UNUSED_BY_WORKERS
    assert start(operation.SET_TRIAL_INTERMEDIATE_VALUE) == (journal.VALUE,)
    assert {int(code) for code in operation} == set(range(journal.NUM_CODES))


# The disk itself


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch, path: Path) -> list[int]:
    """How long the journal was each time that it was written through to the disk."""
    sizes: list[int] = []
    fsync = os.fsync

    def note(file: int) -> None:
        sizes.append(os.fstat(file).st_size)
        fsync(file)

    monkeypatch.setattr(journal.os, "fsync", note)
    return sizes


def ask(study: optuna.Study) -> None:
    study.ask({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})


def test_every_operation_but_a_value_is_on_the_disk_when_it_returns(path: Path, synced: list[int]) -> None:
    study = make_study(str(path), "s")
    synced.clear()
    ask(study)
    assert len(synced) == 3, "the trial and two values"
    assert synced[-1] == path.stat().st_size


def test_a_block_of_operations_is_written_through_once_at_its_end(path: Path, synced: list[int]) -> None:
    study = make_study(str(path), "s")
    synced.clear()
    with synced_once(study._storage):
        ask(study)
        assert not synced
    assert synced == [path.stat().st_size]
    with synced_once(study._storage):
        assert study.trials
    assert len(synced) == 1, "nothing was written"
    ask(study)
    assert len(synced) == 4, "each by itself again"


def test_a_block_that_fails_leaves_on_the_disk_what_it_wrote(path: Path, synced: list[int]) -> None:
    study = make_study(str(path), "s")
    synced.clear()

    def ask_and_fail() -> None:
        with synced_once(study._storage):
            ask(study)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_and_fail()
    assert synced == [path.stat().st_size]


# Torn ends


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(1, 200))
def test_a_torn_last_line_is_cut_off_when_the_journal_is_opened(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("study") / "study.journal"
    study = make_study(str(path), "s")
    study.tell(study.ask(), 1.0)
    whole = path.read_bytes()
    study.tell(study.ask(), 2.0)
    torn = path.read_bytes()[: len(whole) + cut]
    path.write_bytes(torn)
    open_storage(str(path))
    assert path.read_bytes() == torn[: torn.rfind(b"\n") + 1], "that line is lost, and nothing else"
    again = make_study(str(path), "s")
    again.tell(again.ask(), 3.0)
    assert values(path) in ([1.0, 3.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "tail",
    [
        b"x" * 10_000,
        b"\0" * 10_000,
        b'{"op_code":6,"worker_id":"' + b"\0" * 5000,
        b"\0" * 4096 + b'rker_id":"1","trial_id":0}\n',
        b"\0\n\0\n",
    ],
    ids=["torn", "zeros", "torn, then zeros", "zeros, then a line's end", "zeros and newlines"],
)
def test_what_a_power_cut_leaves_at_the_end_is_cut_off(path: Path, tail: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert values(path) == [1.0]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"\0" * 10_000])
def test_a_journal_of_which_nothing_is_left_begins_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    study = make_study(str(path), "s")
    study.tell(study.ask(), 2.0)
    assert values(path) == [2.0]


DIES_WRITING = """
import os, signal
study = load()
write = os.write
def half(file, data):
    write(file, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = half
study.ask()
"""


def test_those_who_read_while_a_writer_dies_and_the_next_one_repairs_go_on(path: Path) -> None:
    ours = make_study(str(path), "s")
    theirs = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    writer = start(DIES_WRITING, str(path), "s")
    assert writer.wait(60) == -9
    writer.communicate()
    torn = path.read_bytes()
    assert not torn.endswith(b"\n")
    assert [len(study.trials) for study in (ours, theirs)] == [1, 1], "half a line is no line"
    third = open_storage(str(path))
    assert path.read_bytes() == torn[: torn.rfind(b"\n") + 1], "repaired"
    study = optuna.load_study(study_name="s", storage=third)
    study.tell(study.ask(), 2.0)
    for reader in (ours, theirs):
        assert [trial.value for trial in reader.trials] == [1.0, 2.0]
    for reader in (ours, theirs):
        reader.tell(reader.ask(), 3.0)
    assert values(path) == [1.0, 2.0, 3.0, 3.0]


def test_those_who_hold_the_journal_repair_it_too_before_they_write(path: Path) -> None:
    ours = make_study(str(path), "s")
    path.write_bytes(path.read_bytes() + b'{"op_code":4,"work')
    ours.tell(ours.ask(), 2.0)
    assert values(path) == [1.0, 2.0]


# Damage


def test_a_damaged_line_is_named_with_what_to_do(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2][:-20] + b"\n", *lines[3:]]))
    with pytest.raises(StudyError) as caught:
        make_study(str(path), "s")
    assert f"The journal {path} is damaged: line 3 is no operation" in str(caught.value)
    assert f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.damaged')}" in str(caught.value)


@pytest.mark.parametrize(
    "line", [b"[]", b"7", b'{"op_code":99}', b'{"op_code":"0"}', b"\xff\xfe", b"[" * 100_000, b"{}"]
)
def test_a_line_that_is_no_operation_is_damage(path: Path, line: bytes) -> None:
    path.write_bytes(line + b"\n" + path.read_bytes())
    with pytest.raises(StudyError, match="line 1 is no operation"):
        open_storage(str(path))


def test_a_reader_does_not_skip_the_damage_when_it_reads_again(path: Path) -> None:
    study = make_study(str(path), "s")
    path.write_bytes(path.read_bytes() + b"damage\n")
    for _ in range(2):
        with pytest.raises(StudyError, match="damaged"):
            study.ask()


def test_a_journal_that_is_replaced_or_removed_under_a_study_is_not_written_to(path: Path) -> None:
    study = make_study(str(path), "s")
    copy = path.read_bytes()
    other = path.with_name("other")
    other.write_bytes(copy)
    path.unlink()
    with pytest.raises(StorageLostError, match="No such file"):
        study.ask()
    other.replace(path)
    with pytest.raises(StorageLostError, match="replaced"):
        study.ask()
    assert path.read_bytes() == copy
    path.write_bytes(b"")
    with pytest.raises(StorageLostError, match="replaced"):
        study.ask()


# Locks


HOLDER = """
from pathlib import Path
from idealfit.pruning import JournalFile
import fcntl
with JournalFile(Path(url))._locked(fcntl.LOCK_EX):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_killed_holder_of_the_lock_blocks_nobody(path: Path) -> None:
    holder = start(HOLDER, str(path), "s")
    assert holder.stdout
    assert holder.stdout.readline() == "locked\n"
    holder.kill()
    holder.communicate()
    JournalFile(path).append_logs([{"op_code": 10}])  # or it waits for ever


WRITER = """
study = load()
while True:
    trial = study.ask()
    trial.report(0.5, 0)
    study.tell(trial, 1.0)
    print(trial.number, flush=True)
"""


def test_writers_killed_at_random_lose_nothing_that_they_finished(path: Path) -> None:
    reader = make_study(str(path), "s")
    finished: list[int] = []
    for seed in range(3):
        writers = start_together(WRITER, str(path), "s", num=2)
        for writer in writers:
            assert writer.stdout
            finished.append(int(writer.stdout.readline()))
        time.sleep(random.Random(seed).uniform(0, 0.05))
        for writer in writers:
            writer.kill()
        for writer in writers:
            finished += map(int, writer.communicate()[0].split())
    trials = reader.trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert len(set(finished)) == len(finished)
    assert all(trials[number].value == 1.0 and trials[number].intermediate_values == {0: 0.5} for number in finished)
    assert [trial.state for trial in make_study(str(path), "s").trials] == [trial.state for trial in trials]
