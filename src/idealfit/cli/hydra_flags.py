"""Hydra's own flags on our verbs: `--cfg job`, `--info`, `-m`, `--hydra-help` go through `hydra.main` itself."""

from __future__ import annotations

import io
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

from idealfit.cli.app import UsageError
from idealfit.spec import UserError, redacted

INFO_SECTIONS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def add_hydra_flags(parser: ArgumentParser, *, multirun: bool) -> None:
    """Add the flags, named as Hydra names them."""
    group = parser.add_argument_group("Hydra's own flags")
    one = group.add_mutually_exclusive_group()
    one.add_argument("--cfg", "-c", choices=("job", "hydra", "all"), help="print the composed config and stop")
    one.add_argument("--info", "-i", nargs="?", const="all", choices=INFO_SECTIONS, help="how the config came to be")
    one.add_argument("--hydra-help", action="store_true", help="Hydra's help")
    if multirun:
        one.add_argument("--multirun", "-m", action="store_true", help="run all values: optimizer.lr=0.1,0.01")
    group.add_argument("--resolve", "-r", action="store_true", help="with --cfg: interpolations resolved")
    group.add_argument("--package", "-p", help="with --cfg: this node alone, e.g. model")


def hydra_arguments(args: Namespace) -> list[str]:
    """The flags that were given, as Hydra wants them; empty: none was.

    Raises:
        UsageError: A flag that makes no sense alone.
    """
    if args.cfg is None and (args.resolve or args.package):
        raise UsageError("--resolve and --package go with --cfg job")
    given = [
        f"--{name.replace('_', '-')}" for name in ("resolve", "hydra_help", "multirun") if getattr(args, name, False)
    ]
    for name in ("cfg", "package", "info"):
        if value := getattr(args, name):
            given += [f"--{name}", value]
    return given


def through_hydra(
    task: Callable[[Any], None], *, config_name: str, flags: Sequence[str], overrides: Sequence[str] = ()
) -> None:
    """Run `hydra.main` on the same search path as ours; errors are raised instead of printed.

    Raises:
        UserError: What Hydra does not understand, in our words.
    """
    import hydra

    from idealfit.config import Composer, hydra_search_path
    from idealfit.config.compose import FILE_ERRORS

    try:
        shown = nullcontext() if "--multirun" in flags else _without_passwords()
        with shown, _process_state(["idealfit", *flags, *overrides]), hydra_search_path() as config_path:
            hydra.main(config_path=config_path, config_name=config_name, version_base="1.3")(task)()
    except UserError:
        raise
    except (*FILE_ERRORS, RuntimeError) as error:
        Composer(config_name, overrides)  # says it better, if it is the config
        raise UsageError(str(error).partition("\n")[0]) from error


@contextmanager
def _without_passwords() -> Iterator[None]:
    """A printed config is pasted into issues and logs: no credential goes with it."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        sys.stdout.write(redacted(printed.getvalue()))


@contextmanager
def _process_state(argv: list[str]) -> Iterator[None]:
    """Hydra reads `sys.argv`, and prints errors unless `HYDRA_FULL_ERROR` is 1."""
    old_argv, old_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = argv, "1"
    try:
        yield
    finally:
        sys.argv = old_argv
        if old_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = old_error
