"""Runs side by side: what differs between their configs, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from idealfit.provenance import flattened
from idealfit.spec import TrialResult, TrialSpec


class _Absent:
    """Not there, which is not the same as null."""

    def __repr__(self) -> str:
        return "-"


ABSENT: Any = _Absent()


@dataclass(frozen=True, kw_only=True)
class RunColumn:
    """One run to compare: its name, config, and what came out of it."""

    label: str
    config: Mapping[str, Any]
    state: str = "running"
    summaries: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: TrialSpec, result: TrialResult | None) -> RunColumn:
        """From a record's spec and result; a run that has not ended has no summaries."""
        if result is None:
            return cls(label=spec.label, config=spec.config)
        return cls(label=spec.label, config=spec.config, state=str(result.state), summaries=result.summaries)


@dataclass(frozen=True)
class Row:
    """One key with its value in each run; `ABSENT` where a run does not have it."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class RunDiff:
    """The comparison: the rows of `config` differ, those of `summaries` are all that there are."""

    labels: tuple[str, ...]
    states: tuple[str, ...]
    config: tuple[Row, ...]
    summaries: tuple[Row, ...]


def diff_runs(runs: Sequence[RunColumn]) -> RunDiff:
    """Compare two runs or more; keys come in the order of the first config that has their group."""
    configs = [flattened(run.config) for run in runs]
    rows = _rows(configs)
    return RunDiff(
        labels=tuple(run.label for run in runs),
        states=tuple(run.state for run in runs),
        config=tuple(row for row in rows if any(not _is_same(value, row.values[0]) for value in row.values)),
        summaries=_rows([run.summaries for run in runs]),
    )


def _rows(columns: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    keys = list(dict.fromkeys(key for column in columns for key in column))
    groups = {group: place for place, group in reversed(list(enumerate(key.partition(".")[0] for key in keys)))}
    keys.sort(key=lambda key: groups[key.partition(".")[0]])  # a key that only a later run has joins its group
    return tuple(Row(key, tuple(column.get(key, ABSENT) for column in columns)) for key in keys)


def _is_same(first: Any, second: Any) -> bool:
    # True == 1 and 1 == 1.0 in Python, and none of them is the same in a config.
    return type(first) is type(second) and bool(first == second)
