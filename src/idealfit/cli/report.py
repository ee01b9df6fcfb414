"""`idealfit report STUDY`: the whole study in one file, from its records alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from idealfit.cli.app import DONE, Parser
from idealfit.cli.place import add_place, read_study_place

FORMATS = ("html", "md", "csv", "json", "parquet")


def parser() -> ArgumentParser:
    """The arguments of `report`."""
    made = Parser(
        prog="idealfit report",
        description="Write the report of a study into one file that needs no network: answer, leaderboard, "
        "overfitting, curves, importance, cost, failures, how to reproduce.",
    )
    add_place(made, "a study's name; `train` for single runs")
    made.add_argument("--format", choices=FORMATS, help="default: by the suffix of --output, else html")
    made.add_argument("--output", metavar="PATH", help="default: RUNS_DIR/STUDY/report/report.FORMAT")
    return made


def run(args: Namespace) -> int:
    """Write it and say where."""
    from idealfit.api import load_study
    from idealfit.report.summary import relative

    study, runs_dir = read_study_place(args.words)
    print(relative(load_study(study, runs_dir).report(args.output, format=args.format)))
    return DONE
