from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from idealfit.spec import Objective
from idealfit.tracking.views import StudyViews, score_metric, view_key


def states(**changes: Any) -> dict[str, Any]:
    """The views by name, as MLflow's UI reads them."""
    views: dict[str, Any] = {"study": "digits", "alone": True, "objective": Objective(), "created_ms": 1}
    views |= {"searched": ["optimizer.lr", "model"]}
    tags = StudyViews(**views | changes).tags()
    values = [json.loads(value) for value in tags.values()]
    assert all(len(value) < 5000 for value in tags.values())  # what the narrowest database column takes
    return {
        value["name"]: json.loads(zlib.decompress(base64.b64decode(value["state"].removeprefix("deflate;"))))
        for value in values
    }


def test_the_leaderboard_shows_score_verdict_searched_values_and_gap_best_first() -> None:
    state = states()["leaderboard"]
    assert state["searchFilter"] == "tags.study = 'digits'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best/val_accuracy`", False)
    assert state["columnOrder"] == state["selectedColumns"]
    assert state["selectedColumns"][:6] == [
        "metrics.`best/val_accuracy`",
        "attributes.`Description`",
        "params.`optimizer.lr`",
        "params.`model`",
        "metrics.`overfit/gap_at_best`",
        "metrics.`overfit/onset_epoch`",
    ]


def test_train_and_validation_share_a_chart() -> None:
    charts = [chart for chart in states()["overfitting"]["compareRunCharts"] if not chart["deleted"]]
    assert charts[0]["selectedMetricKeys"] == ["val/loss", "train/loss"]


def test_views_of_several_studies_in_one_experiment_keep_apart() -> None:
    assert set(states(alone=False)) == {"leaderboard: digits", "overfitting: digits", "search: digits"}
    assert view_key("a", "leaderboard") != view_key("b", "leaderboard")


def test_a_study_without_a_space_has_views_too() -> None:
    assert states(searched=[])["search"]["compareRunSections"]


@pytest.mark.parametrize(
    ("objective", "metric"),
    [
        (Objective(), "best/val_accuracy"),
        (Objective(metric="val/loss", direction="minimize"), "best/val_loss"),
        (Objective(metric="val/top5_accuracy"), "objective"),
        (Objective(epoch="last"), "final/val_accuracy"),
        (Objective(epoch="mean_of_last_k"), "objective"),
    ],
)
def test_the_metric_that_ranks(objective: Objective, metric: str) -> None:
    assert score_metric(objective) == metric
