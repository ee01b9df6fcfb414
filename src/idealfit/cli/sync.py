"""`idealfit sync [STUDY]`: send MLflow what it does not have yet, from the records."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from idealfit.cli.app import DONE, FAILED, Parser, UsageError
from idealfit.cli.place import add_place, read_place
from idealfit.record import PROMOTED
from idealfit.spec import JSON
from idealfit.text import counted


def parser() -> ArgumentParser:
    """The arguments of `sync`."""
    made = Parser(
        prog="idealfit sync",
        description="Send the tracking store what it misses of a study's records: once only, in order.",
    )
    add_place(made, "a study's name (default: all); `train` for single runs")
    return made


def run(args: Namespace) -> int:
    """Send, and say how much."""
    from idealfit.study.outcome import list_studies, no_such_study

    study, root = read_place(args.words)
    if not root["tracking"]["uri"]:
        raise UsageError("tracking.uri is empty: there is nowhere to send to. Add tracking.uri=...")
    runs_dir = Path(root["runs_dir"]).expanduser().resolve()
    names = list_studies(runs_dir)
    if study is not None and study not in names:
        raise no_such_study(runs_dir, study)
    failures: list[str] = []
    for name in [study] if study else names:
        failures += _sync_one(runs_dir, name, root, experiment=name)
        if (runs_dir / name / PROMOTED).is_dir():
            failures += _sync_one(runs_dir, f"{name}/{PROMOTED}", root, experiment=name)
    return FAILED if failures else DONE


def _sync_one(runs_dir: Path, name: str, root: JSON, *, experiment: str) -> list[str]:
    from idealfit.record import iter_records
    from idealfit.study.lock import is_driven
    from idealfit.study.single import STUDY as SINGLE_RUNS
    from idealfit.tracking import sync

    report = sync(
        iter_records(runs_dir, name),
        study=name,
        study_dir=None if name == SINGLE_RUNS else runs_dir / name,
        uri=root["tracking"]["uri"],
        experiment=root["tracking"]["experiment"] or experiment,
        is_running=is_driven(runs_dir / experiment),
    )
    trials = counted(report.num_trials, "trial")
    print(f"{name}: {trials}, {report.num_sent} had something to send, {len(report.failures)} failed")
    for failure in report.failures:
        print(f"  {failure}")
    return report.failures
