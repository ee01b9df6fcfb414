"""When each attempt of a trial began and ended, from the times in a record and of its files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from idealfit.record import MetricRow, Record
from idealfit.report.html.timeline import Attempt
from idealfit.spec import TrialResult, TrialSpec, TrialState


@dataclass(frozen=True, kw_only=True)
class Times:
    """Where the times of a record come from."""

    record: Record
    spec: TrialSpec
    result: TrialResult | None
    rows: Sequence[MetricRow]

    @property
    def created(self) -> float:
        """When spec.json was written, by its file."""
        return self.record.spec_path.stat().st_mtime

    @property
    def ended(self) -> float:
        """When result.json was written, by its file; NaN where there is none."""
        return self.record.result_path.stat().st_mtime if self.result else math.nan


def file_times_hold(times: Sequence[Times]) -> bool:
    """Whether the times of the files are those of the run: not so when the records were copied or checked out."""
    with_rows = [t for t in times if t.rows and t.spec.attempt == 0]
    agreeing = sum(t.created <= t.rows[0].time + 1 for t in with_rows)
    return 2 * agreeing >= len(with_rows)


def attempts_of(times: Times, *, use_file_times: bool) -> tuple[Attempt, ...]:
    """The attempts of a trial in order.

    An attempt begins an epoch's length before its first row, or when its spec was written; the last one ends when the
    result was written. Epochs that a later attempt repeated are not in the record, nor an attempt that recorded none.
    """
    by_attempt: dict[int, list[MetricRow]] = {}
    for row in times.rows:
        if math.isfinite(row.time):
            by_attempt.setdefault(row.attempt, []).append(row)
    latest = times.result.attempt if times.result else times.spec.attempt
    if not by_attempt and use_file_times:
        by_attempt[latest] = []
    found: list[Attempt] = []
    for attempt, rows in by_attempt.items():
        begin, end = _span(times, attempt, rows, use_file_times)
        if found:
            begin = max(begin, found[-1].end)
        is_last = attempt == max(by_attempt)
        state = TrialState.INTERRUPTED if not is_last else times.result.state if times.result else TrialState.RUNNING
        found.append(
            Attempt(
                trial=int(times.record.path.name),
                attempt=attempt,
                begin=begin,
                end=max(begin, end),
                state=state,
                num_epochs=len(rows),
            )
        )
    return tuple(found)


def _span(times: Times, attempt: int, rows: Sequence[MetricRow], use_file_times: bool) -> tuple[float, float]:
    begin, end = times.created, times.created
    if rows:
        begin = rows[0].time - max(0.0, rows[0].metrics.get("epoch_seconds", 0.0))
        end = rows[-1].time
    if not use_file_times:
        return begin, end
    if attempt == times.spec.attempt and times.created < begin:
        begin = times.created
    if times.result and attempt == times.result.attempt and times.ended > end:
        end = times.ended
    return begin, end
