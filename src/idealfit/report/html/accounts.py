"""What the study cost and what got lost: epochs that pruning saved, and failures by cause."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

from idealfit.report.html.reading import StudyData, TrialData
from idealfit.spec import FailureKind, TrialState

CURES: dict[FailureKind, str] = {
    FailureKind.OOM: "A smaller batch, a narrower model, or fewer slots.",
    FailureKind.NAN: "A lower upper bound of the learning rate, or trainer.gradient_clip_val.",
    FailureKind.TIMEOUT: "A longer engine.timeout_s, or fewer epochs.",
    FailureKind.PREEMPTED: "Nothing to mend: resume the study.",
    FailureKind.KILLED: "Look for the kernel's out-of-memory killer; use fewer slots.",
    FailureKind.DATA: "Mend or remove the file that the message names.",
    FailureKind.INPUT: "Mend the config or the space as the message says.",
    FailureKind.BUG: "Read the log; the last lines name the place.",
}


@dataclass(frozen=True, kw_only=True)
class Savings:
    """Epochs of finished trials, trained and not.

    Attributes:
        planned: Epochs that all complete and pruned trials would have trained at full length.
        trained: Epochs that they trained.
        pruned: Epochs not trained because the pruner stopped the trial.
        stopped: Epochs not trained because early stopping ended the trial.
        seconds: What the pruned epochs would have taken, at each trial's own pace.
        steps: (epochs, trials that trained for longer), at each number of epochs after which a trial stopped.
    """

    planned: int
    trained: int
    pruned: int
    stopped: int
    seconds: float
    num_pruned_trials: int
    num_trials: int
    steps: tuple[tuple[int, int], ...]

    @property
    def share(self) -> float:
        """The pruned share of all planned epochs."""
        return self.pruned / self.planned if self.planned else 0.0


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Failures with the same cause and, but for numbers in it, the same message."""

    kind: str
    message: str
    trials: tuple[int, ...]
    cure: str
    log_path: str


def count_savings(study: StudyData) -> Savings:
    """Count what the pruner and early stopping left untrained; failed and running trials are left out."""
    pruned = [t for t in study.trials if t.state is TrialState.PRUNED]
    complete = [t for t in study.trials if t.state is TrialState.COMPLETE]
    trials = pruned + complete
    lengths = sorted(t.row.num_epochs for t in trials)
    return Savings(
        planned=sum(t.max_epochs for t in trials),
        trained=sum(t.row.num_epochs for t in trials),
        pruned=sum(_untrained(t) for t in pruned),
        stopped=sum(_untrained(t) for t in complete),
        seconds=sum(_untrained(t) * _epoch_seconds(t) for t in pruned),
        num_pruned_trials=len(pruned),
        num_trials=len(trials),
        steps=tuple((length, len(lengths) - bisect_right(lengths, length)) for length in sorted({0, *lengths})),
    )


def group_failures(study: StudyData) -> list[FailureGroup]:
    """Failures by cause and message, the commonest first."""
    groups: dict[tuple[str, str], list[TrialData]] = defaultdict(list)
    for trial in sorted(study.trials, key=lambda t: t.number):
        if trial.state is TrialState.FAILED:
            kind = trial.row.failure.value if trial.row.failure else "unknown"
            groups[kind, _without_numbers(trial.row.message)].append(trial)
    found = [
        FailureGroup(
            kind=kind,
            message=trials[0].row.message or "(no message)",
            trials=tuple(t.number for t in trials),
            cure=CURES.get(trials[0].row.failure, "") if trials[0].row.failure else "",
            log_path=trials[0].log_path,
        )
        for (kind, _), trials in groups.items()
    ]
    return sorted(found, key=lambda group: (-len(group.trials), group.kind))


def _untrained(trial: TrialData) -> int:
    return trial.max_epochs - trial.row.num_epochs


def _epoch_seconds(trial: TrialData) -> float:
    return trial.row.seconds / trial.row.num_epochs if trial.row.num_epochs else 0.0


def _without_numbers(message: str) -> str:
    return re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "#", message.strip(), flags=re.IGNORECASE)[:300]
