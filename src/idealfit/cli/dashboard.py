"""`idealfit dashboard STUDY`: optuna-dashboard on the study's storage."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from idealfit.cli.app import DONE, Parser
from idealfit.cli.place import add_place, read_study_place


def parser() -> ArgumentParser:
    """The arguments of `dashboard`."""
    made = Parser(
        prog="idealfit dashboard",
        description="Serve optuna-dashboard on a study's storage, on this machine alone. Needs the extra `dashboard`.",
        epilog="A storage with a password is in no record: add study.storage=postgresql://USER:PASSWORD@HOST/DATABASE.",
    )
    add_place(made, "a study's name")
    made.add_argument("--port", type=int, help="default: 8080, or a free one where that is taken")
    return made


def run(args: Namespace) -> int:
    """Serve until Ctrl-C."""
    from idealfit.study.dashboard import serve_dashboard, storage_of

    given = [word for word in args.words if word.startswith("study.storage=")]
    study, runs_dir = read_study_place([word for word in args.words if word not in given])
    storage = storage_of(runs_dir / study, given[-1].partition("=")[2] if given else None)
    serve_dashboard(storage, study, port=args.port)
    return DONE
