"""`idealfit compare STUDY STUDY...`: which configuration wins where. Reads records alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from idealfit.cli.app import DONE, Parser, UsageError
from idealfit.cli.place import read_place
from idealfit.cli.runs import print_table
from idealfit.text import counted, printable

TOP = 5


def parser() -> ArgumentParser:
    """The arguments of `compare`."""
    made = Parser(
        prog="idealfit compare",
        description="Rank the configurations of several studies or trials in one table: score, gap, onset and what "
        "differs. Trials that differ in their seed alone count as one, with a 95 %% confidence interval.",
    )
    made.add_argument(
        "words",
        nargs="+",
        metavar="STUDY | RUN | KEY=VALUE",
        help="what to compare: a study, its fresh seeds as STUDY/promote, STUDY/NUMBER, STUDY/best; runs_dir=...",
    )
    made.add_argument("--top", type=int, default=TOP, metavar="N", help=f"of each study (default {TOP}; 0: all)")
    return made


def run(args: Namespace) -> int:
    """Print findings and table."""
    from idealfit.report.comparison import compare

    names = [word for word in args.words if "=" not in word]
    if not names or args.top < 0:
        raise UsageError("name what to compare, and no fewer than 0 of each: idealfit compare STUDY STUDY --top 5")
    root = read_place([word for word in args.words if "=" in word])[1]
    found = compare(Path(root["runs_dir"]).expanduser().resolve(), names)
    for sentence in found.sentences():
        print(printable(sentence))
    if found.entries:
        body = found.cells(args.top or None)
        print()
        print_table(found.header(), body)
        shown = f"{len(body)} of {counted(len(found.entries), 'configuration')}"
        print(f"\n{shown}, {counted(found.num_without_score, 'trial')} without score")
    return DONE
