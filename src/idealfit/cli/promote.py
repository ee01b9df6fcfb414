"""`idealfit promote STUDY`: from the best score of a search to the best model, and how sure that is."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace

from idealfit.cli.app import DONE, INTERRUPTED, Parser
from idealfit.cli.place import read_place


def parser() -> ArgumentParser:
    """The arguments of `promote`."""
    made = Parser(
        prog="idealfit promote",
        description="Train the best trials of a study and the default config again on fresh seeds, say which is better "
        "and how sure that is, then score the chosen one on the test set, once. Again on the same study, it goes on "
        "where it stopped. docs/promote.md explains each number.",
        epilog="Packages are trusted anew each time: trusted_packages=[mynets].",
    )
    made.add_argument("study", metavar="STUDY", help="a study's name; idealfit runs lists them")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="runs_dir=... engine.slots=4 tracking.uri=...")
    made.add_argument("--top", type=int, metavar="N", help="train the best N trials again (default 3)")
    made.add_argument("--seeds", type=int, metavar="N", help="fresh seeds of each, at least 2 (default 5)")
    made.add_argument("--test", action=BooleanOptionalAction, help="look at the test set (default), or leave it closed")
    made.add_argument("--refit", action="store_true", help="train on training and validation images before the test")
    made.add_argument("--again", action="store_true", help="look at the test set a second time; it is counted")
    return made


def run(args: Namespace) -> int:
    """Promote it."""
    from idealfit.api import promote

    root = read_place([word for word in args.overrides if word.startswith("runs_dir=")])[1]
    given = {key: value for key in ("top", "seeds", "test") if (value := getattr(args, key)) is not None}
    promoted = promote(
        args.study, *args.overrides, runs_dir=root["runs_dir"], refit=args.refit, again=args.again, **given
    )
    return DONE if promoted else INTERRUPTED
