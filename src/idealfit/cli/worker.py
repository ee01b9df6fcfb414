"""`idealfit worker STUDY_URL`: the slots of this machine for a study that another one drives."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from idealfit.cli.app import DONE, FAILED, Parser

if TYPE_CHECKING:
    from idealfit.engines.workers_service import Worker

LAST_WORDS = {"left": "left", "over": "the study is over", "lost": "the study did not come back"}


def parser() -> ArgumentParser:
    """The arguments of `worker`."""
    made = Parser(
        prog="idealfit worker",
        description="Run trials of a study that another machine drives with engine=workers, until it is over. Ctrl-C "
        "leaves: what runs here writes its checkpoint and goes on elsewhere.",
        epilog="The study's folder must lie under the same path here. Whoever may write to that database may run code "
        "here: join none that you do not trust.",
    )
    made.add_argument("url", metavar="STUDY_URL", help="postgresql://USER:PASSWORD@HOST/DATABASE#STUDY")
    made.add_argument("--slots", type=int, default=0, help="trials at once; default: one a GPU, else one a core")
    made.add_argument("--stay", action="store_true", help="wait for a study to begin, and for the next one at its end")
    return made


def run(args: Namespace) -> int:
    """Serve until the study is over, or a signal comes."""
    from idealfit.engines.workers_service import Worker
    from idealfit.study.stopping import StopSwitch

    worker: Worker | None = None

    def kill() -> None:
        if worker:
            worker.kill()

    with StopSwitch(kill=kill, last_words="Ended at once.") as switch:
        worker = Worker(args.url, slots=args.slots, stays=args.stay, say=_say, stop_requested=switch.is_requested)
        ending = worker.run()
    _say(LAST_WORDS[ending])
    return FAILED if ending == "lost" else DONE


def _say(line: str) -> None:
    print(line, flush=True)
