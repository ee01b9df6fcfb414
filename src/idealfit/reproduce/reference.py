"""From what a user types to a record: STUDY/NUMBER, STUDY/best, a record's directory, or an MLflow run id."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from idealfit.record import Record, find_record, iter_records
from idealfit.spec import IdealfitError, StudyError, nearest
from idealfit.study.outcome import BEST_TRIAL, best_record

LookUp = Callable[[str], str | None]
"""From an MLflow run id to `STUDY/NUMBER`, by the run's tags; None: no such run, or idealfit did not make it."""

MIN_ID_LENGTH = 6


def resolve(reference: str, runs_dir: Path, *, look_up: LookUp | None = None) -> Record:
    """The record that `reference` means.

    Args:
        reference: What the user typed. An id may be cut to its first 6 characters, where that is unique.
        runs_dir: Where the studies lie.
        look_up: Asks MLflow for ids that no record under `runs_dir` knows.

    Raises:
        StudyError: There is none, or several; with the nearest names.
    """
    name = reference.strip()
    if not name:
        raise StudyError("No run was named. Give STUDY/NUMBER, STUDY/best, a record's directory or an MLflow run id.")
    try:
        return _resolve(name, runs_dir, look_up)
    except OSError as error:  # a name that no file system takes, a folder that nobody may read
        raise StudyError(f"No run {name!r} can be looked up: {error.strerror}. Give STUDY/NUMBER.") from error


def _resolve(name: str, runs_dir: Path, look_up: LookUp | None) -> Record:
    if (Path(name) / "spec.json").is_file():
        return Record(Path(name).resolve())
    if re.fullmatch(rf"[0-9a-f]{{{MIN_ID_LENGTH},32}}", name) and not (runs_dir / name).is_dir():
        return _by_run_id(name, runs_dir, look_up)
    study, _, last = name.rstrip("/").rpartition("/")
    if study and last == BEST_TRIAL:
        return best_record(runs_dir, study)
    if (runs_dir / name).is_dir() and any(iter_records(runs_dir, name)):
        raise StudyError(f"{name!r} is a whole study. Name one run of it: '{name}/best', or '{name}/NUMBER'.")
    return find_record(runs_dir, name)


def _by_run_id(run_id: str, runs_dir: Path, look_up: LookUp | None) -> Record:
    known = dict(_run_ids(runs_dir))
    matches = sorted(full for full in known if full.startswith(run_id))
    if len(matches) == 1:
        record = known[matches[0]]
        if not record.spec_path.exists():  # the parent run
            study = record.path.relative_to(runs_dir).as_posix()
            raise StudyError(f"{run_id!r} is the whole study {study!r}. Name one run of it: {study}/best.")
        return record
    if matches:
        raise StudyError(f"The run id {run_id!r} is ambiguous: {', '.join(matches[:5])}. Give more of it.")
    label = look_up(run_id) if look_up else None
    if label is None:
        hint = nearest(run_id, known) or "Give STUDY/NUMBER, STUDY/best or a record's directory instead."
        raise StudyError(f"No run {run_id!r} that idealfit made is known in {runs_dir} or in MLflow. {hint}")
    try:
        return find_record(runs_dir, label)
    except StudyError as error:
        raise StudyError(
            f"MLflow knows the run {run_id!r} as {label!r}, but its record is not in {runs_dir}: {error} "
            "Set runs_dir to where the study ran."
        ) from error


def _run_ids(runs_dir: Path) -> Iterator[tuple[str, Record]]:
    for path in runs_dir.rglob("mirror.json"):
        record = Record(path.parent)
        try:
            run_id = json.loads(record.mirror_path.read_text(encoding="utf-8"))["run_id"]
        except (OSError, ValueError, KeyError, TypeError, IdealfitError):
            continue  # torn, or of a run that never reached MLflow
        if isinstance(run_id, str):
            yield run_id, record
