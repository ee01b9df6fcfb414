"""The record: the directory on disk that holds everything about a trial. MLflow is its mirror.

A record is plain JSON, YAML and PNG. What matters is written so that a killed process, a full disk or a power cut
leaves either the old file or the new one: a temporary file, then `os.replace`. Metrics are appended, one line an epoch.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from idealfit.disk import append_line, sync, write_atomically
from idealfit.spec import (
    JSON,
    Objective,
    StudyError,
    TrialResult,
    TrialSpec,
    attempt_log_path,
    nearest,
    record_path,
    redacted,
)

PROMOTED = "promote"  # in a study's folder: its replicates on fresh seeds, `STUDY/promote/NUMBER`
BEST_WEIGHTS = "best.pt"  # in the folder of checkpoints

# A stranger's record must not make a reader allocate without end.
MAX_EPOCHS = 1_000_000
MAX_VALUES = 20_000_000
MAX_NUMBER = {int: 2**63, float: sys.float_info.max}  # excludes what is not finite


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """What one epoch measured. `time` is in seconds since 1970, by the clock of the worker."""

    epoch: int
    time: float
    attempt: int
    metrics: dict[str, float]


class Record:
    """The directory of one trial, and the only owner of the file names in it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.spec_path = self.path / "spec.json"
        self.config_path = self.path / "config.yaml"
        self.metrics_path = self.path / "metrics.jsonl"
        self.result_path = self.path / "result.json"
        self.mirror_path = self.path / "mirror.json"
        self.checkpoint_dir = self.path / "checkpoints"
        self.best_weights_path = self.checkpoint_dir / BEST_WEIGHTS
        self.predictions_path = self.path / "predictions.npz"
        self.pictures_dir = self.path / "pictures"
        self.rounds_dir = self.path / "rounds"

    def log_path(self, attempt: int) -> Path:
        """The output of one attempt."""
        return attempt_log_path(self.path, attempt)

    def round(self, index: int) -> Record:
        """The record of one round, where the trial's protocol has several."""
        return Record(self.rounds_dir / str(index))

    @property
    def study_dir(self) -> Path:
        """The folder of the study that it belongs to, with what all its trials share."""
        place = self.path.parent
        return place.parent.parent if place.name == self.rounds_dir.name else place

    def rounds(self) -> list[Record]:
        """The rounds that have begun, in order; none of a hold-out."""
        return [self.round(index) for index in _numbers(self.rounds_dir)]

    def trained(self, result: TrialResult | None) -> Record:
        """The record with the network that a trial's `result` means: of several rounds that of the best one."""
        index = result.facts.get("best_round") if result else None
        return self.round(index) if isinstance(index, int) else self

    @property
    def num_epochs(self) -> int:
        """Epochs finished, over all attempts and rounds."""
        rows = self.read_metrics() if not self.rounds_dir.exists() else []
        return rows[-1].epoch + 1 if rows else sum(each.num_epochs for each in self.rounds())

    @classmethod
    def create(cls, spec: TrialSpec) -> Record:
        """Make the directory of `spec`, with spec.json and config.yaml in it.

        Trust is never written, for a record may travel; nor is a password in the address of a storage or a server.
        """
        import yaml

        record = cls(spec.record_dir)
        data = spec.to_json() | {"storage": redacted(spec.storage), "overrides": list(map(redacted, spec.overrides))}
        del data["trusted_packages"]
        config = yaml.safe_dump(spec.config, sort_keys=False, allow_unicode=True, default_flow_style=False)
        write_atomically(record.config_path, config)
        write_atomically(record.spec_path, _pretty(data))  # last: a directory with a spec is a whole record
        return record

    def read_spec(self) -> TrialSpec:
        """The spec that the record was made from.

        A record may come from a stranger: it trusts no package, lies where it lies, and neither imports from elsewhere
        nor writes there.

        Raises:
            StudyError: It is missing or unreadable.
        """
        data = self._read(self.spec_path)
        if data is None:
            raise StudyError(f"{self.path} is no record: it has no {self.spec_path.name}.")
        given = {"trusted_packages": [], "working_dir": ".", "record_dir": str(self.path), "storage": ""}
        try:
            spec = TrialSpec.from_json(data | given)
            check_types(spec)
        except (TypeError, ValueError, AttributeError) as error:
            raise StudyError(f"{self.spec_path} is not the spec of a trial: {error}.") from error
        return spec

    def read_result(self) -> TrialResult | None:
        """The result of the latest attempt that ended; None as long as there is none.

        Raises:
            StudyError: The file is unreadable.
        """
        data = self._read(self.result_path)
        if data is None:
            return None
        try:
            result = TrialResult.from_json(data)
            check_types(result)
        except (TypeError, ValueError, KeyError) as error:
            raise StudyError(f"{self.result_path} is not the result of a trial: {error}.") from error
        return result

    def write_result(self, result: TrialResult) -> None:
        """Replace the result; metrics and result are on the disk itself when this returns."""
        if self.metrics_path.exists():
            sync(self.metrics_path)
        write_atomically(self.result_path, _pretty(result.to_json()))

    def append_metrics(self, epoch: int, metrics: Mapping[str, float], *, attempt: int = 0) -> None:
        """Add one line for `epoch` (from 0), in one write: a reader sees all of it or nothing."""
        values = {name: float(value) if math.isfinite(value) else str(float(value)) for name, value in metrics.items()}
        row = {"epoch": epoch, "time": round(time.time(), 3), "attempt": attempt, "metrics": values}
        append_line(self.metrics_path, json.dumps(row, allow_nan=False).encode())

    def read_metrics(self) -> list[MetricRow]:
        """The rows that count, by epoch.

        A resumed attempt repeats the epochs after its checkpoint, so a row replaces all before it of the same epoch and
        of later ones. Lines torn by a killed writer are left out.
        """
        rows: list[MetricRow] = []
        for row in self.all_metrics():
            while rows and rows[-1].epoch >= row.epoch:
                rows.pop()
            rows.append(row)
        return rows

    def curves(self) -> dict[str, list[float]]:
        """Each metric's values, the index is the epoch; NaN where an epoch has none.

        Raises:
            StudyError: They would be larger than any training run's.
        """
        rows = self.read_metrics()
        num_epochs = rows[-1].epoch + 1 if rows else 0
        if num_epochs * len({name for row in rows for name in row.metrics}) > MAX_VALUES:
            raise StudyError(f"{self.metrics_path} is damaged: {num_epochs} epochs of so many metrics can't be.")
        curves: dict[str, list[float]] = {}
        for row in rows:
            for name, value in row.metrics.items():
                curves.setdefault(name, [math.nan] * num_epochs)[row.epoch] = value
        return curves

    def all_metrics(self) -> Iterator[MetricRow]:
        """Every row as it was written, those too that a later attempt replaced; torn lines are left out."""
        try:
            lines = self.metrics_path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in lines:
            try:
                row = json.loads(line)
                metrics = {name: float(value) for name, value in row["metrics"].items()}
                epoch, attempt, time_s = int(row["epoch"]), int(row["attempt"]), float(row["time"])
                if 0 <= epoch < MAX_EPOCHS and math.isfinite(time_s):
                    yield MetricRow(epoch=epoch, time=time_s, attempt=attempt, metrics=metrics)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
                continue

    @staticmethod
    def _read(path: Path) -> JSON | None:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise StudyError(f"{path} is damaged, it holds no valid JSON: {error}.") from error
        if not isinstance(data, dict):
            raise StudyError(f"{path} is damaged: expected a JSON object, got {type(data).__name__}.")
        return data

    def __repr__(self) -> str:
        return f"Record({str(self.path)!r})"


