"""The files of a study's records, each read once; what is damaged is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from idealfit.record import MetricRow, Record, iter_records
from idealfit.report.html.attempts import Times
from idealfit.spec import StudyError, TrialResult, TrialSpec, TrialState


@dataclass(frozen=True)
class RecordFiles:
    """What the files of one record hold."""

    record: Record
    spec: TrialSpec
    result: TrialResult | None
    rows: Sequence[MetricRow]

    @property
    def number(self) -> int:
        """The trial's; its folder says so, whatever the files in it do."""
        return int(self.record.path.name)

    @cached_property
    def times(self) -> Times:
        """What tells when it ran; of a trial of rounds, the epochs of all of them."""
        rows = [row for each in self.record.rounds() for row in each.read_metrics()] or self.rows
        return Times(spec=self.spec, result=self.result, rows=rows, record=self.record)

    def check_types(self) -> None:
        """A record may be anybody's: what is not of its type ends here."""
        spec, result = self.spec, self.result or TrialResult(state=TrialState.RUNNING)
        expected: list[tuple[Any, type | tuple[type, ...]]] = [
            (spec.study, str), (spec.params, dict), (spec.config, dict), (spec.attempt, int), (result.attempt, int),
            (result.message, str), (result.facts, dict), (result.summaries, dict), (result.num_epochs, int),
            (result.fit_seconds, (int, float)), (result.value, (int, float, type(None))),
        ]  # fmt: skip
        for value, of in expected:
            if not isinstance(value, of):
                raise TypeError(f"{str(value)[:60]!r} is not of the type that belongs there")


def read_records(study_dir: Path) -> tuple[list[RecordFiles], list[str]]:
    """All that can be read, and what is wrong with each that can't."""
    parts, damaged = [], []
    for record in iter_records(study_dir.parent, study_dir.name):
        try:
            part = RecordFiles(record, record.read_spec(), record.read_result(), record.read_metrics())
            part.check_types()
            parts.append(part)
        except (StudyError, TypeError) as error:
            damaged.append(f"trial {record.path.name}: {error}")
    return parts, damaged
