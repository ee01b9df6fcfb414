"""What a better score costs: the trials that no other beats in both score and cost.

Of a study with several metrics it is their Pareto front, seen along each of the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from idealfit.objective import measured
from idealfit.report.html import words
from idealfit.report.html.reading import StudyData, TrialData
from idealfit.spec import TrialState

CLOSE = 0.01  # within one hundredth of the best score counts as nearly as good
MUCH_CHEAPER = 0.8


@dataclass(frozen=True, kw_only=True)
class Tradeoff:
    """Score against one cost, over complete trials.

    Attributes:
        costs: Trial number -> cost.
        front: Numbers of the trials that none beats in both, cheapest first; of more than two metrics, in all.
        is_joint: Whether it is a front of more than two metrics, which makes no line in this plane.
        sentence: What the front says.
        is_bargain: Whether a trial nearly as good as the best costs much less.
    """

    name: str
    unit: str
    costs: dict[int, float]
    front: tuple[int, ...]
    sentence: str
    is_bargain: bool = False
    is_joint: bool = False


def _num_params(trial: TrialData) -> float:
    count = trial.facts.get("num_params")
    return float(count) if isinstance(count, int | float) else math.nan


_COSTS: dict[str, tuple[str, Callable[[TrialData], float]]] = {
    "model parameters": ("parameters", _num_params),
    "training time": ("s", lambda trial: trial.row.seconds),
}


def tradeoffs(study: StudyData) -> list[Tradeoff]:
    """Score against each further metric of the study, or against each cost that differs between complete trials."""
    return _own(study) if study.objective.others else _implied(study)


def _own(study: StudyData) -> list[Tradeoff]:
    objective = study.objective
    front = [row.number for row in study.front]
    found, sentence = [], front_sentence(study)
    for goal in objective.others:
        values = {t.number: measured(goal.metric, t.row.summaries) for t in study.complete}
        costs = {number: value for number, value in values.items() if value is not None and math.isfinite(value)}
        if costs:
            found.append(
                Tradeoff(
                    name=goal.metric,
                    unit="",
                    costs=costs,
                    front=tuple(sorted((n for n in front if n in costs), key=lambda number: (costs[number], number))),
                    sentence=sentence,
                    is_joint=len(objective.others) > 1,
                )
            )
    return found


def front_sentence(study: StudyData) -> str:
    """Which trials are on the Pareto front of a study with several metrics."""
    objective = study.objective
    rows = study.front
    goals = words.listing([f"{goal.direction} {goal.metric}" for goal in objective.goals])
    if not rows:
        return f"No trial is on the Pareto front yet ({goals})"
    if len(rows) == 1:
        return f"Trial {rows[0].number} alone is the Pareto front: it is beaten in no metric ({goals})"
    numbers = words.listing([str(row.number) for row in rows], 12)
    return f"Trials {numbers} are the Pareto front: none is beaten in one metric without winning another ({goals})"


def _implied(study: StudyData) -> list[Tradeoff]:
    found = []
    for name, (unit, cost_of) in _COSTS.items():
        costs = {t.number: cost for t in study.complete if math.isfinite(cost := cost_of(t)) and cost > 0}
        if len(set(costs.values())) < 2:
            continue
        trials = [t for t in study.complete if t.state is TrialState.COMPLETE and t.number in costs]
        front = _front(trials, costs)
        bargain = _bargain(front, costs)
        found.append(
            Tradeoff(
                name=name,
                unit=unit,
                costs=costs,
                front=tuple(t.number for t in front),
                sentence=_sentence(study, name, front, costs, bargain),
                is_bargain=bargain is not None,
            )
        )
    return found


def _front(ranked: list[TrialData], costs: dict[int, float]) -> list[TrialData]:
    """Cheapest first. `ranked` is best first, so a trial is on the front if it is cheaper than all before it."""
    front: list[TrialData] = []
    for trial in ranked:
        if not front or costs[trial.number] < costs[front[-1].number]:
            front.append(trial)
    return front[::-1]


def _bargain(front: list[TrialData], costs: dict[int, float]) -> TrialData | None:
    """The cheapest trial that is close to the best and much cheaper."""
    best = front[-1]
    for trial in front[:-1]:
        loss = abs((best.row.value or 0.0) - (trial.row.value or 0.0))
        if loss <= CLOSE * abs(best.row.value or 0.0) and costs[trial.number] < MUCH_CHEAPER * costs[best.number]:
            return trial
    return None


def _sentence(
    study: StudyData, name: str, front: list[TrialData], costs: dict[int, float], bargain: TrialData | None
) -> str:
    best, metric = front[-1], study.objective.metric
    if bargain is not None:
        loss = abs((best.row.value or 0.0) - (bargain.row.value or 0.0))
        share = words.percent(costs[bargain.number] / costs[best.number])
        near = words.difference(loss, metric)
        return f"Trial {bargain.number} comes within {near} of the best score with {share} of its {name}"
    if len(front) == 1:
        return f"The best trial is also the cheapest in {name}"
    return f"No trial comes within 1 % of the best score at under 80 % of its {name}"
