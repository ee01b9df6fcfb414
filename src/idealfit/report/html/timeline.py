"""When each slot worked and when it idled, from the times that the records hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from idealfit.spec import TrialState

PAUSE_SECONDS = 60.0  # nothing at all running for longer than this: the study was stopped and resumed later


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One execution of a trial.

    Attributes:
        begin: Unix time in seconds.
        end: Unix time in seconds; of a running attempt, its last sign of life.
        num_epochs: Epochs recorded in this attempt.
    """

    trial: int
    attempt: int
    begin: float
    end: float
    state: TrialState
    num_epochs: int


@dataclass(frozen=True, kw_only=True)
class Bar:
    """An attempt as drawn: its slot, and its times in seconds of work since the study began, pauses left out."""

    attempt: Attempt
    slot: int
    begin: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Every attempt, dealt to as many slots as ran at once.

    Attributes:
        seconds: Length without pauses.
        pauses: (position on the axis, length) of each pause, in seconds.
        busy: Share of `slots * seconds` in which an attempt ran.
    """

    bars: tuple[Bar, ...]
    num_slots: int
    seconds: float
    pauses: tuple[tuple[float, float], ...]
    busy: float

    @property
    def idle_seconds(self) -> float:
        """Seconds of all slots together in which nothing ran."""
        return self.num_slots * self.seconds * (1 - self.busy)


def lay_out(attempts: Iterable[Attempt]) -> Timeline | None:
    """Deal the attempts to slots; None when none of them has a time."""
    ordered = sorted(attempts, key=lambda a: (a.begin, a.trial))
    if not ordered:
        return None
    gaps = _gaps(ordered)
    start = ordered[0].begin

    def on_axis(moment: float) -> float:
        return moment - start - sum(length for begin, length in gaps if begin < moment)

    slots = _deal(ordered)
    bars = tuple(
        Bar(attempt=a, slot=slot, begin=on_axis(a.begin), end=on_axis(a.end))
        for a, slot in zip(ordered, slots, strict=True)
    )
    seconds = max(bar.end for bar in bars)
    num_slots = max(slots) + 1
    worked = sum(bar.end - bar.begin for bar in bars)
    return Timeline(
        bars=bars,
        num_slots=num_slots,
        seconds=seconds,
        pauses=tuple((on_axis(begin), length) for begin, length in gaps),
        busy=min(1.0, worked / (num_slots * seconds)) if seconds > 0 else 1.0,
    )


def _gaps(ordered: Sequence[Attempt]) -> list[tuple[float, float]]:
    """(begin, length) of each span longer than `PAUSE_SECONDS` in which no attempt ran."""
    gaps = []
    until = ordered[0].end
    for attempt in ordered[1:]:
        if attempt.begin - until > PAUSE_SECONDS:
            gaps.append((until, attempt.begin - until))
        until = max(until, attempt.end)
    return gaps


def _deal(ordered: Sequence[Attempt]) -> list[int]:
    """A slot for each attempt: of those free at its begin the one that became free last, else a new one."""
    free_at: list[float] = []
    slots = []
    for attempt in ordered:
        free = [slot for slot, moment in enumerate(free_at) if moment <= attempt.begin]
        slot = max(free, key=lambda s: free_at[s]) if free else len(free_at)
        if slot == len(free_at):
            free_at.append(attempt.end)
        else:
            free_at[slot] = attempt.end
        slots.append(slot)
    return slots
