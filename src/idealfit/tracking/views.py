"""The saved views that a study writes into its experiment, and the address that opens one.

As it comes, MLflow shows a sweep as one collapsed row without metrics. A view brings the trials, best first, with the
columns and charts that answer "which is best, and did it overfit?". The format is MLflow's own and undocumented:
learned from what the UI of 3.17 writes, and checked in a browser by tests/test_ui_browser.py. Other versions get the
plain address, which filters and sorts but knows no columns.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from idealfit.objective import BEST, summary_name
from idealfit.spec import JSON, Objective, sha256_of
from idealfit.tracking.naming import quoted, valid_key

LEADERBOARD, OVERFITTING, SEARCH = "leaderboard", "overfitting", "search"
KNOWN_VERSIONS = ("3.17.",)
TAG = "mlflow.sharedViewState."
FEASIBLE = "feasible/objective"

VERDICT = "attributes.`Description`"
# Columns wide enough for their names; score and verdict fit beside the assistant that MLflow opens on the first visit.
WIDTHS = {"metrics": 148, "params": 120, "tags": 90, "attributes": 275}
# MLflow draws a chart for each metric that no chart of the view names. These ones would only repeat the columns.
_KINDS = ("loss", "accuracy", "top5_accuracy", "exact_match", "f1", "mae", "mse", "r2")
_CURVES = [f"{part}/{name}" for part in ("train", "val") for name in _KINDS]
_NO_CHART = [
    *_CURVES,
    *(f"final/{name.replace('/', '_')}" for name in _CURVES),
    *("lr", "epoch_seconds", "samples_per_second", "objective", "best/epoch"),
    *(f"best/{name.replace('/', '_')}" for name in BEST),
    *("overfit/gap_at_best", "overfit/gap_final", "overfit/onset_epoch", "overfit/val_loss_rise"),
]


def score_metric(objective: Objective) -> str:
    """The summary that ranks trials by this objective; `objective`, its score, where no other summary is the same.

    Under constraints it is `feasible/objective`, which only the trials have that keep them: MLflow puts those without a
    value last.
    """
    if objective.constraints:
        return FEASIBLE
    if objective.penalty:
        return "objective"
    if objective.epoch == "last":
        return f"final/{objective.metric.replace('/', '_')}"
    if objective.epoch == "best" and objective.metric in BEST:
        return f"best/{objective.metric.replace('/', '_')}"
    return "objective"


def ui_address(
    base: str, experiment_id: str, study: str, objective: Objective | None = None, *, view: str | None = None
) -> str:
    """The address of a study's trials in the MLflow UI, best first.

    Args:
        base: Address of the server.
        experiment_id: The experiment that holds the study.
        study: Its name.
        objective: What ranks the trials.
        view: Key of a saved view; None for the plain filter, which any version of MLflow knows.
    """
    page = f"{base.rstrip('/')}/#/experiments/{quote(experiment_id)}/runs?workflowType=machine_learning"
    if view:
        return f"{page}&viewStateShareKey={quote(view)}"
    objective = objective or Objective()
    order = quote(f"metrics.`{score_metric(objective)}`", safe="")
    ascending = str(objective.direction == "minimize").lower()
    return f"{page}&searchFilter={quote(study_filter(study), safe='')}&orderByKey={order}&orderByAsc={ascending}"


def study_filter(study: str) -> str:
    """MLflow's search for everything of a study."""
    return f"tags.study = {quoted(study)}"


def view_key(study: str, view: str) -> str:
    """The key under which a study's view is kept: the same each time it is written."""
    return f"{view}-{sha256_of(study)[:12]}"


