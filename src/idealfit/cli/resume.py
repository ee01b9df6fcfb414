"""`idealfit resume STUDY`: go on with a study exactly where it stopped."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from idealfit.cli.app import Parser
from idealfit.cli.place import read_place
from idealfit.cli.sweep import add_force, exit_code


def parser() -> ArgumentParser:
    """The arguments of `resume`."""
    made = Parser(
        prog="idealfit resume",
        description="Go on with a study: its budget is the total, its numbers go on, trials that were running continue "
        "from their last checkpoints.",
        epilog="More of it: idealfit resume STUDY study.budget.trials=50. Packages are trusted anew each time: "
        "trusted_packages=[mynets].",
    )
    made.add_argument("study", metavar="STUDY", help="a study's name; idealfit runs lists them")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="what shall be different, e.g. engine.slots=4")
    add_force(made)
    return made


def run(args: Namespace) -> int:
    """Go on with it."""
    from idealfit.engines import warm_up

    warm_up(args.overrides)
    from idealfit.api import resume

    root = read_place([word for word in args.overrides if word.startswith("runs_dir=")])[1]
    return exit_code(resume(args.study, *args.overrides, runs_dir=root["runs_dir"], force=args.force))
