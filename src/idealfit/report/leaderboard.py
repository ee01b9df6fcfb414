"""The leaderboard: which trial is best, did it overfit, and from which epoch. As rows of text, CSV and Markdown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from idealfit.objective import measure_text, measured
from idealfit.spec import Objective, TrialState
from idealfit.study.outcome import TrialRow, pareto_front
from idealfit.study.progress import seconds_text, value_text

FIXED_COLUMNS = ("rank", "trial", "state", "{metric}", "gap", "onset", "best epoch", "epochs", "time")


def columns(rows: Sequence[TrialRow], objective: Objective) -> list[str]:
    """The header: fixed columns, what else the objective looks at, then the parameters in the order of the space."""
    fixed = [column.format(metric=objective.label) for column in FIXED_COLUMNS]
    return [*fixed, *asked_cells(objective), *_keys(rows)]


def text_cells(rows: Sequence[TrialRow], objective: Objective) -> list[list[str]]:
    """The table's body for people: rounded, an empty cell where there is nothing to say."""
    keys, front = _keys(rows), {row.number for row in pareto_front(rows, objective)}
    return [
        [
            str(place),
            trial_text(row),
            row.state if row.failure is None else f"{row.state}: {row.failure}",
            value_text(row),
            "" if row.gap is None else f"{row.gap:+.4f}",
            onset_text(row),
            "" if row.best_epoch is None else str(row.best_epoch),
            str(row.num_epochs),
            seconds_text(row.seconds),
            *asked_cells(objective, row, is_on_front=row.number in front).values(),
            *(_short(row.params.get(key, "")) for key in keys),
        ]
        for place, row in enumerate(rows, start=1)
    ]


def trial_text(row: TrialRow) -> str:
    """Its number, and which trial it repeats with another seed."""
    return str(row.number) if row.replicate_of is None else f"{row.number} (again {row.replicate_of})"


def _keys(rows: Sequence[TrialRow]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row.params))


def asked_cells(objective: Objective, row: TrialRow | None = None, *, is_on_front: bool = False) -> dict[str, str]:
    """By column, what only some objectives ask for: whether on the front, the measures, what constraints are broken."""
    cells = {"front": "yes" if is_on_front else ""} if objective.others else {}
    has_column = {"onset", *(["gap"] if objective.epoch == "best" else [])}
    for metric in objective.looked_at:
        if metric not in has_column:
            cells[metric] = "" if row is None else measure_text(measured(metric, row.summaries))
    return cells | ({"breaks": "; ".join(row.violations) if row else ""} if objective.constraints else {})


def onset_text(row: TrialRow) -> str:
    """The epoch of overfit onset, `none` where a finished trial never overfitted, '' where nothing is known."""
    if row.onset_epoch is not None:
        return str(row.onset_epoch)
    return "none" if row.state in (TrialState.COMPLETE, TrialState.PRUNED) else ""


def write_csv(path: Path, rows: Sequence[TrialRow], objective: Objective) -> None:
    """Write all digits, all summaries, one line a trial, best first."""
    params, front = _keys(rows), {row.number for row in pareto_front(rows, objective)}
    summaries = sorted({key for row in rows for key in row.summaries})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        head = ["rank", "trial", "state", "failure", objective.label, "epochs", "seconds"]
        asked = (["front"] if objective.others else []) + (["breaks"] if objective.constraints else [])
        writer.writerow([*head, *asked, *params, *summaries, "replicate_of", "record"])
        for place, row in enumerate(rows, start=1):
            writer.writerow(
                [place, row.number, row.state, row.failure or "", _full(row.value), row.num_epochs, _full(row.seconds)]
                + ([int(row.number in front)] if objective.others else [])
                + (["; ".join(row.violations)] if objective.constraints else [])
                + [_full(row.params.get(key)) for key in params]
                + [_full(row.summaries.get(key)) for key in summaries]
                + ["" if row.replicate_of is None else row.replicate_of, row.record_dir]
            )


def markdown(rows: Sequence[TrialRow], objective: Objective) -> str:
    """The leaderboard as a Markdown table."""
    header = columns(rows, objective)
    lines = [_markdown_line(header), _markdown_line(["---"] * len(header))]
    return "\n".join(lines + [_markdown_line(cells) for cells in text_cells(rows, objective)]) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _full(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