@dataclass(frozen=True, kw_only=True)
class StudyViews:
    """The views of one study.

    Attributes:
        alone: Whether the experiment holds this study only; else the study's name is added to the names of the views.
        searched: Keys of the space.
    """

    study: str
    alone: bool
    objective: Objective
    searched: Sequence[str]
    created_ms: int

    def tags(self) -> dict[str, str]:
        """Tags to set on the experiment: one for each view."""
        states = {LEADERBOARD: self._leaderboard(), OVERFITTING: self._overfitting(), SEARCH: self._search()}
        return {TAG + view_key(self.study, view): self._tag(view, state) for view, state in states.items()}

    def _tag(self, view: str, state: JSON) -> str:
        name = view if self.alone else f"{view}: {self.study}"
        packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
        times = {"createdAt": self.created_ms, "updatedAt": self.created_ms}
        return json.dumps({"name": name, **times, "state": f"deflate;{packed}"})

    def _leaderboard(self) -> JSON:
        return self._state()

    def _overfitting(self) -> JSON:
        section = _section("Did it overfit?", columns=2)
        kind = self.objective.metric.partition("/")[2]
        kind = kind if self.objective.metric in BEST and kind != "loss" else "accuracy"
        curves = [_lines(["val/loss", "train/loss"]), _lines([f"val/{kind}", f"train/{kind}"])]
        gaps = _scatter(("METRIC", "overfit/gap_at_best"), ("METRIC", score_metric(self.objective)))
        return self._state([section], self._placed(section, [*curves, gaps, _bars("overfit/gap_at_best")]))

    def _search(self) -> JSON:
        score = score_metric(self.objective)
        params = [valid_key(key) for key in self.searched]
        section = _section("What mattered?", columns=2 if len(params) > 1 else 1)
        parallel = {"type": "PARALLEL", "selectedParams": params, "selectedMetrics": [score], "showAllRuns": True}
        scatters = [_scatter(("PARAM", key), ("METRIC", score)) for key in params]
        others = [_scatter(("METRIC", summary_name(goal.metric)), ("METRIC", score)) for goal in self.objective.others]
        charts = [*others, parallel, *scatters] if params else others
        return self._state([section], self._placed(section, charts), runs="SHOW_ALL")

    def _state(self, sections: Sequence[JSON] = (), charts: Sequence[JSON] = (), runs: str = "FIRST_10_RUNS") -> JSON:
        columns = self._columns()
        state = {
            "searchFilter": study_filter(self.study),
            "orderByKey": f"metrics.`{score_metric(self.objective)}`",
            "orderByAsc": self.objective.direction == "minimize",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": columns,
            "columnOrder": columns,
            "columnWidths": {column: WIDTHS[column.partition(".")[0]] for column in columns},
            "runsHiddenMode": runs,
            "viewMaximized": False,
            "runListHidden": False,
            "isAccordionReordered": bool(sections),  # else MLflow sorts our section behind its own
            "useGroupedValuesInCharts": True,
            "hideEmptyCharts": True,
            "groupBy": None,
            "groupsExpanded": {},
            "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        }
        return state | ({"compareRunSections": list(sections), "compareRunCharts": list(charts)} if sections else {})

    def _placed(self, section: JSON, charts: Sequence[JSON]) -> list[JSON]:
        measures = [summary_name(metric) for metric in self.objective.looked_at]
        return _placed(section, charts, no_chart=[*_NO_CHART, *measures, FEASIBLE] if measures else _NO_CHART)

    def _columns(self) -> list[str]:
        """The score, the verdict in words, what was searched, then the figures behind the verdict."""
        params = [f"params.`{valid_key(key)}`" for key in self.searched]
        measures = [summary_name(metric) for metric in self.objective.looked_at if metric != "onset"]
        names = [*measures, "overfit/gap_at_best", "overfit/onset_epoch", "best/epoch"]
        figures = [f"metrics.`{name}`" for name in names]
        return [f"metrics.`{score_metric(self.objective)}`", VERDICT, *params, *figures, "tags.`state`"]


def _section(name: str, *, columns: int) -> JSON:
    flags = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": f"section-{sha256_of(name)[:8]}", "name": name, "columns": columns, "cardHeight": 340, **flags}


def _lines(metrics: list[str]) -> JSON:
    axes = {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": "linear", "selectedXAxisMetricKey": ""}
    values = {"metricKey": metrics[0], "selectedMetricKeys": metrics, "yAxisKey": "metric", "yAxisExpressions": []}
    style = {"lineSmoothness": 0, "useGlobalLineSmoothing": True, "useGlobalXaxisKey": True, "displayPoints": False}
    return {"type": "LINE", **values, **axes, **style, "ignoreOutliers": False, "range": {}}


def _bars(metric: str) -> JSON:
    return {"type": "BAR", "metricKey": metric}


def _scatter(x: tuple[str, str], y: tuple[str, str]) -> JSON:
    axes = {"xaxis": {"type": x[0], "key": x[1]}, "yaxis": {"type": y[0], "key": y[1]}}
    return {"type": "SCATTER", **axes, "runsCountToCompare": 100}


def _placed(section: JSON, charts: Sequence[JSON], *, no_chart: Sequence[str]) -> list[JSON]:
    common = {"runsCountToCompare": 10, "metricSectionId": section["uuid"]}
    shown = [
        common | {"uuid": f"chart-{i}", "deleted": False, "isGenerated": False} | chart
        for i, chart in enumerate(charts)
    ]
    hidden = [
        common | {"uuid": f"hidden-{i}", "deleted": True, "isGenerated": True} | _bars(metric)
        for i, metric in enumerate(no_chart)
    ]
    return shown + hidden
