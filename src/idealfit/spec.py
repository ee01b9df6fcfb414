"""The vocabulary: the types that cross every boundary, and the errors users see.

Standard library only, so that `--help`, the Hydra plugin and any reader of a record can import it for nothing.
Everything here that reaches a disk or another process is plain JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self

from idealfit.objective import Direction as Direction
from idealfit.objective import EpochChoice as EpochChoice
from idealfit.objective import Objective as Objective
from idealfit.objective import known_fields as known_fields
from idealfit.text import nearest as nearest
from idealfit.text import printable, shortened
from idealfit.text import redacted as redacted

JSON = dict[str, Any]

PRETRAIN_ERRORS = "pretrain_errors"  # among a result's facts: by layer, an error an epoch of its pre-training
Params = dict[str, bool | int | float | str | None]


class TrialState(StrEnum):
    """Where a trial stands. PRUNED maps to MLflow's KILLED plus a tag."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # stopped on request, resumable from its last checkpoint

    @property
    def is_finished(self) -> bool:
        """Whether the trial will never run again."""
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


class FailureKind(StrEnum):
    """Why an attempt failed; decides whether it is retried."""

    OOM = "oom"
    NAN = "nan"
    TIMEOUT = "timeout"
    PREEMPTED = "preempted"
    KILLED = "killed"
    DATA = "data"
    INPUT = "input"  # the user's input is wrong: a UserError raised in the worker
    BUG = "bug"


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """Everything a worker needs to run one attempt of one trial. Plain JSON.

    Attributes:
        config: The resolved tree of the training run (seed, data, model, optimizer, ...); no study, engine or tracking.
        params: The searched values, by dotted key.
        record_dir: Absolute path of the trial's record.
        storage: Where intermediate values are reported; "" for a run outside a study.
        trusted_packages: Packages whose `_target_` may be built. Never read back from a record.
        working_dir: Put on `sys.path`, so that a user's own modules import.
        num_threads: CPU threads of each process of this attempt; None leaves the library's default.
        num_ranks: Processes that train it together, one for each of its devices.
        device_indices: Accelerator devices dealt to this attempt; None means all that there are.
        provenance: Hash of what the run depended on, under which its study keeps it; "" where nothing was collected.
        stop_after: End, as pruned, after this many epochs, or rounds where the protocol has several; None goes on to
            the end of the config.
        tags: More tags of the run in MLflow.
        derived: Values that follow from `params`, by dotted key, and the seeds of a replicate.
        replicate_of: The first trial of the same point, from which this one differs by its seed alone.
        refit: Train on the validation images too, and keep the last weights, for no image is left to choose them by.
    """

    study: str
    number: int
    config: JSON
    record_dir: str
    attempt: int = 0
    seed: int = 0
    objective: Objective = field(default_factory=Objective)
    params: Params = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    storage: str = ""
    pruner: JSON = field(default_factory=dict)
    trusted_packages: list[str] = field(default_factory=list)
    working_dir: str = "."
    num_threads: int | None = None
    num_ranks: int = 1
    device_indices: list[int] | None = None
    provenance: str = ""
    stop_after: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    derived: Params = field(default_factory=dict)
    replicate_of: int | None = None
    refit: bool = False

    @property
    def label(self) -> str:
        """`STUDY/NUMBER`, the name users type."""
        return f"{self.study}/{self.number}"

    def to_json(self) -> JSON:
        """Plain JSON; `from_json` reads it back."""
        return asdict(self) | {"objective": self.objective.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; unknown keys of a newer version are ignored."""
        known = known_fields(cls, data)
        known["objective"] = Objective.from_json(known.get("objective", {}))
        return cls(**known)

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What came out of one attempt. Plain JSON.

    Attributes:
        value: The objective's score; None where there is none (failed, interrupted).
        summaries: Scalars logged once: `best/val_accuracy`, `overfit/onset_epoch`, ...
        facts: Other findings, e.g. number of parameters, data fingerprint, image shape.
        num_epochs: Epochs finished, over all attempts.
        num_restarts: Attempts that were made because the one before failed for a passing cause.
        scores: Of each finished round, where the protocol has several (folds, seeds): `value` is their mean.
        fit_seconds: Seconds inside `fit` in this attempt.
    """

    state: TrialState
    value: float | None = None
    failure: FailureKind | None = None
    message: str = ""
    summaries: dict[str, float] = field(default_factory=dict)
    facts: JSON = field(default_factory=dict)
    num_epochs: int = 0
    fit_seconds: float = 0.0
    attempt: int = 0
    num_restarts: int = 0
    scores: list[float] = field(default_factory=list)

    def to_json(self) -> JSON:
        """Plain JSON; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; unknown keys of a newer version are ignored."""
        known = known_fields(cls, data)
        known["state"] = TrialState(known["state"])
        known["failure"] = FailureKind(known["failure"]) if known.get("failure") else None
        return cls(**known)


class Reporter(Protocol):
    """How a running trial tells the world its progress, once an epoch, on rank 0 only."""

    def report(self, epoch: int, value: float) -> bool:
        """Report the objective's raw value after `epoch` (from 0); True means: prune now."""
        ...


class SilentReporter:
    """Reports nowhere and never prunes."""

    def report(self, epoch: int, value: float) -> bool:
        """Ignore the value."""
        return False


class StopSignal(Protocol):
    """Asks a running trial to checkpoint and stop; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether to stop at the next safe moment."""
        ...


Work = Callable[[TrialSpec, StopSignal], TrialResult]
"""What an engine executes, a module-level function: usually `trial.run_trial`."""


class Engine(Protocol):
    """Executes attempts. `submit` never blocks and never raises for what the work does: a crash is a FAILED result."""

    @property
    def num_slots(self) -> int:
        """How many attempts run at once."""
        ...

    def submit(self, work: Work, spec: TrialSpec, *, timeout_s: float | None = None) -> Future[TrialResult]:
        """Run `work(spec, stop)` in a free slot; more than `num_slots` wait in order."""
        ...

    def stop(self) -> None:
        """Ask every running attempt to checkpoint and stop (its result is INTERRUPTED); forget the waiting ones."""
        ...

    def kill(self) -> None:
        """End every running attempt at once."""
        ...

    def close(self) -> None:
        """Free all resources; afterwards no process is left."""
        ...


class IdealfitError(Exception):
    """Base of all errors that idealfit raises on purpose."""


class UserError(IdealfitError, ValueError):
    """The user's input is wrong: exit code 2, one message (what, what was got, what to do), no traceback."""

    def __init__(self, message: str = "") -> None:
        # It quotes what was got: no credential gets any further, no endless value, nothing that commands a terminal.
        super().__init__("\n".join(printable(shortened(line)) for line in redacted(message).split("\n")))


class ConfigError(UserError):
    """A config cannot be composed or does not fit together."""


class SpaceError(UserError):
    """A search space is empty, contradictory or misspelt."""


class DataError(UserError):
    """A data set is missing, empty or unreadable."""


class TrustError(UserError):
    """A `_target_` that nobody trusted."""


class TrackingError(UserError):
    """The tracking store cannot be reached."""


class StudyError(UserError):
    """A study cannot be started, found or resumed."""


class QuestionChangedError(StudyError):
    """A study exists under this name, and asked another question."""


class NonFiniteLossError(IdealfitError):
    """The training loss became NaN or infinite."""


def sha256_of(data: Any) -> str:
    """Hash of any JSON value, independent of key order."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def record_path(runs_dir: str | Path, study: str, number: int) -> Path:
    """Where the record of a trial lies: `RUNS_DIR/STUDY/NUMBER`, absolute."""
    return Path(runs_dir).expanduser().resolve() / study / str(number)


def attempt_log_path(record_dir: str | Path, attempt: int) -> Path:
    """Where the output of one attempt goes. Here because engines write it and records own it, on the same floor."""
    return Path(record_dir) / "attempts" / f"{attempt}.log"
