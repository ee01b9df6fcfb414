"""What a study in progress looks like, for displays: the loop writes it, a display reads it from its own thread."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from idealfit.protocol import num_rounds
from idealfit.record import Record
from idealfit.spec import Objective, Params, TrialSpec, TrialState
from idealfit.study.outcome import TrialRow, rank, winner
from idealfit.text import printable


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A trial that holds a slot."""

    number: int
    slot: int | None  # None: seen from outside, where nobody knows
    params: Params
    record: Record
    max_epochs: int
    started: float = field(default_factory=time.monotonic)

    def latest(self, metric: str) -> tuple[int, float | None]:
        """Epochs finished and the newest value of `metric`, read from the record."""
        rounds = self.record.rounds()
        rows = (rounds[-1] if rounds else self.record).read_metrics()
        before = sum(each.num_epochs for each in rounds[:-1])
        return before + len(rows), rows[-1].metrics.get(metric) if rows else None


class Progress:
    """Counts, running trials and the best so far."""

    def __init__(self, *, name: str, question: str, objective: Objective, budget_trials: int, num_slots: int) -> None:
        self.name = name
        self.question = question
        self.objective = objective
        self.budget_trials = budget_trials
        self.num_slots = num_slots
        self.running: dict[int, RunningTrial] = {}
        self._numbers: set[int] = set()
        self.rows: list[TrialRow] = []
        self._best: TrialRow | None = None
        self.phase = "starting"
        self._started = time.monotonic()
        self._num_before = 0

    def begin(self, rows: list[TrialRow], *, num_new: int = 0, seconds: float = 0.0) -> None:
        """Start the clock of the trials.

        Args:
            rows: What is finished, of earlier sessions too.
            num_new: How many of them this session finished: none, unless one looks at it from outside.
            seconds: How long it has been going on.
        """
        self.rows = [row for row in rows if row.state.is_finished]
        self._numbers = {row.number for row in self.rows}
        self._best = winner(rank(self.rows, self.objective))
        self._num_before = len(self.rows) - num_new
        self._started = time.monotonic() - seconds
        self.phase = "running"

    def start(self, spec: TrialSpec, record: Record) -> None:
        """A trial takes the first free slot."""
        taken = {trial.slot for trial in self.running.values()}
        self.running[spec.number] = RunningTrial(
            number=spec.number,
            slot=next(slot for slot in range(len(taken) + 1) if slot not in taken),
            params=spec.params,
            record=record,
            max_epochs=spec.stop_after or num_rounds(spec.config) * spec.config["trainer"]["max_epochs"],
        )

    def running_now(self) -> list[RunningTrial]:
        """A copy, for a display's own thread."""
        return list(self.running.values())

    def add(self, row: TrialRow) -> None:
        """A trial ended; one that an earlier controller could not tell any more may be here already."""
        contenders = [row] if self._best is None else [self._best, row]
        if row.number in self._numbers:
            self.rows = contenders = [other for other in self.rows if other.number != row.number] + [row]
        else:
            self._numbers.add(row.number)
            self.rows.append(row)
        self._best = winner(rank(contenders, self.objective))

    @property
    def best(self) -> TrialRow | None:
        """The best trial so far."""
        return self._best

    @property
    def num_new(self) -> int:
        """Trials finished in this session."""
        return len(self.rows) - self._num_before

    def count(self, state: TrialState) -> int:
        """How many finished trials are in a state."""
        return sum(row.state is state for row in self.rows)

    def now(self) -> float:
        """The clock that `RunningTrial.started` is read on."""
        return time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the first trial was asked."""
        return self.now() - self._started

    @property
    def eta_s(self) -> float | None:
        """Seconds until the trial budget is used up, from this session's pace; None before the first trial ended."""
        return (self.budget_trials - len(self.rows)) * self.seconds / self.num_new if self.num_new else None


class Display(Protocol):
    """Shows a study in progress. Every method returns at once."""

    def open(self, progress: Progress) -> None:
        """Show this study from now on."""
        ...

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def finished(self, row: TrialRow, progress: Progress) -> None:
        """A trial ended."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def value_text(row: TrialRow) -> str:
    """`0.9812`, or `0.9812 ± 0.0011`: mean and standard deviation of its folds or seeds; "" without a score."""
    if row.value is None:
        return ""
    return f"{row.value:.4f}" if row.std is None else f"{row.value:.4f} ± {row.std:.4f}"


def params_text(params: Mapping[str, object]) -> str:
    """`optimizer.lr=0.003 model.depth=2`: floats with four significant digits."""
    return printable(
        " ".join(
            f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()
        )
    )


def seconds_text(seconds: float) -> str:
    """`1.4 s`, `3:07`, `2:15:09`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
