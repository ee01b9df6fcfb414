"""A report needs nothing but the study's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from studies import QUESTION, SPACE, sample, write_study

from idealfit.api import load_study
from idealfit.cli import main
from idealfit.report.artifacts import read_reported, write_artifacts
from idealfit.spec import Objective, StudyError
from idealfit.study.launch import Asked, Launch
from idealfit.study.outcome import StudyResult


@pytest.fixture
def study_dir(in_tmp_dir: Path) -> Path:
    study_dir = write_study(in_tmp_dir / "runs" / "s", [sample(number) for number in range(6)])
    asked = Asked(question=QUESTION, space=SPACE, objective=Objective(), num_planned=9)
    Launch(config_name="lr_dropout_depth", overrides=["model.dropout=interval(0, 0.3)"]).write(study_dir, asked)
    return study_dir


def test_the_folder_tells_what_was_asked(study_dir: Path) -> None:
    study = read_reported(study_dir)
    assert (study.question, study.num_planned) == (QUESTION, 9)
    assert all(dimension.is_known for dimension in study.dimensions)


def test_report_writes_every_format(study_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("html", "md", "csv", "json", "parquet"):
        assert main(["report", "s", "--format", name]) == 0
        written = Path(capsys.readouterr().out.strip())
        assert written == Path(f"runs/s/report/report.{name}")
        assert written.stat().st_size > 200
    text = Path("runs/s/report/report.md").read_text()
    assert "idealfit sweep lr_dropout_depth 'model.dropout=interval(0, 0.3)'" in text


def test_the_suffix_of_the_output_is_the_format(study_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "s", "--output", "here/r.json"]) == 0
    assert json.loads(Path("here/r.json").read_text())["question"] == QUESTION
    assert main(["report", "s", "--output", "r.pdf"]) == 2
    assert main(["report", "s", "--output", "runs/s/study.json/r.md"]) == 2
    assert "--output" in capsys.readouterr().err


def test_wrong_names_are_said_so(study_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 2
    assert main(["report", "t"]) == 2
    assert "no study 't'" in capsys.readouterr().err


def test_single_runs_can_be_reported_on(in_tmp_dir: Path) -> None:
    write_study(in_tmp_dir / "runs" / "train", [sample(3)])
    assert load_study("train").report().is_file()


@pytest.mark.parametrize("text", ["{", "[]", '{"asked": {"objective": {"metric": 3}}}', '{"asked": {"space": [1]}}'])
def test_a_damaged_file_is_named(study_dir: Path, text: str) -> None:
    (study_dir / "study.json").write_text(text)
    with pytest.raises(StudyError, match=r"study\.json is damaged"):
        read_reported(study_dir)


def test_a_study_without_trials_leaves_an_empty_leaderboard(in_tmp_dir: Path) -> None:
    result = StudyResult(
        name="e", ending="done", reason="", objective=Objective(), rows=[], study_dir=in_tmp_dir / "runs" / "e"
    )
    assert [path.name for path in write_artifacts(result).iterdir()] == ["leaderboard.csv"]


def test_no_password_of_a_storage_is_kept(in_tmp_dir: Path) -> None:
    asked = Asked(storage="postgresql://me:secret@host/db")
    Launch(config_name="x", overrides=[]).write(in_tmp_dir, asked)
    assert "secret" not in (in_tmp_dir / "study.json").read_text()
    assert Asked.read(in_tmp_dir).storage == "postgresql://***@host/db"
