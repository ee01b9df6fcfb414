"""How a worker reports: what prunes it, and what it does when nobody listens."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from idealfit.pruning import StorageReporter, reporter
from idealfit.pruning.worker_database import ValuesDatabase, WorkerDatabase
from idealfit.spec import StudyError, TrialSpec

sys.path.insert(0, str(Path(__file__).parent))
from stored_studies import SPACE, make_study, spec_of


@contextmanager
def reporting(spec: TrialSpec) -> Iterator[StorageReporter]:
    made = StorageReporter(spec)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("pruner", "options"),
    [
        ("hyperband", {"min_resource": 15}),  # a single bracket
        ("asha", {}),
        ("median", {"n_startup_trials": 3}),
        ("wilcoxon", {}),
    ],
)
def test_a_bad_trial_is_pruned_by_what_other_workers_reported(
    url: str, study_name: str, pruner: str, options: dict[str, Any]
) -> None:
    study = make_study(url, study_name)
    verdicts = []
    for number, value in enumerate([0.9, 0.8, 0.85, 0.87, 0.95, 0.1, 0.1, 0.1, 0.1]):
        study.ask()
        with reporting(spec_of(url, study_name, number, pruner, **options)) as made:
            verdicts.append(any(made.report(epoch, value) for epoch in range(16)))
        study.tell(number, value)
    assert any(verdicts[5:])
    assert not verdicts[0]


@pytest.mark.parametrize(
    ("pruner", "options", "num_epochs"),
    [
        ("asha", {}, 2),  # a fifteenth of 30
        ("asha", {"min_resource": 4}, 4),
        ("hyperband", {"min_resource": 16}, 16),
        ("median", {"n_startup_trials": 3}, 3),
        ("median", {"n_startup_trials": 3, "n_warmup_steps": 4}, 5),  # as many without pruning
    ],
)
def test_the_first_comparison_is_after_as_many_epochs_as_the_options_say(
    tmp_path: Path, pruner: str, options: dict[str, Any], num_epochs: int
) -> None:
    url = str(tmp_path / "study.journal")
    study = make_study(url, "s")
    trained = 0
    for number, value in enumerate([0.9, 0.8, 0.85, 0.87, 0.1]):
        study.ask()
        with reporting(spec_of(url, "s", number, pruner, **options)) as made:
            trained = next(epoch + 1 for epoch in range(30) if made.report(epoch, value) or epoch == 29)
        study.tell(number, value)
    assert trained == num_epochs


def test_nothing_is_pruned_with_none(url: str, study_name: str) -> None:
    study = make_study(url, study_name)
    for number, value in enumerate([0.9, 0.9, 0.1]):
        study.ask()
        with reporting(spec_of(url, study_name, number, "none")) as made:
            assert not any(made.report(epoch, value) for epoch in range(8))


def test_an_epoch_already_reported_is_skipped_silently(
    url: str, study_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(url, study_name)
    study.ask()
    with reporting(spec_of(url, study_name, 0)) as first:
        first.report(0, 0.5)
    with reporting(spec_of(url, study_name, 0)) as resumed:
        assert not resumed.report(0, 0.6)
        assert not resumed.report(1, 0.7)
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.7}
    assert capsys.readouterr().err == ""


def test_a_trial_that_the_study_ended_stops(url: str, study_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(url, study_name)
    study.ask()
    with reporting(spec_of(url, study_name, 0)) as made:
        study.tell(0, state=TrialState.FAIL)
        assert made.report(0, 0.5)
    assert capsys.readouterr().err.count("counts this trial as ended") == 1


def test_a_trial_that_is_not_there_is_refused(url: str, study_name: str) -> None:
    make_study(url, study_name)
    for name, number in ((study_name, 5), ("another", 0)):
        with pytest.raises(StudyError, match=f"no trial {name}/{number}"):
            StorageReporter(spec_of(url, name, number))


@pytest.mark.parametrize("pruner", ["none", "asha", "median"])
def test_a_trial_is_found_in_a_journal_of_several_studies(tmp_path: Path, pruner: str) -> None:
    url = str(tmp_path / "study.journal")
    other, study = make_study(url, "other"), make_study(url, "s")
    for asked in (other, study, other, study):
        asked.ask()
    with reporting(spec_of(url, "s", 1, pruner)) as made:
        made.report(0, 0.5)
    assert [trial.intermediate_values for trial in study.trials] == [{}, {1: 0.5}]
    assert [trial.intermediate_values for trial in other.trials] == [{}, {}]


def test_a_worker_reads_of_other_trials_what_its_pruner_compares(
    request: pytest.FixtureRequest, tmp_path: Path, study_name: str
) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = make_study(url, study_name)
    for number, value in enumerate([0.5, float("nan"), float("inf"), -float("inf")]):
        trial = study.ask(SPACE)
        trial.report(value, 3)
        study._storage.set_trial_system_attr(trial._trial_id, "completed_rung_0", value)
        if number:
            study.tell(trial, state=TrialState.PRUNED)
    plain = study.trials
    for kind in (WorkerDatabase, ValuesDatabase):
        storage = kind(url.replace("sqlite", "sqlite+pysqlite"))
        try:
            bare = optuna.load_study(study_name=study_name, storage=storage).trials
        finally:
            storage.engine.dispose()
        for ours, theirs in zip(bare, plain, strict=True):
            assert (ours.number, ours.state, ours._trial_id) == (theirs.number, theirs.state, theirs._trial_id)
            assert repr(ours.system_attrs) == repr(theirs.system_attrs)
            expected = theirs.intermediate_values if kind is ValuesDatabase else {}
            assert repr(ours.intermediate_values) == repr(expected)


# Nobody listens


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reporter tries again with the next epoch."""
    monkeypatch.setattr(reporter, "SHARE_FOR_RETRIES", float("inf"))


