"""Which configurations are trained again: the best of the search, each point once, and the default."""

from __future__ import annotations

import hashlib
import math
from copy import deepcopy
from dataclasses import dataclass

from idealfit.config import Composer
from idealfit.config.schema import MAX_SEED
from idealfit.provenance import flattened
from idealfit.record import Record
from idealfit.spec import JSON, Params, StudyError, TrialState, sha256_of
from idealfit.study.making import Point
from idealfit.study.outcome import TrialRow, read_rows
from idealfit.study.plan import StudyPlan, differences
from idealfit.study.promotion import DEFAULT
from idealfit.study.question import NOT_PART_OF_THE_QUESTION, asked_of

CHANCE = ("seed", "data.split_seed", "trainer.accumulate_grad_batches")
"""What may differ between a trial and its point: a replicate's seed; batches in parts after it ran out of memory."""
REPLICATES_END = 100_000  # the search gives its replicates the seeds after its own


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A configuration to train again."""

    name: str
    trial: int | None
    params: Params
    searched: float | None
    config: JSON


def choose(plan: StudyPlan, composer: Composer, *, top: int) -> list[Chosen]:
    """The best `top` complete trials of different points, then the default config.

    Raises:
        StudyError: No trial is complete, or the config has changed since the study ran.
    """
    rows, _ = read_rows(plan.runs_dir, plan.name)
    ranked = [row for row in rows if _is_eligible(row)]
    if not ranked:
        raise StudyError(_nothing_to_promote(plan, rows))
    default = without_chance(plan.base)
    found: dict[str, Chosen] = {}
    for row in ranked:
        spec = Record(row.record_dir).read_spec()
        key = without_chance(spec.config)
        if key == default or key in found:
            continue
        _check_same_question(plan, composer, row, spec.config)
        config = _where_it_runs_now(spec.config, plan.base)
        chosen = Chosen(
            name=f"trial {row.number}", trial=row.number, params=row.params, searched=row.value, config=config
        )
        found[key] = chosen
        if len(found) == top:
            break
    base = flattened(plan.base)
    params = {key: base[key] for key in plan.space.keys if key in base}
    alike = (row for row in ranked if all(base.get(key, value) == value for key, value in row.params.items()))
    twin = next(
        (row.value for row in alike if without_chance(Record(row.record_dir).read_spec().config) == default), None
    )
    return [*found.values(), Chosen(name=DEFAULT, trial=None, params=params, searched=twin, config=plan.base)]


def fresh_seeds(base: int, count: int) -> list[int]:
    """Seeds that the search did not use, always the same ones; more of them begin with the fewer."""
    seeds: list[int] = []
    number = 0
    while len(seeds) < count:
        digest = hashlib.sha256(f"promote:{base}:{number}".encode()).digest()
        seed = int.from_bytes(digest[:8], "big") % (MAX_SEED + 1)
        number += 1
        if (seed - base) % (MAX_SEED + 1) >= REPLICATES_END and seed not in seeds:
            seeds.append(seed)
    return seeds


def without_chance(config: JSON) -> str:
    """A hash that is equal for replicates of one point, wherever they run."""
    return sha256_of(asked_of(config, without=CHANCE))


def _is_eligible(row: TrialRow) -> bool:
    is_scored = row.value is not None and math.isfinite(row.value)
    return row.state is TrialState.COMPLETE and is_scored and row.is_feasible


def _nothing_to_promote(plan: StudyPlan, rows: list[TrialRow]) -> str:
    if not rows:
        return f"study {plan.name!r} has no trial yet, so there is none to promote. Run it first: {plan.command}"
    if any(row.state is TrialState.COMPLETE for row in rows):
        constraints = ", ".join(map(str, plan.objective.constraints))
        return f"study {plan.name!r} has no complete trial that keeps {constraints}, so there is none to promote."
    counts = {state.value: sum(row.state is state for row in rows) for state in TrialState}
    have = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"study {plan.name!r} has no complete trial yet ({have}), so there is none to promote: {plan.command}"


def _check_same_question(plan: StudyPlan, composer: Composer, row: TrialRow, recorded: JSON) -> None:
    """A default composed today must be the default of the study of then."""
    made = plan.make(composer, Point(number=row.number, params=row.params)).config
    if changed := differences(asked_of(recorded, without=CHANCE), asked_of(made, without=CHANCE)):
        lines = "\n  ".join(changed)
        raise StudyError(
            f"the config of study {plan.name!r} has changed since trial {row.number} ran:\n  {lines}\n"
            "A default composed now would be that of another question. Undo the change, or start another study."
        )


def _where_it_runs_now(config: JSON, base: JSON) -> JSON:
    config = deepcopy(config)
    for key in NOT_PART_OF_THE_QUESTION:
        group, _, name = key.partition(".")
        if name in config[group] and name in base[group]:
            config[group][name] = base[group][name]
    config["data"] = {**config["data"], **{k: v for k, v in base["data"].items() if k == "split_seed"}}
    return config
