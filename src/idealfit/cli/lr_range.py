"""`idealfit lr-range`: the learning-rate range test of one training."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from idealfit.cli.app import DONE, FAILED, INTERRUPTED, Parser


def parser() -> ArgumentParser:
    """The arguments of `lr-range`."""
    made = Parser(
        prog="idealfit lr-range",
        description="Make one step at each of many learning rates, and draw the loss over the rate (Smith, 2017). All "
        "else is as in `idealfit train` with the same KEY=VALUE. The record lies in runs/lr_range/NUMBER.",
    )
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="model=cnn data=mnist optimizer=momentum ...")
    made.add_argument("--lowest", type=float, default=1e-6, metavar="RATE", help="the first rate (default 1e-6)")
    made.add_argument("--highest", type=float, default=10.0, metavar="RATE", help="the last rate (default 10)")
    made.add_argument("--steps", type=int, default=100, metavar="N", help="how many rates (default 100)")
    return made


def run(args: Namespace) -> int:
    """Test them."""
    from idealfit.api import lr_range
    from idealfit.spec import TrialState

    result = lr_range(*args.overrides, lowest=args.lowest, highest=args.highest, steps=args.steps).result
    if result.state is TrialState.INTERRUPTED:
        return INTERRUPTED
    return FAILED if result.state is TrialState.FAILED else DONE
