"""One trial's point: what a sampler draws, drawn again where it is forbidden or a range is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, Trial

from idealfit.space import Space
from idealfit.spec import Params, StudyError

MAX_REDRAWS = 100  # by the study's sampler, which may insist on a forbidden optimum
MAX_RANDOM = 2000  # by chance alone, after that


class NoPointError(StudyError):
    """No allowed point was found."""


def draw_point(study: optuna.Study, trial: Trial, space: Space, *, seed: int) -> Params:
    """The point of a trial that was asked; the trial keeps it, and gives the same one when asked again.

    Args:
        study: With the sampler.
        trial: New, enqueued with some values fixed, or left over from an earlier session.
        space: What is searched.
        seed: The study's; with the trial's number it decides the draws by chance.

    Raises:
        NoPointError: Every draw was forbidden.
    """
    if space.is_plain:
        point = space.suggest(trial)
        assert point is not None  # noqa: S101 - nothing in a plain space depends on anything
        return point
    frozen = trial.storage.get_trial(trial._trial_id)
    by_chance = RandomSampler(seed=(seed + 1_000_003 * trial.number) % 2**32)
    for number in range(MAX_REDRAWS + MAX_RANDOM):
        draw = _Draw(study, frozen, study.sampler if number < MAX_REDRAWS else by_chance)
        point = space.suggest(draw)
        if point is not None and space.allows(point):
            draw.keep(trial)
            return point
    raise NoPointError(
        f"study.forbid: no allowed point in {MAX_REDRAWS + MAX_RANDOM} draws for trial {trial.number}. "
        "Forbid less, or narrow study.space to what is allowed."
    )


class _Draw:
    """Stands for a trial while a point is drawn: nothing is stored before it is known to be allowed."""

    def __init__(self, study: optuna.Study, frozen: FrozenTrial, sampler: BaseSampler) -> None:
        self._study = study
        self._frozen = frozen
        self._sampler = sampler
        self._known: Mapping[str, Any] = {**frozen.system_attrs.get("fixed_params", {}), **frozen.params}
        self._relative_space = sampler.infer_relative_search_space(study, frozen)
        self._relative = sampler.sample_relative(study, frozen, self._relative_space)
        self._drawn: dict[str, tuple[Any, BaseDistribution]] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A float, as `optuna.Trial` would suggest it."""
        return float(self._suggest(name, FloatDistribution(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number, as `optuna.Trial` would suggest it."""
        return int(self._suggest(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """A choice, as `optuna.Trial` would suggest it."""
        return self._suggest(name, CategoricalDistribution(choices))

    def keep(self, trial: Trial) -> None:
        """Store what was drawn as the trial's parameters."""
        for name, (value, distribution) in self._drawn.items():
            if name not in self._frozen.params:
                internal = distribution.to_internal_repr(value)
                trial.storage.set_trial_param(trial._trial_id, name, internal, distribution)

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        value = self._value(name, distribution)
        self._drawn[name] = (value, distribution)
        return value

    def _value(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self._known:
            return self._known[name]
        if name in self._relative and _holds(distribution, self._relative[name]):
            return self._relative[name]
        return self._sampler.sample_independent(self._study, self._frozen, name, distribution)


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    return distribution._contains(distribution.to_internal_repr(value))
