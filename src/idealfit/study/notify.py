"""Tells somebody who is not looking: a command or a webhook hears of a new best, a failed trial and the end.

Both are named by the environment and never by a config: a config may be a stranger's, and must not run a command; the
address of a webhook is a password, and must not get into a record.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from idealfit.spec import JSON, StudyError, TrialState
from idealfit.study.outcome import StudyResult, TrialRow
from idealfit.study.progress import Display, Progress, params_text
from idealfit.text import counted

COMMAND, WEBHOOK = "IDEALFIT_NOTIFY_COMMAND", "IDEALFIT_NOTIFY_WEBHOOK"
WEB = ("http://", "https://")
TIMEOUT_S = 10.0
MAX_WAITING = 100  # a hook slower than the study misses events rather than hold them all
Event = Literal["best", "failure", "end"]


class Notifier:
    """Sends events on a thread of its own; whatever becomes of one, the study goes on.

    Args:
        environment: Where command and webhook are named; without both, nothing is ever sent.
        on_problem: Told the first time that a hook fails.
    """

    def __init__(self, environment: Mapping[str, str], on_problem: Callable[[str], None]) -> None:
        self._command = environment.get(COMMAND, "")
        self._webhook = environment.get(WEBHOOK, "")
        self._on_problem = on_problem
        self._has_failed = False
        self._queue: queue.Queue[JSON | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None

    def send(self, event: Event, study: str, text: str, **more: object) -> None:
        """Send soon; returns at once.

        Args:
            event: What happened.
            study: Where.
            text: It in words, on one line.
            more: Further values for programs, plain JSON.
        """
        if not (self._command or self._webhook):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="idealfit-notifier", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait({"event": event, "study": study, "text": text, **more})
        except queue.Full:
            self._failed("it is slower than the study")

    def close(self) -> None:
        """Wait for what is still to be sent, a little."""
        if self._thread:
            try:
                self._queue.put(None, timeout=TIMEOUT_S)
            except queue.Full:
                return
            self._thread.join(timeout=2 * TIMEOUT_S)

    def _work(self) -> None:
        while (message := self._queue.get()) is not None:
            for hook, address in ((_run, self._command), (_post, self._webhook)):
                if address:
                    try:
                        hook(address, message)
                    except Exception as error:  # noqa: BLE001 - a hook is never worth a study
                        self._failed(f"{type(error).__name__} at event {message['event']}")

    def _failed(self, what: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._on_problem(f"a notification failed: {what}. The study goes on; further ones are not told.")


class NotifyingDisplay:
    """A display that lets a notifier hear what it is shown."""

    def __init__(self, display: Display, notifier: Notifier) -> None:
        self._display = display
        self._notifier = notifier
        self.open, self.say, self.close = display.open, display.say, display.close

    def finished(self, row: TrialRow, progress: Progress) -> None:
        """Show it; a new best and a failure are sent on."""
        self._display.finished(row, progress)
        best = progress.best
        if row.state is TrialState.FAILED:
            first = (row.message.strip().splitlines() or [""])[0][:200]
            text = f"{row.label} failed: {row.failure}: {first}"
            self._notifier.send("failure", row.study, text, trial=row.number, failure=row.failure)
        elif best and best.number == row.number and not _repeats(row, progress.rows):
            score = f"{progress.objective.label} {row.value:.4f}"
            text = f"{row.label} is the best so far: {score}, {params_text(row.params)}"
            self._notifier.send("best", row.study, text, trial=row.number, value=row.value)


def check_hooks(environment: Mapping[str, str]) -> None:
    """Check what can be known before training.

    Raises:
        StudyError: The command is no program, or the webhook no web address.
    """
    command, webhook = environment.get(COMMAND, ""), environment.get(WEBHOOK, "")
    if command:
        try:
            program = shlex.split(command)[0]
        except (ValueError, IndexError) as error:
            raise StudyError(f"{COMMAND}: {command!r} can't be read as a command: {error}") from None
        if shutil.which(program) is None:
            raise StudyError(f"{COMMAND}: there is no program {program!r}. Give its path, or unset the variable.")
    if webhook and not webhook.startswith(WEB):
        raise StudyError(f"{WEBHOOK} must begin with http:// or https://. Correct it, or unset it.")


def _repeats(row: TrialRow, rows: Sequence[TrialRow]) -> bool:
    """Whether another trial had this score before."""
    return any(each.value == row.value and each.state is row.state and each.number != row.number for each in rows)


def notify_end(notifier: Notifier, result: StudyResult) -> None:
    """Send how a study ended."""
    best = result.best
    winner = "no trial has a score"
    if best:
        winner = f"best {result.objective.label} {best.value:.4f} by trial {best.number}"
    reason = (result.reason.splitlines() or [""])[0]
    text = f"{result.name} is {result.ending}: {reason}; {counted(len(result.rows), 'trial')}, {winner}"
    notifier.send("end", result.name, text, ending=result.ending, trial=best.number if best else None)


def _run(command: str, message: JSON) -> None:
    """The command gets the message as JSON on its standard input; no shell comes in between."""
    subprocess.run(
        shlex.split(command),
        input=json.dumps(message).encode(),
        env=os.environ | {"IDEALFIT_EVENT": message["event"], "IDEALFIT_TEXT": message["text"].replace("\0", "")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=True,
    )


def _post(address: str, message: JSON) -> None:
    """POST the message as JSON; chat programs show its `text`."""
    if not address.startswith(WEB):
        raise ValueError("no http address")
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, json.dumps(message).encode(), headers)
    urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
