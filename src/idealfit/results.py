"""What the verbs of the Python API give back: a run and a study, read from their records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from idealfit.record import Record, find_record
from idealfit.spec import Objective, StudyError, TrialResult, TrialSpec

if TYPE_CHECKING:
    import pandas as pd

    from idealfit.report.html.exports import Format
    from idealfit.study.outcome import Ending, TrialRow


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run: what was asked and what came out.

    Attributes:
        record_dir: Where everything about it lies.
        spec: The resolved config and the searched parameters.
        result: State, score, summaries such as `best/val_accuracy` and `overfit/onset_epoch`.
    """

    record_dir: Path
    spec: TrialSpec
    result: TrialResult

    @property
    def label(self) -> str:
        """`STUDY/NUMBER`."""
        return self.spec.label

    def curves(self) -> pd.DataFrame:
        """One row an epoch (the index, from 0), one column a metric."""
        import pandas as pd

        rows = Record(self.record_dir).read_metrics()
        frame = pd.DataFrame([row.metrics for row in rows], index=[row.epoch for row in rows])
        return frame.rename_axis(index="epoch")


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study on disk, finished or not.

    Attributes:
        rows: One for each trial, best first.
        ending: How the session that made this object ended: `done`, `interrupted` or `failed`; "" for a loaded study.
        reason: Why, in words.
    """

    name: str
    runs_dir: Path
    objective: Objective
    rows: list[TrialRow]
    ending: Ending | Literal[""] = ""
    reason: str = ""

    @property
    def best(self) -> TrialRow | None:
        """The winner, of several metrics by the first; None where no trial has a score and keeps all constraints."""
        from idealfit.study.outcome import winner

        return winner(self.rows)

    @property
    def front(self) -> list[TrialRow]:
        """Of several metrics (`study.objective.metrics`), the trials that none beats in all; of one, the winner."""
        from idealfit.study.outcome import pareto_front

        return pareto_front(self.rows, self.objective)

    def run(self, number: int) -> Run:
        """One trial.

        Raises:
            StudyError: There is no trial of that number.
        """
        return run_of(find_record(self.runs_dir, f"{self.name}/{number}"))

    def trials(self) -> pd.DataFrame:
        """One row a trial, best first: state, value, `params.*`, summaries."""
        from idealfit.report.frames import trials_frame

        return trials_frame(self.rows)

    def curves(self) -> pd.DataFrame:
        """One row an epoch of each trial: `trial`, `epoch` and the metrics."""
        from idealfit.report.frames import curves_frame

        return curves_frame(self.runs_dir, self.name)

    def report(self, output: str | Path | None = None, *, format: Format | None = None) -> Path:
        """Write the study's report, while it runs or after.

        Args:
            output: The file; None: `report/report.FORMAT` in the study's folder.
            format: `html`, `md`, `json`, `csv` or `parquet`; None: by the suffix of `output`, else `html`.

        Returns:
            The file.

        Raises:
            UserError: There is no trial to report on, or the file can't be written.
        """
        from idealfit.report.artifacts import report_path, write_report
        from idealfit.report.html.exports import format_of

        study_dir = self.runs_dir / self.name
        format = format or (format_of(Path(output)) if output else "html")
        return write_report(study_dir, Path(output) if output else report_path(study_dir, format), format)


def run_of(record: Record) -> Run:
    """The run of a record.

    Raises:
        StudyError: It has no result yet.
    """
    result = record.read_result()
    if result is None:
        raise StudyError(f"{record.path} has no result yet: it is still running, or its process died")
    return Run(record_dir=record.path, spec=record.read_spec(), result=result)
