from __future__ import annotations

import json
from pathlib import Path

import pytest

from idealfit.spec import StudyError
from idealfit.study.launch import Launch


def written(tmp_path: Path, *overrides: str) -> Launch:
    Launch(config_name="lr_dropout_depth", overrides=list(overrides)).write(tmp_path, {})
    return Launch.read(tmp_path)


def test_a_study_is_resumed_as_it_was_started(tmp_path: Path) -> None:
    overrides = ("data=mnist", "model.dropout=interval(0, 0.3)")
    assert written(tmp_path, *overrides).with_([]) == list(overrides)


def test_what_is_given_anew_wins(tmp_path: Path) -> None:
    launch = written(tmp_path, "study.budget.trials=5", "data=mnist")
    assert launch.with_(["study.budget.trials=9"]) == ["data=mnist", "study.budget.trials=9"]


@pytest.mark.parametrize("barred", ["trusted_packages=[evil]", "+trusted_packages.0=evil", "hydra.searchpath=[evil]"])
def test_trust_and_search_path_are_never_taken_from_a_study(tmp_path: Path, barred: str) -> None:
    assert written(tmp_path, barred, "data=mnist").overrides == ["data=mnist"]
    path = tmp_path / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"overrides": [barred]}))  # a stranger's hand
    assert Launch.read(tmp_path).overrides == []


def test_a_password_is_not_kept_and_must_be_given_again(tmp_path: Path) -> None:
    launch = written(tmp_path, "study.storage=postgresql://me:hunter2@db/optuna")
    assert "hunter2" not in (tmp_path / "study.json").read_text()
    with pytest.raises(StudyError, match=r"study\.storage had a password.*Give it again"):
        launch.with_([])
    assert launch.with_(["study.storage=sqlite:///x.db"]) == ["study.storage=sqlite:///x.db"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config_name": 1, "overrides": 3}', "\x00"])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(StudyError, match="idealfit sweep NAME"):
        Launch.read(tmp_path)
