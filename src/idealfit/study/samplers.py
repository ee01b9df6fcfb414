"""Samplers by name: tpe, random, qmc, grid, gp, cmaes, each with Optuna's own option names."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler
from optuna.trial import FrozenTrial

from idealfit.space import Space, point_key
from idealfit.spec import Params, StudyError, nearest
from idealfit.study.window import WindowedTPESampler

POINT = "idealfit:point"


class GridSampler(BaseSampler):
    """Every point once, in an order that the seed decides.

    Optuna's own lists the product of all keys, where a point comes again for each value of a key that is absent.

    Args:
        points: All of them.
        seed: Decides the order.
    """

    def __init__(self, points: Sequence[Params], seed: int) -> None:
        self._points = random.Random(seed).sample(points, len(points))
        self._keys = [point_key(point) for point in self._points]
        self._by_chance = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing: values are looked up one by one."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Choose the first point that no trial has; after the last one, begin anew."""
        if "fixed_params" in trial.system_attrs:
            return
        taken: set[int | str] = set()
        for other in study.get_trials(deepcopy=False):
            taken |= {
                other.system_attrs.get(POINT, -1),
                point_key(other.system_attrs.get("fixed_params", other.params)),
            }
        places = (place for place, key in enumerate(self._keys) if place not in taken and key not in taken)
        place = next(places, trial.number % len(self._points))
        study._storage.set_trial_system_attr(trial._trial_id, POINT, place)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of the trial's point; by chance for a key that an enqueued point leaves open."""
        place = trial.system_attrs.get(POINT)
        if place is None or param_name not in self._points[place]:
            return self._by_chance.sample_independent(study, trial, param_name, param_distribution)
        return self._points[place][param_name]


CLASSES: dict[str, type[BaseSampler]] = {
    "tpe": WindowedTPESampler,
    "random": RandomSampler,
    "qmc": QMCSampler,
    "grid": GridSampler,
    "gp": GPSampler,
    "cmaes": CmaEsSampler,
}
SEVERAL_METRICS = ("tpe", "random", "qmc", "grid", "gp")  # CMA-ES ranks by one
OURS = {"self", "seed", "points"}  # given by the study itself
# Scrambled, because the seed has no effect otherwise; what a fallback to independent sampling means is in the README.
DEFAULTS: dict[str, dict[str, Any]] = {
    "qmc": {"scramble": True, "warn_independent_sampling": False},
    "gp": {"warn_independent_sampling": False},
    "cmaes": {"warn_independent_sampling": False},
}


def make_sampler(name: str, options: Mapping[str, Any], *, space: Space, seed: int, num_trials: int = 0) -> BaseSampler:
    """Build a sampler, seeded.

    Args:
        name: One of `CLASSES`.
        options: Keyword arguments of Optuna's class.
        space: The search space; `grid` needs a finite one.
        seed: The study's seed.
        num_trials: Trials that the study has already; a resumed random sampler must not repeat its first draws.

    Raises:
        StudyError: Unknown sampler or option, or a value that Optuna refuses.
        SpaceError: `grid` over a continuous space.
    """
    if name not in CLASSES:
        raise StudyError(f"study.sampler: unknown sampler {name!r}. {nearest(name, CLASSES)}")
    cls = CLASSES[name]
    valid = set(inspect.signature(cls.__init__).parameters) - OURS
    for option in options:
        if option not in valid:
            hint = "Set study.seed." if option == "seed" else nearest(option, valid)
            raise StudyError(f"study.sampler_options: {name} has no option {option!r}. {hint}")
    keywords: dict[str, Any] = {**DEFAULTS.get(name, {}), **options}
    if name == "grid":
        keywords["points"] = space.points()
    if name == "tpe" and space.has_conditions and not options.keys() & {"group", "multivariate"}:
        keywords |= {"group": True, "multivariate": True}  # learns keys together where they are there together
    if name in ("grid", "qmc"):
        keywords["seed"] = seed  # their sequence is fixed by the seed, and Optuna keeps the position in it
    else:
        keywords["seed"] = (seed + 1_000_003 * num_trials) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental samplers and options are the user's explicit choice
        try:
            return cls(**keywords)
        except (TypeError, ValueError) as error:
            raise StudyError(f"study.sampler_options: {name} refuses {dict(options)}: {error}") from error


def num_points(name: str, space: Space) -> int | None:
    """How many trials the sampler can make at most; None where it never runs out."""
    return space.size if name == "grid" else None
