"""The report in other forms: Markdown for people, JSON, CSV and Parquet for programs."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from idealfit.report.frames import trials_frame
from idealfit.report.html.analysis import analyse
from idealfit.report.html.background import environment, how_to_reproduce
from idealfit.report.html.page import render
from idealfit.report.html.promotion import promotion_markdown
from idealfit.report.html.reading import StudyData, TrialData
from idealfit.report.html.sentences import answer, findings, states
from idealfit.report.leaderboard import markdown, write_csv
from idealfit.spec import JSON, StudyError, nearest

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["html", "md", "json", "csv", "parquet"]
SUFFIXES: dict[str, Format] = {f".{name}": name for name in get_args(Format)} | {".htm": "html", ".markdown": "md"}
MARKDOWN_TRIALS = 50


def format_of(destination: Path) -> Format:
    """The format that a file name asks for.

    Raises:
        StudyError: None that is known.
    """
    suffix = destination.suffix.lower()
    if suffix not in SUFFIXES:
        raise StudyError(
            f"No report is written as {destination.suffix or 'a file without suffix'!r}. {nearest(suffix, SUFFIXES)}"
        )
    return SUFFIXES[suffix]


def write_study(study: StudyData, destination: Path, format: Format, *, sweep: str = "") -> Path:
    """Write the report of a study that is read already; an older file is replaced.

    Args:
        study: The study.
        destination: The file.
        format: Which form.
        sweep: The command that started the study, for running it again.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    writers: dict[Format, Callable[[], object]] = {
        "html": lambda: destination.write_text(render(study, sweep=sweep), encoding="utf-8"),
        "md": lambda: destination.write_text(to_markdown(study, sweep=sweep), encoding="utf-8"),
        "json": lambda: destination.write_text(
            json.dumps(to_json(study), indent=2, allow_nan=False) + "\n", encoding="utf-8"
        ),
        "csv": lambda: write_csv(destination, [t.row for t in study.trials], study.objective),
        "parquet": lambda: _columns_of_one_type(trials_frame([t.row for t in study.trials])).to_parquet(destination),
    }
    writers[format]()
    return destination


def to_markdown(study: StudyData, *, sweep: str = "") -> str:
    """Answer, findings, leaderboard and how to reproduce, in Markdown."""
    analysis = analyse(study)
    rows = [t.row for t in study.trials]
    shown = rows[:MARKDOWN_TRIALS]
    left_out = f"\n{len(rows) - len(shown):,} more trials are in the other formats.\n" if len(rows) > len(shown) else ""
    parts = [
        f"# {_inline(study.question or study.name)}\n",
        f"{_inline(answer(study, analysis))}\n",
        f"Study {_inline(study.name)}: {states(study)}.\n",
        "".join(f"- {_inline(finding.text)}\n" for finding in findings(study, analysis)),
        promotion_markdown(study.promotion, _inline) if study.promotion else "",
        *(
            ["## Advice\n", "".join(f"- {_inline(advice.text)}\n" for advice in analysis.advice)]
            if analysis.advice
            else []
        ),
        "## Leaderboard\n",
        html.escape(markdown(shown, study.objective), quote=False) + left_out,
        "## Reproduce\n",
        "".join(f"{what}:\n\n    {_line(command)}\n\n" for what, command in how_to_reproduce(study, sweep)),
        "".join(f"- {_inline(name)}: {_inline(value)}\n" for name, value in environment(study)),
    ]
    return "\n".join(parts)


def to_json(study: StudyData) -> JSON:
    """The study for programs: what was asked and found, every trial with its curves. NaN and infinity are null."""
    analysis = analyse(study)
    return {
        "study": study.name,
        "question": study.question,
        "objective": study.objective.to_json(),
        "answer": answer(study, analysis),
        "best": study.best.number if study.best else None,
        "findings": [asdict(finding) for finding in findings(study, analysis)],
        "promotion": _finite(asdict(study.promotion)) if study.promotion else None,
        "advice": [asdict(advice) for advice in analysis.advice],
        "importances": [asdict(importance) for importance in analysis.importances],
        "trials": [_trial(trial) for trial in study.trials],
    }


def _trial(trial: TrialData) -> Any:
    return _finite(asdict(trial.row) | {"curves": trial.curves, "facts": dict(trial.facts)})


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _columns_of_one_type(frame: pd.DataFrame) -> pd.DataFrame:
    """Parquet wants one type a column; a choice between 0.1 and "auto" becomes text."""
    mixed = [name for name in frame.columns if len({type(v) for v in frame[name].dropna()}) > 1]
    return frame.assign(**{name: frame[name].map(lambda v: v if v is None else str(v)) for name in mixed})


def _inline(text: str) -> str:
    """Text that Markdown takes as it stands, on one line."""
    escaped = html.escape(_line(text), quote=False)
    return "".join(f"\\{sign}" if sign in "[]`*|" else sign for sign in escaped)


def _line(text: str) -> str:
    return " ".join(text.split())
