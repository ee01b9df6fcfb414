"""Results of attempts that did not come to an end of their own, with what a user needs to find out why."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

from idealfit.spec import FailureKind, TrialResult, TrialSpec, TrialState, attempt_log_path, redacted

TAIL_LINES = 20
TAIL_BYTES = 4000
LOST_RANK = "Another process of this trial was lost"


def crashed(spec: TrialSpec, error: BaseException) -> TrialResult:
    """The result of work that raised: the error, below it the end of its traceback. All of that goes to stderr."""
    text = redacted("".join(traceback.format_exception(error)))
    print(text, file=sys.stderr, flush=True)
    first = redacted(traceback.format_exception_only(error)[-1].strip())
    return failed(spec, FailureKind.BUG, f"{first}\n{_last_lines(text)}")


def died(spec: TrialSpec, exit_code: int) -> TrialResult:
    """The result of a process that ended without one. A negative `exit_code` is a signal's number."""
    if exit_code < 0:
        known = {number.value: number.name for number in signal.Signals}
        name = known.get(-exit_code, f"signal {-exit_code}")
        how = f"was ended by {name}"
        how += " (if nobody sent it, the machine ran out of memory)" if name == "SIGKILL" else ""
    else:
        how = f"left with exit code {exit_code} before its work was done"
    # SIGTERM is how schedulers take a machine back.
    failure = FailureKind.PREEMPTED if exit_code == -signal.SIGTERM else FailureKind.KILLED
    return failed(spec, failure, f"The worker {how}.{_output(spec)}")


def lost_rank(spec: TrialSpec, error: BaseException) -> TrialResult:
    """The result of a rank that waited in vain for another one, which has a better reason."""
    return failed(spec, FailureKind.KILLED, f"{LOST_RANK}: {redacted(str(error)).strip()}")


def is_lost_rank(result: TrialResult) -> bool:
    """Whether the failure is that of another rank."""
    return result.message.startswith(LOST_RANK)


def timed_out(spec: TrialSpec, timeout_s: float) -> TrialResult:
    """The result of an attempt that took too long."""
    return failed(spec, FailureKind.TIMEOUT, f"It took longer than {timeout_s:g} s and was ended.{_output(spec)}")


def interrupted(spec: TrialSpec) -> TrialResult:
    """The result of an attempt that was ended on request."""
    return TrialResult(state=TrialState.INTERRUPTED, message="Ended on request.", attempt=spec.attempt)


def failed(spec: TrialSpec, failure: FailureKind, message: str) -> TrialResult:
    """A failed result."""
    return TrialResult(state=TrialState.FAILED, failure=failure, message=message, attempt=spec.attempt)


def tail_of(path: Path) -> str:
    """The last lines of a log, "" without one."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return _last_lines(file.read().decode(errors="replace"))
    except OSError:
        return ""


def _output(spec: TrialSpec) -> str:
    path = attempt_log_path(spec.record_dir, spec.attempt)
    tail = redacted(tail_of(path))
    return f" The end of its output, {path}:\n{tail}" if tail else f" It wrote no output ({path})."


def _last_lines(text: str) -> str:
    return "\n".join(text[-TAIL_BYTES:].rstrip().splitlines()[-TAIL_LINES:])
