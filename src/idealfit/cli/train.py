"""`idealfit train`: one run in this process, where a debugger can follow it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from idealfit.cli.app import DONE, FAILED, INTERRUPTED, Parser, UsageError
from idealfit.cli.hydra_flags import add_hydra_flags, hydra_arguments, through_hydra
from idealfit.cli.sweep import exit_code


def parser() -> ArgumentParser:
    """The arguments of `train`."""
    made = Parser(prog="idealfit train", description="Train once and record the run.")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="model=cnn optimizer.lr=0.01 data=mnist ...")
    made.add_argument("--like", metavar="RUN", help="start from the recorded config of STUDY/NUMBER, STUDY/best, ...")
    add_hydra_flags(made, multirun=True)
    return made


def run(args: Namespace) -> int:
    """Train; with Hydra's flags, what Hydra does."""
    flags = hydra_arguments(args)
    if flags and args.like:
        raise UsageError("--like takes a recorded config, which Hydra's flags do not know: leave one of them out")
    if args.multirun:
        # Not by way of `hydra.main`, which would build the callbacks that any config file may name.
        from idealfit.api import multirun

        return exit_code(multirun("train", *args.overrides))
    if flags:
        through_hydra(_never_called, config_name="train", flags=flags, overrides=args.overrides)
        return DONE
    from idealfit.api import train
    from idealfit.spec import TrialState

    result = train(*args.overrides, like=args.like).result
    if result.state is TrialState.INTERRUPTED:
        return INTERRUPTED
    return FAILED if result.state is TrialState.FAILED else DONE


def _never_called(config: object) -> None:
    """Hydra's flags print and stop: no training happens inside `hydra.main`."""
