"""`idealfit sweep NAME`: a study, from its file in `sweeps/`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from idealfit.cli.app import DONE, FAILED, INTERRUPTED, Parser, UsageError
from idealfit.cli.hydra_flags import add_hydra_flags, hydra_arguments, through_hydra
from idealfit.spec import nearest

if TYPE_CHECKING:
    from idealfit.api import Study

EXIT_CODES = {"": DONE, "done": DONE, "failed": FAILED, "interrupted": INTERRUPTED}


def parser() -> ArgumentParser:
    """The arguments of `sweep`."""
    made = Parser(
        prog="idealfit sweep",
        description="Run a study; again on the same name, go on where it stopped.",
        epilog="A plain value fixes a key (model.depth=3); Hydra's sweep grammar searches it "
        "(optimizer.lr='tag(log,interval(1e-4,1e-1))' model.width=64,128 model='choice(mlp,cnn)').",
    )
    made.add_argument("name", metavar="NAME", help="a file of sweeps/, yours or the ones that come with idealfit")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="study.budget.trials=50 data=mnist ...")
    add_force(made)
    add_hydra_flags(made, multirun=False)
    return made


def run(args: Namespace) -> int:
    """Run the study; with Hydra's flags, whatever Hydra does."""
    flags = hydra_arguments(args)
    if flags:
        check_sweep(args.name)
        through_hydra(lambda config: None, config_name=args.name, flags=flags, overrides=args.overrides)
        return DONE
    from idealfit.engines import warm_up

    warm_up(args.overrides)  # first of all: the imports of workers take longest
    check_sweep(args.name)
    from idealfit.api import sweep

    return exit_code(sweep(args.name, *args.overrides, force=args.force))


def check_sweep(name: str) -> None:
    """Refuse a name that no file of `sweeps/` has.

    Raises:
        UsageError: With the nearest names.
    """
    from idealfit.config import config_names

    names = config_names("sweep")
    if name not in names:
        hint = nearest(name, names) or f"There are: {', '.join(names)}."
        raise UsageError(f"no sweep {name!r} in sweeps/. {hint}")


def add_force(parser: ArgumentParser) -> None:
    """Add `--force`."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="where a study of this name asked another question, start a new one under the next free name",
    )


def exit_code(study: Study) -> int:
    """How a study's end is told to the shell."""
    if study.ending == "done" and study.rows and study.best is None:
        return FAILED  # every trial failed, if each for another reason
    return EXIT_CODES[study.ending]
