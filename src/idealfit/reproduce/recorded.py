"""What a record tells about how its run was made."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from idealfit.provenance import Conditions, Provenance, load, load_data_files
from idealfit.record import Record
from idealfit.reproduce.compare import Curves
from idealfit.spec import StudyError, TrialResult, TrialSpec, TrialState


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A run as it was.

    Attributes:
        stop_after: Epochs (of a trial of several rounds: rounds) after which it ended by no rule of its config; None
            where it ended by itself.
        provenance: None where none was kept; then `note` says why.
    """

    record: Record
    spec: TrialSpec
    result: TrialResult
    curves: Curves
    stop_after: int | None
    provenance: Provenance | None
    note: str = ""

    @property
    def conditions(self) -> Conditions:
        """What it was trained with and on."""
        fingerprint = str(self.result.facts.get("data_fingerprint", ""))
        files = load_data_files(self.record.study_dir, fingerprint)
        return Conditions.of(self.spec.config, self.result.facts | {"data_files": files})


def read_recorded(record: Record) -> Recorded:
    """Read a run that can be made again.

    Raises:
        StudyError: A file of the record is missing or damaged, or no epoch was recorded.
    """
    spec = record.read_spec()
    result = record.read_result()
    if result is None:
        raise StudyError(f"{spec.label} has no result yet: it is still running, or its process died. See {record.path}")
    curves = record.curves()
    if not any(curves.values()):
        raise StudyError(
            f"{spec.label} has no epoch to compare with ({result.state}): {record.metrics_path} is missing or empty."
        )
    num_epochs = record.num_epochs
    if num_epochs < result.num_epochs:
        raise StudyError(
            f"{record.metrics_path} is damaged: it has {num_epochs} of the {result.num_epochs} epochs of the run."
        )
    ended_by_itself = result.state is TrialState.COMPLETE or result.failure == "nan"
    provenance, note = _provenance(record, spec)
    return Recorded(
        record=record,
        spec=spec,
        result=result,
        curves=curves,
        stop_after=None if ended_by_itself else len(result.scores) or num_epochs,
        provenance=provenance,
        note=note,
    )


def run_id_of(record: Record) -> str:
    """The id of its run in MLflow; "" where there is none."""
    try:
        run_id = json.loads(record.mirror_path.read_text(encoding="utf-8"))["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return run_id if isinstance(run_id, str) else ""


def _provenance(record: Record, spec: TrialSpec) -> tuple[Provenance | None, str]:
    if not re.fullmatch(r"[0-9a-f]{64}", spec.provenance):
        return None, f"{spec.label} was recorded without its provenance: code, packages and machine are not known."
    try:
        return load(record.study_dir, spec.provenance), ""
    except StudyError as error:
        return None, str(error)
