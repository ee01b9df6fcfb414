"""Trials that the records know and the storage does not: after a lost journal, an older backup, a power cut."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import optuna
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from idealfit.objective import constants_of
from idealfit.protocol import num_rounds, reported
from idealfit.pruning import FIRST_STEP
from idealfit.record import Record, iter_records
from idealfit.space.conditions import contains
from idealfit.spec import FailureKind, Params, QuestionChangedError, TrialResult, TrialSpec, TrialState
from idealfit.study.making import without_replicate
from idealfit.study.plan import StudyPlan, differences

STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


def told_state(result: TrialResult) -> OptunaState:
    """What Optuna is told of a result.

    Samplers forget failed trials; a diverged one is told pruned, for they shall learn that it was bad there.
    """
    if result.failure is FailureKind.NAN:
        return OptunaState.PRUNED
    return STATES.get(result.state, OptunaState.RUNNING)


def adopt_records(study: optuna.Study, plan: StudyPlan) -> int:
    """Add the trials of records whose numbers the storage has not given out yet; returns how many.

    A number without a record, or with one that was never begun, becomes a failed trial: numbers stay what they were.

    Raises:
        QuestionChangedError: The records belong to another question.
    """
    known = len(study.get_trials(deepcopy=False))
    records = {}
    for record in iter_records(plan.runs_dir, plan.name):
        if int(record.path.name) >= known and record.spec_path.exists():
            records[int(record.path.name)] = record
    for number in range(known, max(records, default=-1) + 1):
        study.add_trial(_trial_of(records[number], plan) if number in records else create_trial(state=OptunaState.FAIL))
    return len(records)


def _trial_of(record: Record, plan: StudyPlan) -> FrozenTrial:
    spec = record.read_spec()
    _check(spec, plan)
    result = record.read_result() or TrialResult(state=TrialState.RUNNING)
    state = told_state(result)
    objective, is_complete = spec.objective, state is OptunaState.COMPLETE
    excesses = objective.excesses(result.summaries) if state.is_finished() else {}
    return create_trial(
        state=state,
        values=objective.values(result.value, result.summaries) if is_complete else None,
        constraints={str(constraint): excess for constraint, excess in excesses.items()},
        params=spec.params,
        distributions={key: hull for key, hull in plan.space.distributions().items() if key in spec.params},
        intermediate_values=_reported(record, spec, plan),
    )


def _reported(record: Record, spec: TrialSpec, plan: StudyPlan) -> dict[int, float]:
    """By step what the pruner was told: after each round, or after each epoch."""
    if spec.objective.others:  # of several metrics Optuna takes no value of an epoch
        return {}
    if num_rounds(spec.config) == 1:
        result = record.read_result()
        curve = spec.objective.curve(record.curves(), constants_of(result.facts if result else {}))
    else:
        results = [each.read_result() for each in record.rounds()]
        scores = [result.value for result in results if result is not None and result.value is not None]
        curve = [reported(scores[:end], str(plan.pruner["name"])) for end in range(1, len(scores) + 1)]
    return {step: value for step, value in enumerate(curve, FIRST_STEP) if not math.isnan(value)}


def _check(spec: TrialSpec, plan: StudyPlan) -> None:
    """Refuse a trial of another question, as far as its record tells what was asked."""
    parts = plan.base["trainer"]["accumulate_grad_batches"]  # a retry for want of memory sets it
    config = {**spec.config, "trainer": {**spec.config["trainer"], "accumulate_grad_batches": parts}}
    if spec.replicate_of is not None:
        config = without_replicate(config, plan.base)
    asked = replace(plan, base=config, objective=spec.objective).identity()
    asks = json.loads(json.dumps(plan.identity()))  # as a record keeps it: lists for tuples
    changed = differences(asked, asks) or _outside(spec.params, plan)
    if changed:
        lines = "\n  ".join(changed)
        raise QuestionChangedError(
            f"{plan.study_dir} holds records of another question than study {plan.name!r} asks, "
            f"{spec.label} for one:\n  {lines}\nMove them away, or start another study: study.name=OTHER names it."
        )


def _outside(params: Params, plan: StudyPlan) -> list[str]:
    """Where a point is not one of the space."""
    wrong = []
    entries = plan.space.entries
    there = {key for key, entry in entries.items() if entry.is_active(params)}
    for key in sorted(params.keys() | there):
        if key not in params or key not in there:
            wrong.append(f"{key}: {'not searched now' if key in params else 'not searched then'}")
        elif not contains(entries[key].at(params) or entries[key].hull, params[key]):
            wrong.append(f"{key}: {params[key]!r} is outside {entries[key].source}")
    return wrong
