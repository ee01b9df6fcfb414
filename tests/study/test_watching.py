"""A study seen from outside: by its records, its lock and its launch."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import pytest

from idealfit.cli import main
from idealfit.record import Record
from idealfit.spec import FailureKind, TrialResult, TrialSpec, TrialState, record_path
from idealfit.study.display import PlainDisplay, table_of
from idealfit.study.launch import Asked, Launch
from idealfit.study.lock import controller_lock
from idealfit.study.outcome import TrialRow
from idealfit.study.watching import Watch


@pytest.fixture
def study_dir(in_tmp_dir: Path) -> Path:
    """A study of 4 trials whose launch was 100 s ago."""
    folder = in_tmp_dir / "runs" / "s"
    Launch(config_name="x", overrides=[]).write(folder, Asked(question="Which?", num_planned=4))
    os.utime(folder / "study.json", (time.time() - 100,) * 2)
    return folder


def start(number: int, attempt: int = 0, **params: object) -> Record:
    spec = TrialSpec(
        study="s",
        number=number,
        attempt=attempt,
        config={"trainer": {"max_epochs": 9}},
        record_dir=str(record_path("runs", "s", number)),
        params=params,  # type: ignore[arg-type]
    )
    return Record.create(spec)


def complete(record: Record, value: float = 0.5, **changes: object) -> None:
    result = {"state": TrialState.COMPLETE, "value": value, "num_epochs": 9, **changes}
    record.write_result(TrialResult(**result))  # type: ignore[arg-type]


def test_what_runs_and_what_ended_since_the_last_look(study_dir: Path) -> None:
    complete(start(0))
    record = start(1)
    record.append_metrics(0, {"val/accuracy": 0.25})
    with controller_lock(study_dir):
        watch = Watch(study_dir)
        assert (watch.is_over, [*watch.progress.running]) == (False, [1])
        assert watch.progress.running[1].latest("val/accuracy") == (1, 0.25)
        assert watch.poll() == []
        complete(record, 0.75)
        assert [row.number for row in watch.poll()] == [1]
        assert watch.progress.best is not None
        assert watch.progress.best.number == 1
        assert not watch.progress.running
    watch.poll()
    assert watch.is_over


def test_the_time_to_go_comes_from_the_pace_of_this_session(study_dir: Path) -> None:
    earlier = start(0)
    complete(earlier)
    os.utime(earlier.result_path, (time.time() - 1000,) * 2)
    complete(start(1))
    with controller_lock(study_dir):
        progress = Watch(study_dir).progress
        assert (progress.num_new, len(progress.rows), progress.budget_trials) == (1, 2, 4)
        assert progress.eta_s == pytest.approx(200, rel=0.2)


def test_a_trial_that_is_trained_again_is_running(study_dir: Path) -> None:
    record = start(0)
    complete(record, None, state=TrialState.INTERRUPTED)  # type: ignore[arg-type]
    with controller_lock(study_dir):
        watch = Watch(study_dir)
        assert not watch.progress.running
        start(0, attempt=1)
        watch.poll()
        assert [*watch.progress.running] == [0]


def test_without_a_controller_nothing_runs(study_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complete(start(0))
    start(1)
    watch = Watch(study_dir)
    assert watch.is_over
    assert not watch.progress.running
    assert main(["watch", "s"]) == 0
    told = capsys.readouterr().out
    assert "2 trials (1 running, 1 complete)" in told
    assert "idealfit resume s" in told


def test_watching_ends_with_the_study(
    study_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = start(0, **{"model.depth": 3})
    begun, leave = threading.Event(), threading.Event()

    def drive() -> None:
        with controller_lock(study_dir):
            begun.set()
            leave.wait()
            complete(record, 0.875)

    poll = Watch.poll

    def once_watched(watch: Watch) -> list[TrialRow]:
        rows = poll(watch)  # before the study may end: a watch that comes after that shows no start
        leave.set()
        return rows

    monkeypatch.setattr(Watch, "poll", once_watched)
    thread = threading.Thread(target=drive)
    thread.start()
    begun.wait()
    assert main(["watch", "s"]) == 0
    thread.join()
    first, headline, *rest = capsys.readouterr().out.splitlines()
    assert first == "study s: Which?"
    assert headline.startswith("s: 0/4 trials, no score yet")
    assert "trial 0   complete  val/accuracy 0.8750" in rest[0]
    assert any("winner    trial 0" in line for line in rest)


def test_a_start_does_not_fail_because_somebody_looks(study_dir: Path) -> None:
    held, free = threading.Event(), threading.Event()

    def look() -> None:
        with controller_lock(study_dir):
            held.set()
            free.wait(0.1)

    thread = threading.Thread(target=look)
    thread.start()
    held.wait()
    with controller_lock(study_dir):
        pass
    thread.join()


def test_names_and_messages_do_not_command_the_terminal(study_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    evil = "\x1b]0;owned\x07"
    complete(start(0, **{evil: evil}), None, state=TrialState.FAILED, failure=FailureKind.BUG, message=evil)  # type: ignore[arg-type]
    start(1, **{evil: evil})
    stream, console = io.StringIO(), Console(width=200, file=io.StringIO(), record=True)
    with controller_lock(study_dir):
        watch = Watch(study_dir)
        PlainDisplay(stream).finished(watch.progress.rows[0], watch.progress)
        console.print(table_of(watch.progress))
    assert main(["runs", "s"]) == 0
    for shown in (stream.getvalue(), console.export_text(), capsys.readouterr().out):
        assert "owned" in shown
        assert "\x1b]" not in shown


def test_a_damaged_record_is_passed_over(study_dir: Path) -> None:
    complete(start(0))
    start(1).spec_path.write_text("{")
    assert [row.number for row in Watch(study_dir).result().rows] == [0]


def test_a_name_that_is_none(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "nothing"]) == 2
    assert "no study 'nothing'" in capsys.readouterr().err
