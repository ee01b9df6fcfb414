"""Studies of every task, promoted: ranked by the task's objective, tested once, told on every page."""

from __future__ import annotations

from pathlib import Path

import pytest

import idealfit
from idealfit.promotion.tracking import description, metrics
from idealfit.spec import StudyError
from idealfit.tasks import TASKS

HERE = ("tracking=none", "engine=inline", "engine.slots=1", "tracking.pictures=false")
SMALL = ("study.budget.trials=1", "trainer.max_epochs=1", "study.pruner=none", "data.limit=400", "model.width=16")
LOOKS = {
    "binary": (["task=binary", "task.positive=[1,3,5,7,9]"], ["accuracy", "f1", "roc_auc", "calibration_error"]),
    "multi_label": (["task=digit_traits"], ["f1", "accuracy", "exact_match", "roc_auc", "map"]),
    "regression": (["task=regression", "study.objective.metric=val/mae"], ["r2", "mae", "mse", "rmse"]),
    "unit_regression": (["task=unit_regression"], ["r2", "mae", "mse", "rmse"]),
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_study_of_the_task_is_promoted_and_tested_once(name: str, in_tmp_dir: Path) -> None:
    overrides, names = LOOKS[name]
    asked = [] if any("metric" in each for each in overrides) else [f"study.objective.metric={TASKS[name].objective}"]
    idealfit.sweep("lr_dropout_depth", *overrides, *asked, *SMALL, "study.objective.direction=null", *HERE, quiet=True)
    promotion = idealfit.promote("lr_dropout_depth", *HERE, top=1, seeds=2, quiet=True)
    assert promotion is not None
    means = [each.mean for each in promotion.verdict.ranked]
    assert means == sorted(means, reverse=name != "regression"), "an error is the better the smaller it is"
    (look,) = promotion.looks
    assert list(look.metrics) == names
    assert [label["name"] for label in look.measures.get("classes", [])] == {
        "binary": ["0 2 4 6 8", "1 3 5 7 9"],
        "multi_label": ["even", "loop", "above_four"],
    }.get(name, [])
    assert ("confusion" in look.measures) == (name == "binary")
    told = metrics(promotion)
    assert {f"test/{each}" for each in names} | {"test/looks"} <= told.keys()
    assert told[f"test/{names[0]}_low"] < told[f"test/{names[0]}"] < told[f"test/{names[0]}_high"]
    sentence = f"Test set, first look, {look.date[:10]}: {look.name}"
    assert sentence in description(promotion)
    study = idealfit.load_study("lr_dropout_depth")
    row = f"| {names[1]} | {told[f'test/{names[1]}']:.4f} |"
    assert row in study.report(format="md").read_text()
    assert sentence in study.report().read_text()
    with pytest.raises(StudyError, match=rf"was looked at on .*, {names[0]} -?\d.*--again"):
        idealfit.promote("lr_dropout_depth", *HERE, top=1, seeds=2, quiet=True)
