"""Which searched parameter makes the difference (PED-ANOVA, resampled for an interval), and what drives the gap."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idealfit.report.html.dimensions import Dimension, is_number, to_distribution
from idealfit.spec import Direction, Params

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MIN_TRIALS = 15  # of 20 simulated spaces with one parameter that matters, 15 trials named it in 19; 10 trials in 12
NUM_RESAMPLES = 30
MIN_RESAMPLES = 8
RESAMPLED_TRIALS = 8000  # in all resamples together: each costs about 0.1 ms, most of it Optuna's copying


@dataclass(frozen=True, kw_only=True)
class Importance:
    """One parameter's share of the difference between good trials and all; all shares add up to 1.

    Attributes:
        low: 10th percentile of the share over resampled sets of trials.
        high: 90th percentile.
    """

    key: str
    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Driver:
    """A numeric parameter along which a quantity rises or falls.

    Attributes:
        rho: Spearman's rank correlation, -1 to 1.
    """

    key: str
    rho: float


def target_quantile(num_trials: int) -> float:
    """The share of trials that count as good: a tenth of many, half of few, so that there are some to compare."""
    return min(0.5, max(0.1, 15 / num_trials))


def importances(
    params: Sequence[Params], values: Sequence[float], dimensions: Sequence[Dimension], direction: Direction
) -> list[Importance]:
    """The importance of each parameter that took several values, most important first.

    Args:
        params: The searched values of each trial.
        values: The objective's score of each trial.
        dimensions: The searched parameters.
        direction: Which scores are good.

    Returns:
        Nothing where fewer than `MIN_TRIALS` trials, equal scores, or a single value for each parameter tell nothing.
    """
    import numpy as np

    varied = [d for d in dimensions if len({p.get(d.key) for p in params}) > 1]
    if len(params) < MIN_TRIALS or not varied or len(set(values)) < 2:
        return []
    distributions = {d.key: to_distribution(d, [p[d.key] for p in params if d.key in p]) for d in varied}
    shares = _shares(params, values, distributions, direction)
    generator = np.random.default_rng(0)
    resampled: dict[str, list[float]] = {key: [] for key in shares}
    size = min(len(params), RESAMPLED_TRIALS // MIN_RESAMPLES)
    for _ in range(max(MIN_RESAMPLES, min(NUM_RESAMPLES, RESAMPLED_TRIALS // size))):
        chosen = generator.integers(len(params), size=size)
        some = _shares([params[i] for i in chosen], [values[i] for i in chosen], distributions, direction)
        for key in shares:
            resampled[key].append(some.get(key, 0.0))
    found = []
    for key, share in shares.items():
        low, high = np.quantile(resampled[key], [0.1, 0.9])
        found.append(Importance(key=key, share=share, low=min(float(low), share), high=max(float(high), share)))
    return sorted(found, key=lambda importance: -importance.share)


def strongest_driver(
    params: Sequence[Params], amounts: Sequence[float], dimensions: Sequence[Dimension]
) -> Driver | None:
    """The numeric parameter with which `amounts` rise or fall most, if beyond chance (three standard errors)."""
    drivers = []
    for dimension in dimensions:
        pairs = [
            (float(p[dimension.key]), amount)  # type: ignore[arg-type]  # is_number says so
            for p, amount in zip(params, amounts, strict=True)
            if is_number(p.get(dimension.key)) and math.isfinite(amount)
        ]
        if len(pairs) < 10:
            continue
        rho = _spearman([x for x, _ in pairs], [y for _, y in pairs])
        if abs(rho) * math.sqrt(len(pairs) - 1) > 3:
            drivers.append(Driver(key=dimension.key, rho=rho))
    return max(drivers, key=lambda driver: abs(driver.rho), default=None)


def _shares(
    params: Sequence[Params], values: Sequence[float], distributions: dict[str, BaseDistribution], direction: Direction
) -> dict[str, float]:
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction=direction)
        study.add_trials([_as_trial(p, v, distributions) for p, v in zip(params, values, strict=True)])
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=target_quantile(len(params)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PED-ANOVA warns about constant parameters, which have no importance
            return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
    finally:
        optuna.logging.set_verbosity(verbosity)


def _as_trial(params: Params, value: float, distributions: dict[str, BaseDistribution]) -> Any:
    import optuna

    own: dict[str, Any] = {key: params[key] for key in distributions if key in params}
    return optuna.trial.create_trial(params=own, distributions={key: distributions[key] for key in own}, value=value)


def _spearman(x: Sequence[float], y: Sequence[float]) -> float:
    import numpy as np

    if len(set(x)) < 2 or len(set(y)) < 2:
        return 0.0
    return float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 0, ties sharing their mean rank."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for i in order[start : end + 1]:
            ranks[i] = (start + end) / 2
        start = end + 1
    return ranks
