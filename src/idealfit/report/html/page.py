"""One HTML file with everything in it: styles, scripts, plotly and the data. It opens anywhere, without a network."""

from __future__ import annotations

import html
import json
import os
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from idealfit.report.html.analysis import analyse
from idealfit.report.html.payload import build_payload
from idealfit.report.html.reading import StudyData, read_study
from idealfit.spec import JSON, Objective

STYLES = ("page", "parts", "pictures")
# In the order in which they need each other.
_CHARTS = ("map", "curves", "multiples", "search", "parallel", "cost")
SCRIPTS = ("base", "charts", "text", "promotion", "table", *_CHARTS, "main")


def write_report(
    study_dir: Path,
    destination: Path,
    *,
    question: str = "",
    objective: Objective | None = None,
    space: Mapping[str, Any] | None = None,
    num_planned: int | None = None,
    sweep: str = "",
    surroundings: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Report on a study from its records alone, in one self-contained HTML file.

    Args:
        study_dir: `RUNS_DIR/STUDY`.
        destination: The file to write; an older one is replaced.
        question: What the study asks.
        objective: What it optimises; None: what its trials recorded.
        space: The search space as a sweep file writes it; None: nothing is said about its boundaries.
        num_planned: Trials in the budget.
        sweep: The command that started the study, shown for running it again.
        surroundings: Further lines on where it ran, e.g. the code's commit and the machine.

    Returns:
        `destination`.

    Raises:
        StudyError: There is no record that can be read.
    """
    study = read_study(study_dir, question=question, objective=objective, space=space, num_planned=num_planned)
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}")
    temporary.write_text(render(study, sweep=sweep, surroundings=surroundings), encoding="utf-8")
    temporary.replace(destination)
    return destination


def render(study: StudyData, *, sweep: str = "", surroundings: Mapping[str, str] = MappingProxyType({})) -> str:
    """The report as the text of an HTML page."""
    import plotly

    made = time.strftime("%d %B %Y, %H:%M %Z")
    payload = build_payload(study, analyse(study), made=made, sweep=sweep, surroundings=surroundings)
    parts = {
        "title": html.escape(f"{study.name}: idealfit report"),
        "style": "\n".join(_asset(f"{name}.css") for name in STYLES),
        "data": embeddable(payload),
        "plotly": plotly.offline.get_plotlyjs(),
        "scripts": "\n".join(_asset(f"{name}.js") for name in SCRIPTS),
    }
    return _fill(_asset("page.html"), parts)


def embeddable(data: JSON) -> str:
    """JSON that can stand inside a script element: whatever a name holds, it can't end the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _fill(template: str, parts: Mapping[str, str]) -> str:
    """Put each part in the place of its `{{name}}`; parts are never searched for places themselves."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
