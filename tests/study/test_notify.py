"""Hooks hear what happens, and never hurt a study."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from idealfit.spec import FailureKind, Objective, StudyError, TrialState
from idealfit.study.display import SilentDisplay
from idealfit.study.notify import COMMAND, WEBHOOK, Notifier, NotifyingDisplay, check_hooks, notify_end
from idealfit.study.outcome import StudyResult, TrialRow
from idealfit.study.progress import Progress


def row(number: int, value: float | None, message: str = "") -> TrialRow:
    state = TrialState.COMPLETE if value is not None else TrialState.FAILED
    failure = None if value is not None else FailureKind.BUG
    return TrialRow(
        study="s", number=number, state=state, value=value, params={"lr": 0.1}, failure=failure, message=message
    )


def play(notifier: Notifier) -> None:
    """A study of three trials."""
    progress = Progress(name="s", question="", objective=Objective(), budget_trials=3, num_slots=1)
    progress.begin([])
    display = NotifyingDisplay(SilentDisplay(), notifier)
    for each in (row(0, 0.5), row(1, 0.25), row(2, None, "bad\nthings")):
        progress.add(each)
        display.finished(each, progress)
    rows = [row(0, 0.5)]
    notify_end(
        notifier,
        StudyResult(name="s", ending="done", reason="r", objective=Objective(), rows=rows, study_dir=Path()),
    )
    notifier.close()


EVENTS = [
    ("best", "s/0 is the best so far: val/accuracy 0.5000, lr=0.1"),
    ("failure", "s/2 failed: bug: bad"),
    ("end", "s is done: r; 1 trial, best val/accuracy 0.5000 by trial 0"),
]


def test_a_command_hears_new_bests_failures_and_the_end(tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    lines = ("import os, sys", "assert os.environ['IDEALFIT_EVENT']", f"out = open({str(tmp_path / 'heard')!r}, 'a')")
    script.write_text("\n".join([*lines, "out.write(sys.stdin.read() + chr(10))"]))
    problems: list[str] = []
    play(Notifier({COMMAND: f"{sys.executable} {script}"}, problems.append))
    heard = [json.loads(line) for line in (tmp_path / "heard").read_text().splitlines()]
    assert [(each["event"], each["text"]) for each in heard] == EVENTS
    assert problems == []


def test_a_webhook_gets_the_same_as_json() -> None:
    heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        play(Notifier({WEBHOOK: f"http://127.0.0.1:{server.server_port}/secret"}, pytest.fail))
        server.shutdown()
        thread.join()
    assert [(each["event"], each["text"]) for each in heard] == EVENTS


@pytest.mark.parametrize(
    "environment", [{COMMAND: "false"}, {COMMAND: "/no/such 'thing"}, {WEBHOOK: "file:///etc/passwd"}]
)
def test_a_failing_hook_is_told_once_and_raises_nothing(environment: dict[str, str]) -> None:
    problems: list[str] = []
    play(Notifier(environment, problems.append))
    (problem,) = problems
    assert "The study goes on" in problem
    assert "passwd" not in problem


def test_without_a_hook_there_is_no_thread() -> None:
    play(Notifier({}, pytest.fail))
    assert "idealfit-notifier" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({COMMAND: "/no/such --thing"}, "no program '/no/such'"),
        ({COMMAND: "say 'it"}, "can't be read"),
        ({COMMAND: " "}, "can't be read"),
        ({WEBHOOK: "ftp://secret"}, "must begin with http"),
    ],
)
def test_a_hook_that_can_never_work_is_refused_before_training(environment: dict[str, str], words: str) -> None:
    with pytest.raises(StudyError, match=words) as caught:
        check_hooks(environment)
    assert "secret" not in str(caught.value)


def test_hooks_that_may_work_are_accepted() -> None:
    check_hooks({})
    check_hooks({COMMAND: f"{sys.executable} -c pass", WEBHOOK: "https://example.org/x"})


def test_an_equal_score_is_no_new_best() -> None:
    sent: list[str] = []

    class Heard(Notifier):
        def send(self, event: str, study: str, text: str, **more: object) -> None:  # type: ignore[override]
            sent.append(text)

    progress = Progress(name="s", question="", objective=Objective(), budget_trials=3, num_slots=1)
    progress.begin([])
    display = NotifyingDisplay(SilentDisplay(), Heard({}, pytest.fail))
    for each in (row(0, 0.5), row(1, 0.5), row(2, 0.75)):
        progress.add(each)
        display.finished(each, progress)
    assert [text.split()[0] for text in sent] == ["s/0", "s/2"]
