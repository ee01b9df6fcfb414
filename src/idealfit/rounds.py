"""A trial of several rounds: one after the other in one attempt, each in a record of its own, together one score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from idealfit.engines.worker import rank_of_process
from idealfit.objective import BEST, summary_name
from idealfit.overfit import summarize
from idealfit.predictions import Predictions
from idealfit.protocol import Round, fold_of, mean_curves, reported, rounds_of
from idealfit.record import Record
from idealfit.spec import JSON, Reporter, StopSignal, TrialResult, TrialSpec, TrialState, Work

SECONDS = summary_name("seconds")


@dataclass(frozen=True)
class _Done:
    record: Record
    result: TrialResult


def run_rounds(spec: TrialSpec, stop: StopSignal, *, run: Work, reporter: Reporter) -> TrialResult:
    """Train the rounds of a trial that earlier attempts did not finish, and combine all.

    The reporter is told after every round, and may end the trial there. A stop request interrupts the round at work,
    which goes on from its checkpoint in the next attempt. Where several ranks train it, this runs in each of them.

    Args:
        spec: Of the trial.
        stop: Handed to each round.
        run: `trial.run_trial`, or what stands for it: never raises, and writes the record of the round.
        reporter: By the number of the round.
    """
    record = Record(spec.record_dir)
    is_first = rank_of_process() == 0
    rounds = rounds_of(spec.config)
    done: list[_Done] = []
    fit_seconds = 0.0
    for each in rounds:
        part = record.round(each.index)
        result = part.read_result() if part.spec_path.exists() else None
        if result is None or result.state is not TrialState.COMPLETE:
            round_spec = _spec_of(spec, each, part)
            if is_first:
                Record.create(round_spec)
                part.result_path.unlink(missing_ok=True)  # of an attempt that failed or was stopped
            result = run(round_spec, stop)
            fit_seconds += result.fit_seconds
        if not is_first:  # it has no score, and takes part until rank 0 is done: then its worker ends it
            if result.state is not TrialState.COMPLETE:
                return result
            continue
        if result.state is not TrialState.COMPLETE or result.value is None:
            return _combined(spec, record, done, ended=_named(result, each), fit_seconds=fit_seconds)
        done.append(_Done(part, result))
        scores = [one.result.value for one in done if one.result.value is not None]
        prune = reporter.report(each.index, reported(scores, str(spec.pruner.get("name", ""))))
        if prune and each is not rounds[-1]:
            pruned = TrialResult(state=TrialState.PRUNED)
            return _combined(spec, record, done, ended=pruned, fit_seconds=fit_seconds)
    return _combined(spec, record, done, ended=TrialResult(state=TrialState.COMPLETE), fit_seconds=fit_seconds)


def _spec_of(spec: TrialSpec, each: Round, part: Record) -> TrialSpec:
    """A round runs to its end by itself: the trial alone is reported."""
    return spec.with_(
        config=each.config,
        seed=each.config["seed"],
        record_dir=str(part.path),
        storage="",
        pruner={},
        stop_after=None,
        tags={each.kind: str(each.value)},
    )


def _named(result: TrialResult, each: Round) -> TrialResult:
    return replace(result, message=f"{each.label}: {result.message}" if result.message else "")


def _combined(
    spec: TrialSpec, record: Record, done: Sequence[_Done], *, ended: TrialResult, fit_seconds: float
) -> TrialResult:
    """The trial's result, from its finished rounds and how it ended. One that goes on later has no curves yet."""
    result = TrialResult(
        state=ended.state,
        failure=ended.failure,
        message=ended.message,
        attempt=spec.attempt,
        fit_seconds=fit_seconds,
    )
    scores = [one.result.value for one in done if one.result.value is not None]
    if not scores or ended.state is TrialState.INTERRUPTED:
        return result
    curves = mean_curves([one.record.curves() for one in done])
    _write_curves(record, curves, attempt=spec.attempt)
    _write_predictions(record, [one.record for one in done])
    best = min(done, key=lambda one: _badness(spec, one.result))
    return replace(
        result,
        value=None if ended.state is TrialState.FAILED else fmean(scores),
        scores=scores,
        summaries=_summaries(spec, curves, [one.result for one in done], scores),
        facts={**best.result.facts, **_scored_images(spec, done), "best_round": int(best.record.path.name)},
    )


def _scored_images(spec: TrialSpec, done: Sequence[_Done]) -> JSON:
    """How many images the mean of folds rests on: all that they validated on. Seeds share theirs."""
    numbers = [one.result.facts.get("num_val_images") for one in done]
    if fold_of(spec.config) is None or not all(numbers):
        return {}
    return {"num_scored_images": sum(numbers)}


def _summaries(
    spec: TrialSpec, curves: Mapping[str, Sequence[float]], results: Sequence[TrialResult], scores: Sequence[float]
) -> dict[str, float]:
    """Those of the mean curves; what each round has at its own best epoch is the mean of that."""
    found = summarize(curves, spec.objective)
    own = tuple(f"best/{name.replace('/', '_')}" for name in BEST)
    for name in (*own, *map(summary_name, spec.objective.looked_at)):
        values = [result.summaries[name] for result in results if name in result.summaries]
        found.pop(name, None)
        if len(values) == len(results):
            found |= {name: fmean(values), **(_std(f"{name}_std", values) if name in own else {})}
    if SECONDS in found:  # of a trial it is what all of its rounds took
        found[SECONDS] *= len(results)
    found |= _std("objective_std", scores)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _std(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: stdev(values)} if len(values) > 1 else {}


def _badness(spec: TrialSpec, result: TrialResult) -> float:
    value = math.inf if result.value is None else result.value
    return -value if spec.objective.direction == "maximize" else value


def _write_curves(record: Record, curves: Mapping[str, Sequence[float]], *, attempt: int) -> None:
    num_epochs = max(map(len, curves.values()), default=0)
    for epoch in range(num_epochs):
        metrics = {name: curve[epoch] for name, curve in curves.items() if epoch < len(curve)}
        record.append_metrics(epoch, metrics, attempt=attempt)


def _write_predictions(record: Record, rounds: Sequence[Record]) -> None:
    """All rounds' predictions in one: of folds, each image by the network that did not train on it."""
    found = [Predictions.read(each.predictions_path) for each in rounds]
    if all(found):
        Predictions.joined([each for each in found if each]).write(record.predictions_path)
