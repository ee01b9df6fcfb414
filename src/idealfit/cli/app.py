"""Pick the verb, run it, and end with its exit code: 0 done, 1 the work failed, 2 wrong input, 130 interrupted."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Protocol, cast

from idealfit import __version__
from idealfit.spec import UserError, nearest

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

VERBS = {
    "train": "one training run: idealfit train model=cnn optimizer.lr=0.01",
    "sweep": "a study: idealfit sweep lr_dropout_depth data=mnist",
    "plan": "what a study would try and take; trains nothing",
    "resume": "go on with a study where it stopped",
    "promote": "the best trials and the default on fresh seeds; then the test set, once",
    "lr-range": "which learning rates a training can take, with a picture",
    "diff": "runs side by side: what differs, and what came out",
    "export": "a trained run as a folder that needs no idealfit",
    "reproduce": "train a recorded run again, and say whether it came out the same",
    "runs": "the leaderboard of a study, or the list of all studies",
    "report": "one HTML file (or md, csv, json, parquet) on a whole study",
    "compare": "which configuration wins where, over studies and trials",
    "watch": "the live table of a study that another terminal drives",
    "worker": "give a study that runs elsewhere the slots of this machine",
    "ui": "the MLflow UI, opened on a study",
    "dashboard": "Optuna's own dashboard on a study, if it is installed",
    "sync": "send MLflow what it misses, from the records",
    "init": "a small project of your own: a net, a config, a sweep, a test",
}


class UsageError(UserError):
    """The command line itself is wrong."""


class Parser(ArgumentParser):
    """An argument parser that raises instead of ending the process."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise, so that every wrong input leaves by the same door."""
        raise UsageError(f"{message}. See {self.prog} --help.")


class Verb(Protocol):
    """What a verb's module offers."""

    def parser(self) -> ArgumentParser:
        """Its arguments and help."""
        ...

    def run(self, args: Namespace) -> int:
        """Do it; returns the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    atexit.register(_leave_quickly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of files and studies may hold what the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if argv is None else argv)
    with_traceback = "--traceback" in arguments or os.environ.get("IDEALFIT_TRACEBACK") == "1"
    try:
        return _dispatch([argument for argument in arguments if argument != "--traceback"])
    except UserError as error:
        if with_traceback:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `idealfit runs | head`
        sys.stderr.close()
        return DONE
    except OSError as error:  # a folder that may not be read, a full disk: no fault of ours
        if with_traceback:
            traceback.print_exc()
        print(f"error: {UserError(str(error))}", file=sys.stderr)
        return FAILED


def _leave_quickly() -> None:
    """Spare Python the seconds that it takes to collect what MLflow has loaded; triton would call it a leak."""
    if "torch" not in sys.modules:
        gc.freeze()


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(help_text())
        return DONE
    verb, *rest = arguments
    if verb in ("-V", "--version"):
        print(f"idealfit {__version__}")
        return DONE
    if verb in ("-sc", "--shell-completion"):
        from idealfit.cli.completion import complete

        return complete(rest)
    if verb not in VERBS:
        raise UsageError(f"no verb {verb!r}. {nearest(verb, VERBS)} See idealfit --help.")
    module = cast(Verb, importlib.import_module(f"idealfit.cli.{verb.replace('-', '_')}"))
    parser = module.parser()
    return module.run(parser.parse_intermixed_args(rest))


def help_text() -> str:
    """What `idealfit --help` prints."""
    verbs = "\n".join(f"  {name:<9} {help_}" for name, help_ in VERBS.items())
    return f"""usage: idealfit VERB [arguments]

Find the ideal fit between under- and overfitting of an image classifier.

{verbs}

  idealfit VERB --help          what a verb takes
  idealfit train --cfg job      the composed config; --info, -m/--multirun and Hydra's other flags work too
  eval "$(idealfit -sc install=bash)"   tab completion

  --traceback (or IDEALFIT_TRACEBACK=1)   show where an error comes from
  --version

Exit codes: 0 done, 1 the work failed, 2 the input is wrong, 130 interrupted and resumable."""
