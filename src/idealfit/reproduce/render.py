"""What `reproduce` and `diff` show on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from idealfit.provenance import Difference
from idealfit.reproduce.cause import advice, likeliest_causes
from idealfit.reproduce.compare import Deviation, Tolerance, Verdict
from idealfit.reproduce.diff import RunDiff

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

MAX_DETAILS = 8
_STYLES = {"same": "green", "differs": "yellow", "unknown": "dim"}


def differences_table(differences: Sequence[Difference]) -> Table:
    """The table of what differs between then and now."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("", "then", "now", "", ""):
        table.add_column(name, overflow="fold")
    for row in differences:
        status = _text(row.status, _STYLES[row.status])
        table.add_row(_text(row.item), _text(row.then), _text(row.now), status, _text(_shortened(row.details)))
    return table


def verdict_lines(verdict: Verdict, differences: Sequence[Difference], first: Deviation | None) -> list[str]:
    """The verdict in words; `first` is where the runs part by the first bit."""
    compared = f"{_count(len(verdict.metrics), 'metric')} over {_count(verdict.num_epochs, 'epoch')}"
    if verdict.kind == "identical":
        return [f"identical: {compared}, equal to the last bit."]
    if verdict.kind == "equivalent" and verdict.largest:
        return [
            f"equivalent: {compared}, within {_tolerance(verdict.tolerance)}.",
            f"Largest deviation: {_deviation(verdict.largest)}.",
        ]
    lines = [f"different: {compared}, tolerance {_tolerance(verdict.tolerance)}."]
    lines += [f"{obstacle[0].upper()}{obstacle[1:]}." for obstacle in verdict.obstacles]
    if verdict.first:
        lines.append(f"Out of tolerance first: {_deviation(verdict.first)}.")
    if first and first != verdict.first:
        lines.append(f"They part already at: {_deviation(first)}.")
    causes = likeliest_causes(differences, first)
    if not causes:
        return [*lines, advice(differences)]
    likeliest, *others = causes
    detail = f" ({_shortened(likeliest.details)})" if likeliest.details else f" ({likeliest.then}, now {likeliest.now})"
    lines.append(f"Likeliest cause: {likeliest.item}{detail}.")
    return [*lines, *([f"Also different: {', '.join(row.item for row in others)}."] if others else [])]


def diff_table(diff: RunDiff) -> Table:
    """Runs side by side."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for label in diff.labels:
        table.add_column(_text(label), justify="right", overflow="fold")
    table.add_row("state", *map(_text, diff.states), end_section=True)
    for row in diff.config:
        table.add_row(_text(row.key), *map(_text, row.values))
    if not diff.config:
        table.add_row(_text("no key of the configs differs", "dim"))
    table.add_section()
    for row in diff.summaries:
        table.add_row(_text(row.key), *(_text(_value(value)) for value in row.values))
    return table


def _text(value: object, style: str = "") -> Text:
    """Text as it is: no markup, and no control character, which could command the terminal."""
    from rich.text import Text

    return Text("".join(letter if letter.isprintable() else "?" for letter in str(value)), style=style)


def _shortened(details: Sequence[str]) -> str:
    more = len(details) - MAX_DETAILS
    return ", ".join(details[:MAX_DETAILS]) + (f" and {more} more" if more > 0 else "")


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _tolerance(tolerance: Tolerance) -> str:
    return f"{tolerance.relative:g} relative + {tolerance.absolute:g} absolute"


def _deviation(deviation: Deviation) -> str:
    values = f"{deviation.then:.9g} then, {deviation.now:.9g} now"
    return f"{deviation.metric} in epoch {deviation.epoch}: {values} (by {deviation.absolute:.2g})"
