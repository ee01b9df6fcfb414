from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import Plan, curves, sample

from idealfit.report.html import StudyData
from idealfit.report.html.exports import format_of, to_json, to_markdown, write_study
from idealfit.spec import StudyError


def test_markdown_has_the_answer_the_findings_the_leaderboard_and_the_commands(finished: StudyData) -> None:
    text = to_markdown(finished, sweep="idealfit sweep lr_dropout_depth")
    assert text.startswith("# Which learning rate")
    assert finished.best is not None
    assert f"Trial {finished.best.number} is best" in text
    assert "| rank | trial |" in text
    assert "    idealfit sweep lr_dropout_depth\n" in text
    assert f"    idealfit reproduce finished/{finished.best.number}\n" in text


def test_markdown_takes_no_markup_from_names(study_of: Callable[..., StudyData]) -> None:
    study = study_of(replace(sample(1), params={"<img src=x>\n# [a](b)": "<script>"}))
    text = to_markdown(replace(study, question="<b>\n# What?"))
    assert "<img" not in text
    assert "<script>" not in text
    assert text.startswith("# &lt;b&gt; # What?\n")
    assert "\n# [" not in text


def test_json_holds_every_trial_with_its_curves(finished: StudyData) -> None:
    data = json.loads(json.dumps(to_json(finished), allow_nan=False))
    assert len(data["trials"]) == 40
    assert finished.best is not None
    assert data["best"] == data["trials"][0]["number"] == finished.best.number
    assert len(data["trials"][0]["curves"]["val/loss"]) == 30


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_and_parquet_hold_a_line_a_trial(finished: StudyData, tmp_path: Path) -> None:
    rows = read_csv(write_study(finished, tmp_path / "r.csv", "csv"))
    frame = pd.read_parquet(write_study(finished, tmp_path / "r.parquet", "parquet"))
    assert [int(row["trial"]) for row in rows] == list(frame.index) == [t.number for t in finished.trials]
    assert finished.best is not None
    assert frame["value"].iloc[0] == finished.best.row.value


def test_parquet_takes_a_choice_of_different_types(study_of: Callable[..., StudyData], tmp_path: Path) -> None:
    study = study_of(*[Plan({"model.width": width}, curves(3)) for width in (64, "auto", None, 0.5)])
    frame = pd.read_parquet(write_study(study, tmp_path / "r.parquet", "parquet"))
    assert set(frame["params.model.width"].dropna()) == {"64", "auto", "0.5"}


def test_the_format_follows_the_name_of_the_file() -> None:
    assert [format_of(Path(name)) for name in ("r.html", "r.MD", "a/r.parquet")] == ["html", "md", "parquet"]
    with pytest.raises(StudyError, match=r"'\.json'"):
        format_of(Path("r.jsn"))
