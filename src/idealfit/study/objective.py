"""From `study.objective` of a config to an `Objective`: what its words mean, and which of them contradict each other.

Nothing here is evaluated as code: a constraint is a name, a relation and a number.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from idealfit.objective import (
    MEASURES,
    Constraint,
    Direction,
    Goal,
    Objective,
    Penalty,
    Relation,
    canonical,
    natural_direction,
    natural_limits,
)
from idealfit.spec import ConfigError, nearest
from idealfit.tasks import task_of

KEY = "study.objective"
DIRECTIONS = ("maximize", "minimize")
NO_GOAL = "onset is never for a trial that does not overfit, and never is no number: constrain it, e.g. 'onset >= 10'"
_CONSTRAINT = re.compile(r"\s*(?P<metric>[^\s<>=]+)\s*(?P<relation>[<>=!]=?)\s*(?P<bound>\S+)\s*")


def default_objective(config: Mapping[str, Any]) -> Objective:
    """What a config is about where nothing says what to optimise: the metric of its task."""
    metric = task_of(config).objective
    return Objective(metric=metric, direction=natural_direction(metric))


def make_objective(node: Mapping[str, Any], default: str = Objective().metric) -> Objective:
    """Read `study.objective`; the direction of losses, gaps and costs is down, of everything else up, unless given.

    Args:
        node: Of the config.
        default: The metric where it names none.

    Raises:
        ConfigError: It is unreadable, or contradicts itself.
    """
    node = {**node, "metric": node["metric"] or default}
    goals = _goals(node, default)
    penalty = tuple(_penalty(name, weight) for name, weight in (node.get("penalty") or {}).items())
    constraints = tuple(parse_constraint(text) for text in node.get("constraints") or ())
    if len(goals) > 1 and penalty:
        raise ConfigError(
            f"{KEY}.penalty weighs one metric against others, {KEY}.metrics keeps several apart: give one of the two."
        )
    _check_twice("penalty", [item.metric for item in penalty])
    _check_bounds(constraints)
    return Objective(
        metric=goals[0].metric,
        direction=goals[0].direction,
        epoch=node["epoch"],
        k=node["k"],
        penalty=penalty,
        constraints=constraints,
        others=tuple(goals[1:]),
    )


def parse_constraint(text: str) -> Constraint:
    """`NAME <= NUMBER` or `NAME >= NUMBER`.

    Raises:
        ConfigError: It is anything else, or no trial could ever keep it.
    """
    where = f"{KEY}.constraints: {text!r}"
    match = _CONSTRAINT.fullmatch(str(text))
    if not match:
        raise ConfigError(f"{where} is not NAME <= NUMBER or NAME >= NUMBER, e.g. 'gap <= 0.02' or 'params <= 1e6'.")
    metric, relation = canonical(match["metric"]), match["relation"]
    if relation not in ("<=", ">="):
        hint = {"<": "<=", ">": ">="}.get(relation, "<= or >=")
        raise ConfigError(f"{where}: a constraint has a bound that may be reached: write {hint}, not {relation}.")
    try:
        bound = float(match["bound"])
    except ValueError:
        raise ConfigError(f"{where}: {match['bound']!r} is no number. A name stands left, a number right.") from None
    if not math.isfinite(bound):
        raise ConfigError(f"{where}: the bound must be finite.")
    _check_locked("constraints", metric)
    low, high = natural_limits(metric)
    if (relation == "<=" and bound < low) or (relation == ">=" and bound > high):
        raise ConfigError(f"{where} can never be kept: {metric} is {_between(low, high)}.")
    return Constraint(metric=metric, relation=cast("Relation", relation), bound=bound)


def _goals(node: Mapping[str, Any], default: str) -> list[Goal]:
    """The metrics with their directions: those of `metrics`, else the one of `metric`."""
    texts = list(node.get("metrics") or ())
    if not texts:
        metric = node["metric"]
        direction: Direction = node["direction"] or natural_direction(metric)
        goals = [Goal(metric=metric, direction=direction)]
    else:
        goals = [_goal(text) for text in texts]
        _check_several(node, goals, default)
    first = canonical(goals[0].metric)
    if first in MEASURES:
        instead = f"put a curve such as val/accuracy before it in {KEY}.metrics, or constrain it"
        raise ConfigError(
            f"{KEY}: {first} can't be the first metric: the curve of the first one says which epoch counts and whose "
            f"weights are kept. Instead, {instead}."
        )
    return goals


def _goal(text: str) -> Goal:
    words = str(text).split()
    if not words or len(words) > 2 or (len(words) == 2 and words[0] not in DIRECTIONS):
        raise ConfigError(
            f"{KEY}.metrics: {text!r} is not NAME, 'maximize NAME' or 'minimize NAME'. "
            + (nearest(words[0], DIRECTIONS) if len(words) == 2 else "")
        )
    metric = canonical(words[-1])
    if metric == "onset":
        raise ConfigError(f"{KEY}.metrics: {NO_GOAL}.")
    _check_locked("metrics", metric)
    direction = cast("Direction", words[0]) if len(words) == 2 else natural_direction(metric)
    return Goal(metric=metric, direction=direction)


def _check_several(node: Mapping[str, Any], goals: Sequence[Goal], default: str) -> None:
    if len(goals) == 1:
        raise ConfigError(f"{KEY}.metrics names one metric: for a single one, set {KEY}.metric={goals[0].metric}.")
    if node["metric"] not in (default, goals[0].metric):
        raise ConfigError(f"{KEY}.metric={node['metric']} and {KEY}.metrics contradict each other: give one of them.")
    if node["direction"]:
        raise ConfigError(
            f"{KEY}.direction says nothing of several metrics: write 'minimize NAME' in {KEY}.metrics where a "
            f"direction is not the natural one, and set {KEY}.direction=null."
        )
    _check_twice("metrics", [goal.metric for goal in goals])


def _penalty(name: str, weight: float) -> Penalty:
    metric = canonical(name)
    if not math.isfinite(weight) or weight <= 0:
        way = "A metric that should be high needs no penalty: optimise it." if weight < 0 else "Leave it out for none."
        raise ConfigError(f"{KEY}.penalty.{name} must be a finite weight above 0, got {weight:g}. {way}")
    if metric == "onset":
        raise ConfigError(f"{KEY}.penalty: {NO_GOAL}.")
    _check_locked("penalty", metric)
    return Penalty(metric=metric, weight=float(weight))


def _check_bounds(constraints: Sequence[Constraint]) -> None:
    by_side: dict[tuple[str, str], Constraint] = {}
    for each in constraints:
        same = by_side.setdefault((each.metric, each.relation), each)
        if same is not each:
            raise ConfigError(f"{KEY}.constraints: '{same}' and '{each}' bound the same side: keep the narrower one.")
    for each in constraints:
        floor = by_side.get((each.metric, ">="))
        if each.relation == "<=" and floor and floor.bound > each.bound:
            raise ConfigError(f"{KEY}.constraints: '{each}' and '{floor}' contradict each other: no trial keeps both.")


def _check_twice(key: str, metrics: Sequence[str]) -> None:
    for metric, times in Counter(metrics).items():
        if times > 1:
            raise ConfigError(f"{KEY}.{key} names {metric} {times} times: once is enough.")


def _check_locked(key: str, metric: str) -> None:
    if metric.startswith("test/"):
        raise ConfigError(
            f"{KEY}.{key}: {metric} is measured on the test set, which stays locked while a study chooses. "
            "Take val/accuracy or val/loss."
        )


def _between(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:g}"
    return f"between {low:g} and {high:g}"
