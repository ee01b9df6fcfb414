"""Configs, files and names that want something executed. Nothing may be, and each must end in a word to the user."""

from __future__ import annotations

import contextlib
import io
import shutil
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults import hostile_files, hostile_targets
from benchmarks.faults.cases import badly_said, inside
from benchmarks.faults.payloads import Attack, Hostile
from benchmarks.faults.tripwire import CANARY, Tripwire, armed
from idealfit.spec import IdealfitError


@dataclass
class HostileReport:
    """What came of all hostile inputs.

    Attributes:
        num_live: How many were shown to work on a careless program, of `num_controlled` that can be shown.
        executed: Those that idealfit executed.
        wrong: Those that ended in something else than a word to the user.
    """

    num_cases: int = 0
    num_controlled: int = 0
    num_live: int = 0
    seconds: float = 0.0
    by_kind: Counter[str] = field(default_factory=Counter)
    executed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)


def all_cases(*, short: bool = False) -> Iterator[Hostile]:
    """Every hostile input there is; `short`: fewer of those that are alike."""
    yield from hostile_targets.cases(max_aliases=5 if short else 60)
    yield from hostile_files.cases()


def run(directory: Path, *, short: bool = False) -> HostileReport:
    """Try them all."""
    return run_hostile(all_cases(short=short), directory)


def run_hostile(cases: Iterable[Hostile], directory: Path) -> HostileReport:
    """Give each case to idealfit and, where there is one, to a careless program; each in an empty folder."""
    _import_everything()
    report, started = HostileReport(), time.monotonic()
    for index, case in enumerate(cases):
        report.num_cases += 1
        report.by_kind[case.kind] += 1
        trips, problem = _attack(case.attack, directory / str(index), case.in_process)
        if trips:
            report.executed.append(f"{case.kind}: {case.what}\n    {trips[0]}")
        elif problem:
            report.wrong.append(f"{case.kind}: {case.what}\n    {problem}")
        if case.careless:
            report.num_controlled += 1
            trips, _ = _attack(case.careless, directory / f"{index}-careless", case.in_process)
            report.num_live += bool(trips)
            report.dead += [] if trips else [f"{case.kind}: {case.what}"]
    report.seconds = time.monotonic() - started
    return report


def _attack(attack: Attack, folder: Path, in_process: bool) -> tuple[list[str], str]:
    """What was executed, and what is wrong with how it ended."""
    folder.mkdir(parents=True)
    problem, silence = "", io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(inside(folder))
        stack.enter_context(contextlib.redirect_stdout(silence))
        stack.enter_context(contextlib.redirect_stderr(silence))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        wire = stack.enter_context(armed(folder)) if in_process else Tripwire(folder)
        try:
            attack(folder)
        except IdealfitError as error:
            problem = badly_said(str(error))
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            last = traceback.extract_tb(error.__traceback__)[-3:]
            places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(last))
            problem = f"{type(error).__name__}: {str(error)[:300]} ({places})"
        trips = list(wire.trips)
    trips += [f"made {path}" for path in folder.rglob(f"{CANARY}*")]
    if not trips and not problem:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
    return trips, problem


def _import_everything() -> None:
    """Before anything is armed: importing a library for the first time opens shared objects, and may start programs."""
