"""The report of a study as one self-contained HTML page, made from records alone."""

from idealfit.report.html.page import render, write_report
from idealfit.report.html.reading import StudyData, TrialData, read_study

__all__ = ["StudyData", "TrialData", "read_study", "render", "write_report"]
