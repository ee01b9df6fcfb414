"""`idealfit export RUN DIR`: a trained run as a folder that works where idealfit is not installed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from idealfit.cli.app import DONE, Parser


def parser() -> ArgumentParser:
    """The arguments of `export`."""
    made = Parser(
        prog="idealfit export",
        description="Write the best weights, the config, a data card and a predict.py that needs no idealfit.",
    )
    made.add_argument("run", metavar="RUN", help="STUDY/NUMBER, STUDY/best, a record's directory or an MLflow run id")
    made.add_argument("folder", metavar="DIR", help="a new or empty folder")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="runs_dir=... trusted_packages=[mynets]")
    return made


def run(args: Namespace) -> int:
    """Write the folder, and say what is in it."""
    from idealfit.reproduce.export import export
    from idealfit.reproduce.verb import exportable

    names = export(exportable(args.run, *args.overrides), Path(args.folder))
    print(f"{args.folder}: {', '.join(names)}")
    return DONE
