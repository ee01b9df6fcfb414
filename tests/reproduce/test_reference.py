"""From what a user types to a record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idealfit.record import Record
from idealfit.reproduce import resolve
from idealfit.spec import Objective, StudyError, TrialResult, TrialSpec, TrialState

FIRST, SECOND = "ab12cd" + "0" * 26, "ab12cd" + "1" * 26


def make(runs: Path, study: str, number: int, value: float | None = None, **options: object) -> Record:
    objective = options.pop("objective", Objective())
    state = options.pop("state", TrialState.COMPLETE)
    assert isinstance(objective, Objective)
    assert isinstance(state, TrialState)
    directory = str(runs / study / str(number))
    record = Record.create(
        TrialSpec(study=study, number=number, config={"seed": 0}, record_dir=directory, objective=objective)
    )
    if value is not None:
        record.write_result(TrialResult(state=state, value=value))
    return record


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two studies; in `digits` the best trial was pruned, so trial 1 is the best."""
    folder = tmp_path / "runs"
    for number, value in enumerate([0.8, 0.9, 0.85]):
        make(folder, "digits", number, value)
    make(folder, "digits", 3, 0.99, state=TrialState.PRUNED)
    make(folder, "digits", 4)
    for number, value in enumerate([0.8, 0.3]):
        make(folder, "losses", number, value, objective=Objective(metric="val/loss", direction="minimize"))
    (folder / "digits" / "0" / "mirror.json").write_text(json.dumps({"run_id": FIRST, "lines": 3}))
    (folder / "digits" / "1" / "mirror.json").write_text(json.dumps({"run_id": SECOND, "lines": 3}))
    (folder / "digits" / "2" / "mirror.json").write_text('{"run_id": "')
    return folder


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("digits/2", "digits/2"),
        (" digits/2/ ", "digits/2"),
        ("digits/best", "digits/1"),
        ("losses/best", "losses/1"),
        (FIRST, "digits/0"),
        ("ab12cd1", "digits/1"),
    ],
)
def test_each_form_finds_its_record(runs: Path, reference: str, found: str) -> None:
    assert resolve(reference, runs).path == runs / found


def test_a_directory_is_found_wherever_it_lies(runs: Path, tmp_path: Path) -> None:
    assert resolve(str(runs / "digits" / "0"), tmp_path / "elsewhere").path == runs / "digits" / "0"


def test_mlflow_is_asked_for_ids_that_no_record_knows(runs: Path) -> None:
    asked: list[str] = []

    def look_up(run_id: str) -> str | None:
        asked.append(run_id)
        return {"f" * 32: "digits/2", "e" * 32: "gone/0"}.get(run_id)

    assert resolve("f" * 32, runs, look_up=look_up).path == runs / "digits" / "2"
    assert asked == ["f" * 32]
    with pytest.raises(StudyError, match=r"knows the run .* as 'gone/0', but its record is not"):
        resolve("e" * 32, runs, look_up=look_up)
    with pytest.raises(StudyError, match="No run 'dddd"):
        resolve("d" * 32, runs, look_up=look_up)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("", "No run was named"),
        ("digit/2", "Did you mean 'digits'"),
        ("digit/best", "Did you mean 'digits'"),
        ("digits/9", "its trials are 0 to 4"),
        ("digits/bset", "no trial 'bset'"),
        ("digits", "is a whole study.*digits/best"),
        ("ab12cd", "ambiguous"),
        ("ab12ce0", "that idealfit made is known"),
        ("../../etc/passwd", "No trial"),
    ],
)
def test_what_is_unknown_or_ambiguous_is_told(runs: Path, reference: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        resolve(reference, runs)


def test_a_study_without_a_complete_trial_has_no_best(tmp_path: Path) -> None:
    make(tmp_path, "young", 0)
    with pytest.raises(StudyError, match="no complete trial yet"):
        resolve("young/best", tmp_path)


def test_a_study_whose_name_looks_like_an_id_is_a_study(tmp_path: Path) -> None:
    make(tmp_path, "decade", 0, 0.5)
    with pytest.raises(StudyError, match="whole study"):
        resolve("decade", tmp_path)
    assert resolve("decade/best", tmp_path).path == tmp_path / "decade" / "0"
