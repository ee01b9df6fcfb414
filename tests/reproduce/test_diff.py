"""Runs side by side."""

from __future__ import annotations

from idealfit.reproduce import RunColumn, diff_runs
from idealfit.reproduce.diff import ABSENT, Row
from idealfit.spec import TrialResult, TrialSpec, TrialState

CONFIG = {"seed": 0, "model": {"depth": 3, "dropout": 0.1}, "optimizer": {"lr": 0.01}, "scheduler": None}


def run(label: str, **changes: object) -> RunColumn:
    return RunColumn(label=label, config=CONFIG | changes, state="complete", summaries={"best/val_accuracy": 0.9})


def test_only_what_differs_is_shown() -> None:
    diff = diff_runs([run("a/0"), run("a/1", model={"depth": 4, "dropout": 0.1})])
    assert diff.labels == ("a/0", "a/1")
    assert diff.config == (Row("model.depth", (3, 4)),)
    assert diff.summaries == (Row("best/val_accuracy", (0.9, 0.9)),)


def test_equal_runs_differ_in_nothing() -> None:
    assert diff_runs([run("a/0"), run("a/1")]).config == ()


def test_a_missing_key_is_not_null_and_true_is_not_one() -> None:
    diff = diff_runs([run("a/0", early=1), run("a/1", scheduler={"gamma": None}, early=True)])
    assert diff.config == (
        Row("scheduler", (None, ABSENT)),
        Row("scheduler.gamma", (ABSENT, None)),
        Row("early", (1, True)),
    )


def test_three_runs_differ_where_any_does_and_groups_stay_together() -> None:
    model = {"depth": 3, "dropout": 0.1}
    diff = diff_runs([run("a/0"), run("a/1", seed=1), run("a/2", model=model | {"width": 8})])
    assert diff.config == (Row("seed", (0, 1, 0)), Row("model.width", (ABSENT, ABSENT, 8)))


def test_columns_come_from_records() -> None:
    spec = TrialSpec(study="a", number=3, config=CONFIG, record_dir="/nowhere")
    result = TrialResult(state=TrialState.PRUNED, summaries={"best/epoch": 2.0})
    assert RunColumn.of(spec, result) == RunColumn(
        label="a/3", config=CONFIG, state="pruned", summaries={"best/epoch": 2.0}
    )
    assert RunColumn.of(spec, None).state == "running"
