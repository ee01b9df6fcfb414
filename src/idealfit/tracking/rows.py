"""The lines of metrics.jsonl: which of them are to be sent, and which of them count."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idealfit.spec import JSON, PRETRAIN_ERRORS

TIMINGS = ("epoch_seconds", "samples_per_second")
MAX_EPOCHS = 1_000_000  # as the record has it
MAX_TIME_S = 2**50  # milliseconds that every store can keep


@dataclass(frozen=True, slots=True)
class Row:
    """One line of metrics.jsonl. `time` in seconds since 1970."""

    epoch: int
    time: float
    metrics: dict[str, float]

    @property
    def time_ms(self) -> int:
        """The time stamp as MLflow keeps it: sent twice, a row lands on itself."""
        return round(self.time * 1000)


def read_rows(path: Path, offset: int = 0) -> tuple[list[Row], int]:
    """The whole lines of `path` from byte `offset` on, and where they end; torn lines are left out."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], 0
    end = data.rfind(b"\n") + 1
    return list(_parse(data[:end])), offset + end


def _parse(data: bytes) -> Iterator[Row]:
    for line in data.splitlines():
        try:
            row = json.loads(line)
            metrics = {str(name): float(value) for name, value in row["metrics"].items()}
            epoch, time_s = int(row["epoch"]), float(row["time"])
            if 0 <= epoch < MAX_EPOCHS and 0 <= time_s < MAX_TIME_S:
                yield Row(epoch, time_s, metrics)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            continue


def first_rows(rows: list[Row], last_epoch: int = -1) -> list[Row]:
    """The rows that go beyond all epochs before them."""
    first: list[Row] = []
    for row in rows:
        if row.epoch > last_epoch:
            first.append(row)
            last_epoch = row.epoch
    return first


def rows_that_count(rows: list[Row]) -> list[Row]:
    """A repeated epoch replaces its earlier row and all later ones: the rule of the record."""
    final: list[Row] = []
    for row in rows:
        while final and final[-1].epoch >= row.epoch:
            final.pop()
        final.append(row)
    return final


def essence(row: Row) -> tuple[int, str]:
    """A row without what differs between any two executions; as text, for NaN does not equal itself."""
    return row.epoch, repr(sorted((name, value) for name, value in row.metrics.items() if name not in TIMINGS))


def pretrain_rows(facts: JSON, time: float) -> list[Row]:
    """How the layers were pre-trained, where they were: `pretrain/error_1` of the first, by epoch of its own."""
    layers = enumerate(facts.get(PRETRAIN_ERRORS, []), start=1)
    return [
        Row(epoch, time, {f"pretrain/error_{layer}": error})
        for layer, errors in layers
        for epoch, error in enumerate(errors)
    ]