def check_types(data: TrialSpec | TrialResult | Objective) -> None:
    """Check that every field, read from JSON, is of its declared type, and every number one to reckon with.

    Raises:
        ValueError: One is not; the message names it.
    """
    hints = get_type_hints(type(data))
    for item in fields(data):
        value = getattr(data, item.name)
        if isinstance(value, Objective):
            check_types(value)
        elif not _fits(value, hints[item.name]):
            raise ValueError(f"its {item.name} can't be {value!r:.100}")


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in inner
    if origin is Union or isinstance(hint, UnionType):
        return any(_fits(value, option) for option in inner)
    if origin in (list, tuple):
        return isinstance(value, origin) and all(_fits(item, inner[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, inner[1]) for item in value.values())
    if hint is bool:
        return isinstance(value, bool)
    if hint in (int, float):
        number = isinstance(value, int | hint) and not isinstance(value, bool)
        return number and -MAX_NUMBER[hint] <= value <= MAX_NUMBER[hint]
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, hint):
        hints = get_type_hints(hint)
        return all(_fits(getattr(value, item.name), hints[item.name]) for item in fields(hint))
    return isinstance(value, hint)


def iter_records(runs_dir: str | Path, study: str) -> Iterator[Record]:
    """The records of a study, by number."""
    for number in _numbers(record_path(runs_dir, study, 0).parent):
        yield Record(record_path(runs_dir, study, number))


def find_record(runs_dir: str | Path, name: str) -> Record:
    """The record that a user calls `STUDY/NUMBER`, or `STUDY/promote/NUMBER`.

    Raises:
        StudyError: There is none, with the nearest names.
    """
    study, _, number = name.strip().rstrip("/").rpartition("/")
    runs_dir = Path(runs_dir).expanduser().resolve()
    studies = [entry.name for entry in _subdirectories(runs_dir)]
    of_study, _, last = study.rpartition("/")
    is_promoted = last == PROMOTED and of_study in studies and (runs_dir / study).is_dir()
    if study not in studies and not is_promoted:
        hint = nearest(study or name, studies) or f"There is no study in {runs_dir}."
        raise StudyError(f"No trial {name!r}: expected STUDY/NUMBER, and there is no study {study or name!r}. {hint}")
    numbers = _numbers(runs_dir / study)
    if not number.isdecimal() or int(number) not in numbers:
        there = f"its trials are {numbers[0]} to {numbers[-1]}" if numbers else "it has no trial yet"
        raise StudyError(f"No trial {name!r}: study {study!r} has no trial {number!r}, {there}.")
    return Record(record_path(runs_dir, study, int(number)))


def _numbers(study_dir: Path) -> list[int]:
    names = [entry.name for entry in _subdirectories(study_dir) if (entry / "spec.json").exists()]
    return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))


def _subdirectories(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []


def _pretty(data: JSON) -> str:
    return json.dumps(data, indent=2) + "\n"
