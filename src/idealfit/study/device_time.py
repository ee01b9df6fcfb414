"""The device seconds of a study as its records tell them: of attempts too whose controller died before they ended."""

from __future__ import annotations

from pathlib import Path

from idealfit.record import MetricRow, Record, iter_records
from idealfit.spec import JSON, TrialResult


def study_device_seconds(runs_dir: Path, study: str) -> float:
    """Seconds in training of all attempts of all trials, times their devices."""
    return sum(_device_seconds(record) for record in iter_records(runs_dir, study) if record.spec_path.exists())


def attempt_device_seconds(config: JSON, result: TrialResult) -> float:
    """Those of one attempt that ended."""
    return result.fit_seconds * int(config["trainer"]["devices"])


def _device_seconds(record: Record) -> float:
    """By the result of the last attempt; of others by their epochs, as they were noted after each."""
    seconds = _by_epochs(record)
    result = record.read_result()
    if result:  # it knows the whole of its attempt: start, validation and the epoch that it did not finish
        seconds[result.attempt] = max(seconds.get(result.attempt, 0.0), result.fit_seconds)
    return sum(seconds.values()) * int(record.read_spec().config["trainer"]["devices"])


def _by_epochs(record: Record) -> dict[int, float]:
    """By attempt, the time from the begin of its first epoch to the end of its last; of each round, together."""
    seconds: dict[int, float] = {}
    for each in record.rounds() or [record]:
        by_attempt: dict[int, list[MetricRow]] = {}
        for row in each.all_metrics():
            by_attempt.setdefault(row.attempt, []).append(row)
        for attempt, rows in by_attempt.items():
            span = rows[-1].time - rows[0].time + rows[0].metrics.get("epoch_seconds", 0.0)
            seconds[attempt] = seconds.get(attempt, 0.0) + max(0.0, span)
    return seconds
