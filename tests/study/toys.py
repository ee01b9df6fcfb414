"""Work that takes milliseconds instead of training, for the logic of the loop alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

from idealfit.record import Record
from idealfit.spec import FailureKind, StopSignal, TrialResult, TrialSpec, TrialState


def score(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Two epochs; the value is -|lr - 0.01|."""
    value = -abs(float(spec.config["optimizer"]["lr"]) - 0.01)
    return _end(spec, TrialResult(state=TrialState.COMPLETE, value=value, num_epochs=2))


def takes_three_seconds(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Says so, at least."""
    return _end(spec, TrialResult(state=TrialState.COMPLETE, value=0.5, num_epochs=2, fit_seconds=3.0))


def bug(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Always the same bug."""
    return _end(
        spec, TrialResult(state=TrialState.FAILED, failure=FailureKind.BUG, message="ZeroDivisionError: 1/0\nline 2")
    )


def nan(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Diverges."""
    return _end(spec, TrialResult(state=TrialState.FAILED, failure=FailureKind.NAN, message="loss is nan"))


def prune_odd(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Every second trial is pruned."""
    state = TrialState.PRUNED if spec.number % 2 else TrialState.COMPLETE
    return _end(spec, TrialResult(state=state, value=0.5, num_epochs=1))


def until_stopped(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Trial 0 completes, every other one waits for the stop."""
    if spec.number == 0 or spec.attempt > 0:
        return score(spec, stop)
    Record(spec.record_dir).append_metrics(0, {"val/accuracy": 0.1}, attempt=spec.attempt)
    while not stop.is_set():
        time.sleep(0.01)
    return _end(spec, TrialResult(state=TrialState.INTERRUPTED, num_epochs=1, attempt=spec.attempt))


def die(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Kill the whole controller from inside trial 2, as a power cut would."""
    if spec.number == 2 and spec.attempt == 0:
        Path(spec.record_dir, "started").touch()
        os._exit(9)
    return score(spec, stop)


def killed_twice(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Trial 1 is killed in its first two attempts."""
    if spec.number == 1 and spec.attempt < 2:
        return _end(spec, TrialResult(state=TrialState.FAILED, failure=FailureKind.KILLED, message="SIGKILL"))
    return score(spec, stop)


def out_of_memory(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Fits in memory in quarters of a batch only."""
    if spec.config["trainer"]["accumulate_grad_batches"] < 4:
        return _end(spec, TrialResult(state=TrialState.FAILED, failure=FailureKind.OOM, message="out of memory"))
    return score(spec, stop)


def _end(spec: TrialSpec, result: TrialResult) -> TrialResult:
    Record(spec.record_dir).append_metrics(0, {"val/accuracy": 0.5}, attempt=spec.attempt)
    Record(spec.record_dir).write_result(result)
    return result
