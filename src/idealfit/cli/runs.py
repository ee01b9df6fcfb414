"""`idealfit runs [STUDY]`: the leaderboard of a study, or all studies. Reads records alone."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from idealfit.cli.app import DONE, Parser
from idealfit.cli.place import add_place, read_place
from idealfit.text import printable


def parser() -> ArgumentParser:
    """The arguments of `runs`."""
    made = Parser(prog="idealfit runs", description="Rank the trials of a study, or list all studies.")
    add_place(made, "a study's name; `train` for single runs")
    return made


def run(args: Namespace) -> int:
    """Print the table."""
    from idealfit.study.outcome import list_studies, no_such_study

    study, root = read_place(args.words)
    runs_dir = Path(root["runs_dir"]).expanduser().resolve()
    names = list_studies(runs_dir)
    if study is None:
        _print_studies(runs_dir, names)
    elif study in names:
        _print_trials(runs_dir, study)
    else:
        raise no_such_study(runs_dir, study, otherwise="Nothing has run here yet: idealfit sweep lr_dropout_depth.")
    return DONE


def _print_trials(runs_dir: Path, study: str) -> None:
    from idealfit.report.leaderboard import columns, text_cells
    from idealfit.study.outcome import read_rows

    rows, objective = read_rows(runs_dir, study)
    print_table(columns(rows, objective), text_cells(rows, objective))


def _print_studies(runs_dir: Path, names: Sequence[str]) -> None:
    from idealfit.spec import TrialState
    from idealfit.study.outcome import read_rows, winner

    body = []
    for name in names:
        rows, objective = read_rows(runs_dir, name)
        best = winner(rows)
        states = ", ".join(f"{n} {state}" for state in TrialState if (n := sum(row.state is state for row in rows)))
        score = "" if best is None else f"{objective.label} {best.value:.4f} (trial {best.number})"
        body.append([name, str(len(rows)), states, score])
    if body:
        print_table(["study", "trials", "states", "best"], body)
    else:
        print(f"no runs under {runs_dir}: start with idealfit sweep lr_dropout_depth")


def print_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    """Aligned columns, never cut or wrapped, so that `grep` and `less -S` work; bold header on a terminal."""
    header, *body = [[printable(cell) for cell in line] for line in [header, *body]]
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in body]
    head = "  ".join(cell.ljust(width) for cell, width in zip(header, widths, strict=True)).rstrip()
    print(f"\x1b[1m{head}\x1b[0m" if sys.stdout.isatty() else head)
    for line in lines:
        print(line)
