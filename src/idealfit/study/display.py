"""The displays: a live table on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import threading
from typing import IO, Any

from idealfit.spec import TrialState
from idealfit.study.outcome import TrialRow
from idealfit.study.progress import Display, Progress, params_text, seconds_text, value_text
from idealfit.text import counted, printable

MAX_LINES = 30  # of the live table: each is a record to read, four times a second


class PlainDisplay:
    """One line for each finished trial: for logs, pipes and notebooks."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream

    def open(self, progress: Progress) -> None:
        """Say what is asked."""
        question = f": {progress.question}" if progress.question else ""
        self.say(f"study {progress.name}{question}")

    def say(self, text: str) -> None:
        """Print a line."""
        print(_safe(text), file=self._stream or sys.stdout, flush=True)

    def finished(self, row: TrialRow, progress: Progress) -> None:
        """Print the trial's line."""
        done = f"{len(progress.rows)}/{progress.budget_trials}"
        self.say(f"[{done:>5}] {trial_line(row, progress)}")

    def close(self) -> None:
        """Nothing to clean up."""


def trial_line(row: TrialRow, progress: Progress) -> str:
    """One finished trial in one line."""
    if row.state is TrialState.FAILED:
        first = row.message.strip().splitlines() or ["no message"]
        what = f"{row.failure}: {first[0][:160]}"
    else:
        value = "no value" if row.value is None else f"{progress.objective.label} {value_text(row)}"
        gap = "" if row.gap is None else f"  gap {row.gap:+.3f}"
        breaks = f"  {'; '.join(row.violations)}" if row.violations else ""
        what = f"{value}{gap}{breaks}  {counted(row.num_epochs, 'epoch')}"
    again = "" if row.replicate_of is None else f"  (again {row.replicate_of})"
    mark = "  <- best" if progress.best and progress.best.number == row.number else ""
    took = seconds_text(row.seconds)
    return f"trial {row.number:<3} {row.state:<9} {what}  {took}  {params_text(row.params)}{again}{mark}"


class LiveDisplay:
    """A table that redraws itself a few times a second; finished trials scroll away above it."""

    REFRESH_PER_SECOND = 4

    def __init__(self) -> None:
        self._live: Any = None
        self._lock = threading.Lock()

    def open(self, progress: Progress) -> None:
        """Start drawing."""
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            get_renderable=lambda: table_of(progress),
            console=Console(),
            refresh_per_second=self.REFRESH_PER_SECOND,
            transient=True,
        )
        self._live.start()

    def say(self, text: str) -> None:
        """Print a line above the table."""
        with self._lock:
            if self._live is None:
                print(_safe(text), flush=True)
            else:
                self._live.console.print(_safe(text), markup=False, highlight=False)

    def finished(self, row: TrialRow, progress: Progress) -> None:
        """Print the trial's line above the table."""
        self.say(trial_line(row, progress))

    def close(self) -> None:
        """Stop drawing and show the cursor again."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None


def table_of(progress: Progress) -> Any:
    """The headline and one line for each slot at work."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("slot", "trial", "epoch", progress.objective.metric, "time", "parameters"):
        table.add_column(column, no_wrap=True)
    running = sorted(progress.running_now(), key=lambda trial: (trial.slot or 0, trial.number))
    for trial in running[:MAX_LINES]:
        num_epochs, value = trial.latest(progress.objective.metric)
        table.add_row(
            "" if trial.slot is None else str(trial.slot),
            str(trial.number),
            f"{num_epochs}/{trial.max_epochs}",
            "" if value is None else f"{value:.4f}",
            seconds_text(progress.now() - trial.started),
            Text(params_text(trial.params)),
        )
    more = [Text(f"and {len(running) - MAX_LINES} more")] if len(running) > MAX_LINES else []
    return Group(Text(_safe(headline(progress)), style="bold"), table, *more)


def _safe(text: str) -> str:
    """Lines in which nothing commands the terminal: names and messages of records may be anybody's."""
    return "\n".join(map(printable, text.split("\n")))


def headline(progress: Progress) -> str:
    """Where the study stands, in one line."""
    if progress.phase != "running":
        return f"{progress.name}: {progress.phase} ({seconds_text(progress.seconds)})"
    best, eta = progress.best, progress.eta_s
    parts = [
        f"{progress.name}: {len(progress.rows)}/{counted(progress.budget_trials, 'trial')}",
        f"best {best.value:.4f} (trial {best.number})" if best and best.value is not None else "no score yet",
        f"{progress.count(TrialState.PRUNED)} pruned",
        f"{progress.count(TrialState.FAILED)} failed",
        seconds_text(progress.seconds),
    ]
    return ", ".join(parts) + (f", about {seconds_text(eta)} to go" if eta else "")


class SilentDisplay:
    """Shows nothing."""

    def open(self, progress: Progress) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""

    def finished(self, row: TrialRow, progress: Progress) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing was opened."""


def make_display(*, quiet: bool = False) -> Display:
    """The display that suits where the output goes."""
    if quiet:
        return SilentDisplay()
    return LiveDisplay() if sys.stdout.isatty() else PlainDisplay()
