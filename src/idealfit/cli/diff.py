"""`idealfit diff RUN RUN`: configs side by side, only what differs, with what came out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from idealfit.cli.app import DONE, Parser, UsageError


def parser() -> ArgumentParser:
    """The arguments of `diff`."""
    made = Parser(prog="idealfit diff", description="Put runs side by side: the keys that differ, and the results.")
    made.add_argument(
        "words", nargs="+", metavar="RUN | KEY=VALUE", help="STUDY/NUMBER, STUDY/best, an MLflow run id; runs_dir=..."
    )
    return made


def run(args: Namespace) -> int:
    """Print the table."""
    from rich.console import Console

    from idealfit.config import Composer
    from idealfit.reproduce import RunColumn, diff_runs
    from idealfit.reproduce.render import diff_table
    from idealfit.reproduce.verb import find

    runs = [word for word in args.words if "=" not in word]
    if len(runs) < 2:
        raise UsageError("name at least two runs: idealfit diff STUDY/0 STUDY/best")
    root = Composer("train", [word for word in args.words if "=" in word]).root()
    records = [find(name, root) for name in runs]
    columns = [RunColumn.of(record.read_spec(), record.read_result()) for record in records]
    Console(soft_wrap=True).print(diff_table(diff_runs(columns)))
    return DONE
