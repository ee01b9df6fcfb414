"""Everything that is computed from a study before a word is written or a chart drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from idealfit.report.html.accounts import FailureGroup, Savings, count_savings, group_failures
from idealfit.report.html.advice import Advice, Evidence, advise, num_images
from idealfit.report.html.boundaries import Boundary, find_boundaries
from idealfit.report.html.importance import MIN_TRIALS, Driver, Importance, importances, strongest_driver
from idealfit.report.html.reading import StudyData
from idealfit.report.html.settings import Settings, compare_settings
from idealfit.report.html.timeline import Timeline, lay_out
from idealfit.report.html.tradeoff import Tradeoff, tradeoffs


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The findings as values.

    Attributes:
        no_importance: Why there are no importances; "" where there are.
        gap_driver: The parameter along which the final gap grows or shrinks most.
    """

    importances: tuple[Importance, ...]
    no_importance: str
    gap_driver: Driver | None
    boundaries: tuple[Boundary, ...]
    savings: Savings
    failures: tuple[FailureGroup, ...]
    timeline: Timeline | None
    tradeoffs: tuple[Tradeoff, ...]
    settings: Settings
    advice: tuple[Advice, ...]


def analyse(study: StudyData) -> Analysis:
    """Compute all of it."""
    found = importances(
        [t.row.params for t in study.scored],
        [t.row.value for t in study.scored if t.row.value is not None],
        study.dimensions,
        study.objective.direction,
    )
    gaps = [study.final_gap(t) for t in study.compared]
    return Analysis(
        importances=tuple(found),
        no_importance="" if found else _why_no_importance(study),
        gap_driver=strongest_driver(
            [t.row.params for t in study.compared],
            [math.nan if gap is None else gap for gap in gaps],
            study.dimensions,
        ),
        boundaries=tuple(find_boundaries([t.row.params for t in study.compared], study.dimensions)),
        savings=count_savings(study),
        failures=tuple(group_failures(study)),
        timeline=lay_out(attempt for t in study.trials for attempt in t.attempts),
        tradeoffs=tuple(tradeoffs(study)),
        settings=compare_settings(study),
        advice=tuple(_advice(study)),
    )


def _advice(study: StudyData) -> list[Advice]:
    best = study.best
    if best is None:
        return []
    return advise(
        Evidence(
            rows=[trial.row for trial in study.trials],
            dimensions=study.dimensions,
            objective=study.objective,
            best=best.row,
            curves=best.curves,
            is_whole=best.row.num_epochs >= best.max_epochs,
            num_images=num_images(best.facts),
        )
    )


def _why_no_importance(study: StudyData) -> str:
    if not study.dimensions:
        return "No parameter was searched."
    if len(study.scored) < MIN_TRIALS:
        return (
            f"Not computed: {len(study.scored)} trials have a score, and below {MIN_TRIALS} "
            "the importance of a parameter can't be told from chance."
        )
    return "Not computed: every trial has the same score, or only one value was tried of each parameter."
