"""The report of a study from its folder alone, and what each study leaves there when it ends."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path

from idealfit.report.html.exports import Format, write_study
from idealfit.report.html.importance import MIN_TRIALS
from idealfit.report.html.reading import StudyData, read_study
from idealfit.report.leaderboard import write_csv
from idealfit.spec import StudyError
from idealfit.study.launch import Asked, Launch
from idealfit.study.outcome import StudyResult


def read_reported(study_dir: Path) -> StudyData:
    """The study with what its folder says that it asks.

    Raises:
        UserError: There is no record that can be read, or the folder contradicts itself.
    """
    asked = Asked.read(study_dir)
    return read_study(
        study_dir,
        question=asked.question,
        objective=asked.objective,
        space=asked.space or None,
        rules=asked.rules,
        num_planned=asked.num_planned,
    )


def report_path(study_dir: Path, format: Format = "html") -> Path:
    """Where a report goes unless its reader says otherwise."""
    return study_dir / "report" / f"report.{format}"


def write_report(study_dir: Path, destination: Path, format: Format) -> Path:
    """Report on a study from its folder alone; an older file is replaced.

    Raises:
        UserError: As `read_reported`, or the file can't be written.
    """
    study = read_reported(study_dir)
    try:
        return write_study(study, destination, format, sweep=_command(study_dir))
    except OSError as error:
        raise StudyError(f"cannot write the report to {destination}: {error}. Name another by --output.") from None


def load_analysis(num_trials: int) -> None:
    """Import what a report of so many trials takes to say which parameter matters: a second, if it comes last."""
    if num_trials >= MIN_TRIALS:
        with contextlib.suppress(ImportError):  # the report will say so
            importlib.import_module("optuna.importance")


def write_artifacts(result: StudyResult) -> Path:
    """Write leaderboard.csv and, of a study with trials, report.html; returns their folder."""
    page = report_path(result.study_dir)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_csv(page.parent / "leaderboard.csv", result.rows, result.objective)
    if result.rows:
        write_report(result.study_dir, page, "html")
    return page.parent


def rewrite_report(study_dir: Path) -> Path:
    """Write report.html anew, after a promotion; returns its folder."""
    return write_report(study_dir, report_path(study_dir), "html").parent


def _command(study_dir: Path) -> str:
    try:
        return Launch.read(study_dir).command
    except StudyError:  # single runs: no study was launched
        return ""
