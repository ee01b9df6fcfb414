"""The titles of the charts: each states what its chart shows."""

from __future__ import annotations

import statistics
from typing import Any

from idealfit.report.html import words
from idealfit.report.html.analysis import Analysis
from idealfit.report.html.dimensions import Dimension, is_number
from idealfit.report.html.promotion import promotion_title
from idealfit.report.html.reading import StudyData, TrialData
from idealfit.report.html.sentences import (
    failure_finding,
    history_finding,
    importance_finding,
    overfit_finding,
    overfitting,
    pruning_finding,
    timeline_finding,
)
from idealfit.spec import TrialState

MAX_SLICES = 12


def titles(study: StudyData, analysis: Analysis) -> dict[str, str]:
    """Title of each section, by its name."""
    savings = analysis.savings
    some = len(study.compared) > 1
    return {
        "map": overfit_finding(study, analysis) if some else "One trial: nothing to compare it with",
        "history": history_finding(study) if len(study.scored) > 2 else "Score by trial",
        "importance": importance_finding(analysis) or analysis.no_importance,
        "pruning": pruning_finding(analysis) if savings.num_pruned_trials else "No trial was pruned.",
        "timeline": timeline_finding(analysis) or "The records hold no times.",
        "failures": failure_finding(study, analysis) if analysis.failures else "No trial failed.",
        "tradeoff": f"{analysis.tradeoffs[0].sentence}." if analysis.tradeoffs else "",
        "parallel": parallel_title(study),
        "settings": settings_title(analysis),
        "promotion": promotion_title(study.promotion) if study.promotion else "",
    }


def settings_title(analysis: Analysis) -> str:
    """What was compared, and what was tuned for each."""
    settings = analysis.settings
    tuned = f", each at its best {words.listing(settings.nuisance, 4)}" if settings.nuisance else ""
    return f"{words.upper_first(words.listing(settings.keys))}{tuned}" if settings.rows else ""


def pick_titles(study: StudyData) -> list[dict[str, Any]]:
    """The best, the median and the most overfit trial, each once, with what its curves show."""
    picks: dict[int, list[str]] = {}
    trials: dict[int, TrialData] = {}
    for role, trial in (("best", study.best), ("median", study.median), ("most overfit", study.most_overfit)):
        if trial is not None:
            picks.setdefault(trial.number, []).append(role)
            trials[trial.number] = trial
    return [
        {"trial": number, "roles": roles, "title": overfitting(study, trials[number])}
        for number, roles in picks.items()
    ]


def slice_title(study: StudyData, dimension: Dimension) -> str:
    """Where along one parameter the good trials lie."""
    ranked = [t for t in study.compared if dimension.key in t.row.params]
    if len(ranked) < 4:
        return "Too few trials to tell"
    if dimension.kind == "category" or not all(is_number(t.row.params[dimension.key]) for t in ranked):
        return _best_category(study, ranked, dimension.key)
    good = ranked[: max(3, len(ranked) // 10)]
    values = [float(t.row.params[dimension.key]) for t in good]  # type: ignore[arg-type]  # checked above
    low, high = min(values), max(values)
    where = f"at {words.number(low)}" if low == high else f"from {words.number(low)} to {words.number(high)}"
    return f"The best {len(good)} lie {where}"


def parallel_title(study: StudyData) -> str:
    """What the best trials have in common, over all parameters."""
    ranked = study.compared
    if len(ranked) < 8:
        return "Each line is a trial: drag along an axis to select"
    good = ranked[: max(3, len(ranked) // 10)]
    shared = [
        f"{d.key} = {words.value_text(next(iter(values)))}"
        for d in study.dimensions
        if all(d.key in t.row.params for t in good)
        and len(values := {t.row.params.get(d.key) for t in good}) == 1
        and len({t.row.params.get(d.key) for t in ranked}) > 1
    ]
    if not shared:
        return f"The best {len(good)} trials share no single value"
    return f"The best {len(good)} trials all have {words.listing(shared, 4)}"


def _best_category(study: StudyData, ranked: list[TrialData], key: str) -> str:
    groups: dict[str, list[float]] = {}
    for trial in ranked:
        if trial.state is not TrialState.FAILED and trial.row.value is not None:
            groups.setdefault(words.value_text(trial.row.params[key]), []).append(trial.row.value)
    medians = {name: statistics.median(values) for name, values in groups.items()}
    order = sorted(medians, key=lambda name: medians[name], reverse=study.objective.direction == "maximize")
    metric = study.objective.metric
    best = f"{order[0]} has the best median, {words.score(medians[order[0]], metric)}"
    return f"{best}; {order[-1]} the worst, {words.score(medians[order[-1]], metric)}" if len(order) > 1 else best
