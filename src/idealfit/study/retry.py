"""Which failures are worth another attempt, and how it differs from the one that failed."""

from __future__ import annotations

from copy import deepcopy

from idealfit.spec import FailureKind, TrialResult, TrialSpec, TrialState

TRANSIENT = frozenset({FailureKind.OOM, FailureKind.PREEMPTED, FailureKind.KILLED})
"""Causes outside the trial: another attempt, from its checkpoint, may well succeed.

`nan` is a bad point of the space; `timeout` has had its time; `data`, `input` and `bug` would fail again.
"""


def next_attempt(spec: TrialSpec, result: TrialResult, *, max_restarts: int) -> TrialSpec | None:
    """The spec of the attempt to make after a failure; None: the failure stands.

    A trial that ran out of memory goes on with its batches in halves: gradients are accumulated, so that the effective
    batch size, and with it the trial, stays what it was.
    """
    if result.state is not TrialState.FAILED or result.failure not in TRANSIENT or result.num_restarts >= max_restarts:
        return None
    if result.failure is not FailureKind.OOM:
        return spec.with_(attempt=spec.attempt + 1)
    num_parts = 2 * spec.config["trainer"]["accumulate_grad_batches"]
    if num_parts * spec.num_ranks > spec.config["data"]["batch_size"]:
        return None
    config = deepcopy(spec.config)
    config["trainer"]["accumulate_grad_batches"] = num_parts
    return spec.with_(attempt=spec.attempt + 1, config=config)
