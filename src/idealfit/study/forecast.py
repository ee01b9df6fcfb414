"""What a study would try and take, before anything trains: sample points, and time and disk by what is on record."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna

from idealfit.protocol import num_rounds
from idealfit.record import Record, iter_records
from idealfit.space import point_key
from idealfit.spec import JSON, Params, StudyError
from idealfit.study.drawing import draw_point
from idealfit.study.making import Point
from idealfit.study.outcome import list_studies
from idealfit.study.plan import StudyPlan
from idealfit.study.samplers import make_sampler

MAX_RECORDS = 2000  # newest studies first; more would not change a median
NOT_PACE = ("root", "cache_dir", "split_seed")  # of `data`: they change no epoch's time


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one recorded trial took."""

    study: str
    model: str
    epoch_seconds: float
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Time and disk of the trials to come.

    Attributes:
        seconds: Of training in all trials together, one after the other, none stopped early; None: nothing is known.
        num_bytes: Of all records; None: nothing is known.
        num_trials: Trials still to run.
        num_measured: Recorded trials that it rests on.
        studies: Where they are.
        unknown_models: Models that no record tells of; those that are known stand for them.
    """

    seconds: float | None
    num_bytes: int | None
    num_trials: int
    num_measured: int = 0
    studies: tuple[str, ...] = ()
    unknown_models: tuple[str, ...] = field(default=())


def sample_points(plan: StudyPlan, number: int) -> list[Point]:
    """The first points that the sampler would ask for, having learned nothing yet; starting points come first.

    Raises:
        StudyError: There is no allowed point, or no such study to start from.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = plan.search
    sampler = make_sampler(plan.sampler, plan.sampler_options, space=search.space, seed=plan.seed)
    study = optuna.create_study(directions=[goal.direction for goal in plan.objective.goals], sampler=sampler)
    for point in [*search.enqueued, *search.warm_points(plan.runs_dir)]:
        study.enqueue_trial(point, skip_if_exists=True)
    drawn: list[Point] = []
    for _ in range(min(number, plan.budget.trials)):
        trial = study.ask()
        params = draw_point(study, trial, search.space, seed=plan.seed)
        earlier = tuple(p.number for p in drawn if point_key(p.params) == point_key(params))
        drawn.append(Point(number=trial.number, params=params, replicates=earlier))
    return drawn


def forecast(plan: StudyPlan, configs: Sequence[JSON]) -> Forecast:
    """Estimate from records of trials on the same data, each model by its own pace; never from anything else.

    Args:
        plan: The study.
        configs: Those of sample trials, which stand for all.
    """
    num_done = sum(1 for _ in _finished(plan.runs_dir, plan.name))
    num_trials = max(0, plan.budget.trials - num_done)
    measured = list(_measured(plan))
    if not measured or not configs:
        return Forecast(seconds=None, num_bytes=None, num_trials=num_trials)
    paces: dict[str, list[float]] = {}
    for each in measured:
        paces.setdefault(each.model, []).append(each.epoch_seconds)
    any_pace = statistics.median(each.epoch_seconds for each in measured)
    per_trial = [
        num_rounds(config) * config["trainer"]["max_epochs"] * statistics.median(paces.get(_model(config), [any_pace]))
        for config in configs
    ]
    return Forecast(
        seconds=num_trials * statistics.mean(per_trial),
        num_bytes=round(num_trials * statistics.median(each.num_bytes for each in measured)),
        num_trials=num_trials,
        num_measured=len(measured),
        studies=tuple(dict.fromkeys(each.study for each in measured)),
        unknown_models=tuple(sorted({_model(config) for config in configs} - paces.keys())),
    )


def _measured(plan: StudyPlan) -> Iterator[Measured]:
    names = sorted(list_studies(plan.runs_dir), key=lambda name: -(plan.runs_dir / name).stat().st_mtime)
    left = MAX_RECORDS
    for name in names:
        for record, config, epoch_seconds in _finished(plan.runs_dir, name):
            if not _is_same_data(config, plan):
                continue
            size = sum(path.stat().st_size for path in record.path.rglob("*") if path.is_file())
            yield Measured(study=name, model=_model(config), epoch_seconds=epoch_seconds, num_bytes=size)
            left -= 1
            if not left:
                return


def _finished(runs_dir: Path, study: str) -> Iterator[tuple[Record, JSON, float]]:
    """The finished trials of a study that trained at all: record, config, seconds of an epoch."""
    for record in iter_records(runs_dir, study):
        try:
            result, config = record.read_result(), record.read_spec().config
        except StudyError:  # a damaged record tells nothing
            continue
        if result and result.state.is_finished and result.num_epochs and result.fit_seconds > 0:
            yield record, config, result.fit_seconds / result.num_epochs


def _is_same_data(config: JSON, plan: StudyPlan) -> bool:
    return _pace_of(config.get("data") or {}, plan.space.keys) == _pace_of(plan.base["data"], plan.space.keys)


def _pace_of(data: Mapping[str, Any], searched: Sequence[str]) -> Params:
    """What of the data decides on the time of an epoch and is the same in all trials."""
    if "data" in searched:
        return {}
    return {key: value for key, value in data.items() if key not in NOT_PACE and f"data.{key}" not in searched}


def _model(config: JSON) -> str:
    return str((config.get("model") or {}).get("_target_", "")).rpartition(".")[2]
