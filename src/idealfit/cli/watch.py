"""`idealfit watch STUDY`: the live table of a study that another terminal or machine drives."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from idealfit.cli.app import DONE, Parser
from idealfit.cli.place import add_place, read_study_place

if TYPE_CHECKING:
    from idealfit.study.watching import Watch

POLL_S = 1.0


def parser() -> ArgumentParser:
    """The arguments of `watch`."""
    made = Parser(
        prog="idealfit watch",
        description="Show a study at work until it ends: a live table on a terminal, a line for each trial elsewhere. "
        "It reads records alone, so that any number may watch; Ctrl-C stops watching, never the study.",
    )
    add_place(made, "a study's name")
    return made


def run(args: Namespace) -> int:
    """Follow it to its end."""
    from idealfit.report.summary import summary
    from idealfit.study.watching import Watch

    study, runs_dir = read_study_place(args.words)
    watch = Watch(_existing(runs_dir, study))
    try:
        _follow(watch)
    except KeyboardInterrupt:
        return DONE
    print(summary(watch.result()), flush=True)
    return DONE


def _follow(watch: Watch) -> None:
    from idealfit.study.display import headline, make_display

    if watch.is_over:
        return
    display = make_display()
    display.open(watch.progress)
    try:
        display.say(headline(watch.progress))
        while not watch.is_over:
            time.sleep(POLL_S)
            for row in watch.poll():
                display.finished(row, watch.progress)
    finally:
        display.close()


def _existing(runs_dir: Path, study: str) -> Path:
    from idealfit.study.launch import launched_at
    from idealfit.study.outcome import list_studies, no_such_study

    if study not in list_studies(runs_dir) and not launched_at(runs_dir / study):
        raise no_such_study(runs_dir, study)
    return runs_dir / study
