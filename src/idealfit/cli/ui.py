"""`idealfit ui [STUDY]`: the MLflow UI on the right store, opened where the study's trials stand best first."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from idealfit.cli.app import DONE, Parser, UsageError
from idealfit.cli.place import add_place, read_place


def parser() -> ArgumentParser:
    """The arguments of `ui`."""
    made = Parser(prog="idealfit ui", description="Serve MLflow's UI on this machine alone, and open it on a study.")
    add_place(made, "a study's name (default: the latest)")
    made.add_argument("--port", type=int, help="default: 5000, or a free one where that is taken")
    made.add_argument("--no-browser", action="store_true", help="print the address only")
    return made


def run(args: Namespace) -> int:
    """Serve until Ctrl-C."""
    from idealfit.tracking import serve_ui

    study, root = read_place(args.words)
    if not root["tracking"]["uri"]:
        raise UsageError("tracking.uri is empty: there is no tracking store to show. Add tracking.uri=...")
    serve_ui(root["tracking"]["uri"], study, port=args.port, open_browser=not args.no_browser)
    return DONE