@pytest.mark.usefixtures("at_once")
def test_a_full_disk_costs_a_comparison_and_not_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(tmp_path / "study.journal")
    study = make_study(url, "s")
    study.ask()
    made = StorageReporter(spec_of(url, "s", 0))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert not made.report(0, 0.5)
        assert not made.report(1, 0.6)
    errors = capsys.readouterr().err
    assert errors.count("nothing is pruned; training goes on") == 1, "said once"
    assert "No space left on device" in errors
    assert not made.report(2, 0.7)
    assert "answers again" in capsys.readouterr().err
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.6, 3: 0.7}


def test_what_could_not_be_reported_is_reported_at_the_end(tmp_path: Path) -> None:
    url = str(tmp_path / "folder" / "study.journal")
    study = make_study(url, "s")
    study.ask()
    (tmp_path / "folder").rename(tmp_path / "away")
    (tmp_path / "folder").touch()  # no folder can be made here
    made = StorageReporter(spec_of(url, "s", 0))
    made._retry_at = float("inf")
    assert not made.report(0, 0.5)
    (tmp_path / "folder").unlink()
    (tmp_path / "away").rename(tmp_path / "folder")
    made.close()
    assert study.trials[0].intermediate_values == {1: 0.5}


def test_a_storage_that_answers_slowly_gets_a_tenth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "study.journal")
    make_study(url, "s").ask()
    made = StorageReporter(spec_of(url, "s", 0))
    clock = [100.0]
    tries = []

    def slow(trial: optuna.Trial) -> bool:
        tries.append(clock[0])
        clock[0] += 10
        raise OSError(110, "Connection timed out")

    monkeypatch.setattr(reporter.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(made, "_report_to", slow)
    for epoch in range(400):
        made.report(epoch, 0.5)
        clock[0] += 1
    assert tries == [100, 210, 320, 430]


def test_a_storage_that_cannot_be_opened_costs_no_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("postgresql://user:s3cret@127.0.0.1:1/db", f"sqlite:///{tmp_path}/no/such/folder/x.db"):
        made = StorageReporter(spec_of(url, "s", 0))
        assert not made.report(0, 0.5)
        made.close()
        errors = capsys.readouterr().err
        assert "cannot be opened" in errors
        assert "s3cret" not in errors


def test_a_damaged_journal_costs_no_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "study.journal"
    study = make_study(str(path), "s")
    study.ask()
    path.write_bytes(path.read_bytes() + b"damage\n" + b'{"op_code":10}\n')
    made = StorageReporter(spec_of(str(path), "s", 0))
    assert not made.report(0, 0.5)
    assert "line 3 is no operation" in capsys.readouterr().err
