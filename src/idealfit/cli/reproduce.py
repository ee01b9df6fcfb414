"""`idealfit reproduce RUN`: train any recorded run again, and say whether it came out the same."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from idealfit.cli.app import DONE, INTERRUPTED, Parser


def parser() -> ArgumentParser:
    """The arguments of `reproduce`."""
    made = Parser(
        prog="idealfit reproduce",
        description="Train a recorded run again, compare every curve epoch by epoch, and say what differs: exit code 0 "
        "for identical and equivalent, 1 for different.",
        epilog="Packages are trusted anew each time: trusted_packages=[mynets]. A key of the recorded config may be "
        "changed: data.root=/elsewhere, seed=1.",
    )
    made.add_argument("run", metavar="RUN", help="STUDY/NUMBER, STUDY/best, a record's directory or an MLflow run id")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="runs_dir=... tracking.uri=... data.root=...")
    made.add_argument("--dry-run", action="store_true", help="only show what differs between then and now")
    made.add_argument("--env", action="store_true", help="print the requirements to install, exact versions")
    made.add_argument(
        "--checkout", action="store_true", help="take your code from the recorded commit and patch, in a git worktree"
    )
    return made


def run(args: Namespace) -> int:
    """Do it."""
    from idealfit.reproduce.verb import recorded_requirements, reproduce

    if args.env:
        print(recorded_requirements(args.run, *args.overrides), end="")
        return DONE
    made = reproduce(args.run, *args.overrides, dry_run=args.dry_run, checkout=args.checkout)
    if made.verdict is None:
        return DONE if args.dry_run else INTERRUPTED
    return made.verdict.exit_code
