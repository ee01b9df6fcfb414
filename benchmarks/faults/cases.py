"""Runs many small cases, each in an empty folder and against a deadline, and tells which ended as they must not."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from idealfit.spec import IdealfitError

SECRET = "hunter2-is-secret"  # in every address with a password: no message may hold it
MAX_MESSAGE = 2000
MAX_LINES = 8
TRACE = re.compile(r'Traceback \(most recent call last\)|^\s*File ".*", line \d+', re.MULTILINE)

Action = Callable[[Path], str | None]
"""Works in the folder given, which is the working directory too.

It raises an `IdealfitError` (the input was refused), or returns what was right about its result; None where there was
nothing to be right about.
"""


class WrongError(Exception):
    """A result that is not right; the message says why."""


class _HangError(BaseException):
    """The deadline is over. No `except Exception` of the code under test may swallow it."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        must_fail: Whether only a refusal is right.
    """

    kind: str
    what: str
    action: Action
    must_fail: bool = False


@dataclass
class CaseReport:
    """What came of all cases."""

    num_cases: int = 0
    num_refused: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest: str = ""
    by_kind: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, case: Case, *, refused: bool, seconds: float, problem: str) -> None:
        """Count one case."""
        self.num_cases += 1
        self.num_refused += refused
        self.seconds += seconds
        self.by_kind[case.kind] += 1
        if seconds > self.slowest_s:
            self.slowest_s, self.slowest = seconds, f"{case.kind}: {case.what}"
        if problem:
            self.wrong.append(f"{case.kind}: {case.what}\n    {problem}")


def run_cases(cases: Iterable[Case], directory: Path, *, deadline_s: float = 60.0) -> CaseReport:
    """Run each case in `DIRECTORY/INDEX`; folders of cases that ended well are removed."""
    report = CaseReport()
    for index, case in enumerate(cases):
        folder = directory / str(index)
        folder.mkdir(parents=True)
        started = time.monotonic()
        refused, problem = run_case(case, folder, deadline_s=deadline_s)
        report.add(case, refused=refused, seconds=time.monotonic() - started, problem=problem)
        if not problem:
            shutil.rmtree(folder, ignore_errors=True)
    return report


def run_case(case: Case, folder: Path, *, deadline_s: float) -> tuple[bool, str]:
    """Whether the case was refused, and what is wrong with how it ended ("" for nothing)."""
    try:
        with inside(folder), _deadline(deadline_s), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.action(folder)
    except IdealfitError as error:
        return True, badly_said(str(error))
    except WrongError as error:
        return False, str(error)
    except _HangError:
        return False, f"hung: not done after {deadline_s:g} s"
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-4:]
        places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(last))
        return False, f"{type(error).__name__}: {str(error)[:300]} ({places})"
    return False, "was taken as if it were right" if case.must_fail else ""


def badly_said(message: str) -> str:
    """Why a message is not fit for a user; "" where it is."""
    if not message.strip():
        return "refused without a word"
    if len(message) > MAX_MESSAGE or message.count("\n") >= MAX_LINES:
        return f"a message of {len(message)} characters, {message.count(chr(10)) + 1} lines: {message[:200]!r} ..."
    if TRACE.search(message):
        return f"a traceback instead of a message: {message[-300:]!r}"
    if SECRET in message:
        return f"a message with a password in it: {message[:300]!r}"
    return ""


def command_line(arguments: list[str]) -> tuple[int, str]:
    """Run `idealfit ARGUMENTS` in this process; the exit code and what it said on either stream.

    Raises:
        WrongError: It ended with a traceback, an unknown exit code, a password, or bytes that command a terminal.
    """
    from idealfit.cli import main

    out, err = _terminal(), _terminal()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as error:  # --help
            code = error.code if isinstance(error.code, int) else 1
    out.flush()
    err.flush()
    said = (out.buffer.getvalue() + err.buffer.getvalue()).decode()  # type: ignore[attr-defined]
    if code not in (0, 1, 2, 130):
        raise WrongError(f"the exit code {code}")
    if TRACE.search(said):
        raise WrongError(f"a traceback: {said[-300:]!r}")
    if SECRET in said:
        raise WrongError(f"a password in {said[:300]!r}")
    if strange := sorted({letter for letter in said if not letter.isprintable() and letter != "\n"}):
        raise WrongError(f"characters {strange} reached the terminal: {said[:300]!r}")
    if code == 2 and (problem := badly_said(said.strip())):
        raise WrongError(problem)
    return code, said


def _terminal() -> io.TextIOWrapper:
    """A stream as strict as a terminal in UTF-8."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in `folder`."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise in the main thread when `seconds` are over; a timer that ran before goes on afterwards."""

    def give_up(*_: object) -> None:
        raise _HangError

    handler = signal.signal(signal.SIGALRM, give_up)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    started = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.01, left - (time.monotonic() - started)), interval)
