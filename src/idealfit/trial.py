"""One attempt of one trial, in the worker: fit, record, report, and say what came of it.

Nothing heavy is imported here at the top: a controller imports these functions to submit them, and never runs them.
"""

from __future__ import annotations

import errno
import math
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from idealfit.collector import collector_paused
from idealfit.engines.failures import crashed, failed, interrupted, lost_rank
from idealfit.engines.worker import make_importable, rank_of_process
from idealfit.objective import constants_of
from idealfit.protocol import num_rounds
from idealfit.record import Record
from idealfit.spec import (
    DataError,
    FailureKind,
    NonFiniteLossError,
    Reporter,
    SilentReporter,
    StopSignal,
    TrialResult,
    TrialSpec,
    TrialState,
    UserError,
    redacted,
)

if TYPE_CHECKING:
    from idealfit.train import FitResult

_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "interrupted": TrialState.INTERRUPTED}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# gloo and torch's store raise plain errors.
_RANK_IS_LATE = ("Timed out waiting", "wait timeout after")
_RANK_IS_LOST = ("gloo/transport/", "Connection closed by peer", "Connection reset by peer", "NCCL error")
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "_STATUS_ALLOC_FAILED")


def run_trial(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Train the trial of `spec`, from its last checkpoint where there is one. Never raises.

    Where several ranks train it, this runs in each of them; rank 0 alone records and reports.
    The record has the spec, the metrics as they come, and the result once this returns. A trial that is stopped is
    INTERRUPTED and resumable; a pruned one keeps the value that it had reached.
    """
    record = Record(spec.record_dir)
    is_first = rank_of_process() == 0
    started = time.perf_counter()
    try:
        make_importable(spec)
        if is_first and not record.spec_path.exists():
            Record.create(spec)
        result = _fit(spec, stop, record) if num_rounds(spec.config) == 1 else _fit_rounds(spec, stop)
    except BaseException as error:  # noqa: BLE001 - whatever a user's net raises is a result
        result = replace(classified(spec, error), fit_seconds=time.perf_counter() - started)
    return kept(record, result) if is_first else result


def kept(record: Record, result: TrialResult) -> TrialResult:
    """Write the result of an attempt into its record; returns it with what only the record knows."""
    try:
        result = replace(result, num_epochs=record.num_epochs)
        record.write_result(result)
    except OSError as error:  # a full disk: the controller gets the result all the same, and tries again
        result = replace(result, message=f"{result.message}\nThe record could not be written: {error}".strip())
    return result


def check_trial(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Open the data and build every part of the trial without training. Never raises, and writes no record.

    What is found is in `facts`; wrong input is FAILED with the failure INPUT and the whole message.
    """
    try:
        with collector_paused():
            from idealfit.provenance import used_code
            from idealfit.train import preflight

        make_importable(spec)
        facts = preflight(spec.config, objective=spec.objective, trusted_packages=spec.trusted_packages)
        facts["code"] = used_code(spec.config)
        return TrialResult(state=TrialState.COMPLETE, facts=facts, attempt=spec.attempt)
    except UserError as error:
        return failed(spec, FailureKind.INPUT, str(error))
    except BaseException as error:  # noqa: BLE001 - whatever a user's net raises is a result
        return classified(spec, error)


def _fit(spec: TrialSpec, stop: StopSignal, record: Record) -> TrialResult:
    from idealfit.train import fit

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:  # on rank 0 only
        record.append_metrics(epoch, metrics, attempt=spec.attempt)

    with reporting(spec) as reporter:
        fitted = fit(
            spec.config,
            objective=spec.objective,
            reporter=reporter,
            stop=stop,
            on_epoch=on_epoch,
            checkpoint_dir=record.checkpoint_dir,
            trusted_packages=spec.trusted_packages,
            num_threads=spec.num_threads,
            refit=spec.refit,
        )
    if rank_of_process() > 0:
        return TrialResult(state=_STATES[fitted.outcome], attempt=spec.attempt)
    return result_of(spec, record, fitted)


def result_of(spec: TrialSpec, record: Record, fitted: FitResult) -> TrialResult:
    """What a fit came to: score, summaries, facts.

    Raises:
        UserError: The objective's metric was never logged.
    """
    from idealfit.overfit import summarize

    if fitted.predictions:
        fitted.predictions.write(record.predictions_path)
    curves = record.curves()  # those of earlier attempts go on in them
    constants = constants_of(fitted.facts)
    summaries = summarize(curves, spec.objective, constants) if curves else {}
    result = TrialResult(
        state=_STATES[fitted.outcome],
        summaries={name: value for name, value in summaries.items() if math.isfinite(value)},
        facts=fitted.facts,
        fit_seconds=fitted.fit_seconds,
        attempt=spec.attempt,
    )
    return result if result.state is TrialState.INTERRUPTED else _scored(spec, result, curves, constants)


def _fit_rounds(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    from idealfit.rounds import run_rounds

    with reporting(spec) as reporter:
        return run_rounds(spec, stop, run=run_trial, reporter=reporter)


def _scored(
    spec: TrialSpec, result: TrialResult, curves: dict[str, list[float]], constants: dict[str, float]
) -> TrialResult:
    objective = spec.objective
    if missing := objective.missing(curves, constants):
        logged = ", ".join(sorted(curves))
        raise UserError(f"study.objective needs {', '.join(missing)}, never logged. The task logs: {logged}.")
    try:
        value = objective.score(objective.curve(curves, constants))
        if objective.values(value, result.summaries) is None:
            raise ValueError(f"{', '.join(objective.asked)}: one is not finite at the epochs that count")
        return replace(result, value=value)
    except ValueError as error:
        if result.state is TrialState.PRUNED:
            return result
        return replace(result, state=TrialState.FAILED, failure=FailureKind.NAN, message=str(error))


@contextmanager
def reporting(spec: TrialSpec) -> Iterator[Reporter]:
    """Whom the trial of `spec` reports to."""
    if not spec.storage or spec.objective.others or rank_of_process() > 0:  # Optuna takes no epochs of several goals
        yield SilentReporter() if spec.stop_after is None else _StopAfter(spec.stop_after)
        return
    from idealfit.pruning import StorageReporter

    with closing(StorageReporter(spec)) as reporter:
        yield reporter


class _StopAfter:
    """Prunes at a given length, as a pruner did when the trial ran first."""

    def __init__(self, num_epochs: int) -> None:
        self._num_epochs = num_epochs

    def report(self, epoch: int, value: float) -> bool:
        return epoch + 1 >= self._num_epochs


def classified(spec: TrialSpec, error: BaseException) -> TrialResult:
    """The result of an attempt that `error` ended."""
    if isinstance(error, KeyboardInterrupt):
        return interrupted(spec)
    for link in _causes(error):
        if isinstance(link, OSError) and link.errno in _NO_ROOM:  # no fault of the trial: it goes on when there is room
            return replace(interrupted(spec), message=f"{spec.record_dir}: {link.strerror}")
        if spec.num_ranks > 1 and (others := _failure_of_others(spec, link)):
            return others
    failure = _failure_of(error)
    if failure is None:
        return crashed(spec, error)
    if failure is FailureKind.OOM:
        traceback.print_exception(error)
    message = redacted(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
    print(message, file=sys.stderr, flush=True)
    return failed(spec, failure, message)


def _failure_of_others(spec: TrialSpec, error: BaseException) -> TrialResult | None:
    """The result of a rank that waited in vain for another one; None where `error` is its own."""
    if any(words in str(error) for words in _RANK_IS_LATE):
        from idealfit.train.parts import trainer_config

        seconds = trainer_config(spec.config).rank_timeout_s
        late = f"another device's process was waited for longer than {seconds:g} s"
        return failed(spec, FailureKind.TIMEOUT, f"{late} (trainer.rank_timeout_s): {redacted(str(error))}")
    return lost_rank(spec, error) if any(words in str(error) for words in _RANK_IS_LOST) else None


def _failure_of(error: BaseException) -> FailureKind | None:
    """The cause of a failure, None for a bug. Memory comes first: running out of it takes many shapes."""
    if any(is_out_of_memory(link) for link in _causes(error)):
        return FailureKind.OOM
    kinds = {NonFiniteLossError: FailureKind.NAN, DataError: FailureKind.DATA, UserError: FailureKind.INPUT}
    for link in _causes(error):
        for kind, failure in kinds.items():  # DataError is a UserError: it stands before it
            if isinstance(link, kind):
                return failure
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the machine or of a device."""
    # By name and text, for torch reports it as a plain RuntimeError on a CPU and where cuBLAS or cuDNN ask for memory.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
