import io
from dataclasses import replace
from pathlib import Path

import pytest

from idealfit.record import Record
from idealfit.spec import FailureKind, Objective, TrialSpec, TrialState
from idealfit.study.display import PlainDisplay, SilentDisplay, headline, make_display, table_of
from idealfit.study.outcome import TrialRow
from idealfit.study.progress import Progress, RunningTrial, seconds_text


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    progress = Progress(name="s", question="Which?", objective=Objective(), budget_trials=4, num_slots=2)
    progress.begin([])
    record = Record.create(TrialSpec(study="s", number=1, config={}, record_dir=str(tmp_path / "s" / "1")))
    record.append_metrics(0, {"val/accuracy": 0.25})
    record.append_metrics(1, {"val/accuracy": 0.75})
    progress.running[1] = RunningTrial(number=1, slot=0, params={"model.depth": 3}, record=record, max_epochs=9)
    return progress


def row(number: int, value: float | None = 0.5, **changes: object) -> TrialRow:
    state = TrialState.FAILED if value is None else TrialState.COMPLETE
    base = {"study": "s", "number": number, "state": state, "value": value, "params": {"optimizer.lr": 0.0123456}}
    return TrialRow(**{**base, **changes})  # type: ignore[arg-type]


def test_plain_lines_one_a_trial(progress: Progress) -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.open(progress)
    for finished in (
        row(0, num_epochs=3, seconds=1.25, gap=0.01),
        row(2, None, failure=FailureKind.OOM, message="no memory\nlong trace"),
    ):
        progress.add(finished)
        display.finished(finished, progress)
    first, second, third = stream.getvalue().splitlines()
    assert first == "study s: Which?"
    assert second == (
        "[  1/4] trial 0   complete  val/accuracy 0.5000  gap +0.010  3 epochs  1.2 s  optimizer.lr=0.01235  <- best"
    )
    assert "oom: no memory" in third
    assert "long trace" not in third


def test_the_live_table_shows_slots_and_the_newest_value(progress: Progress) -> None:
    from rich.console import Console

    progress.add(row(0))
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table_of(progress))
    text = console.export_text()
    assert "1/4 trials, best 0.5000 (trial 0), 0 pruned, 0 failed" in text
    assert "2/9" in text
    assert "0.7500" in text
    assert "model.depth=3" in text


def test_of_a_crowd_the_live_table_shows_some_and_counts_the_rest(progress: Progress) -> None:
    from rich.console import Console

    for number in range(2, 100):
        progress.running[number] = replace(progress.running[1], number=number, slot=number - 1)
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table_of(progress))
    text = console.export_text()
    assert text.count("model.depth=3") == 30
    assert "and 69 more" in text


def test_the_best_so_far_is_that_of_all_rows(progress: Progress) -> None:
    def best() -> tuple[int, float | None] | None:
        return (progress.best.number, progress.best.value) if progress.best else None

    assert best() is None
    seen = []
    for number, value in enumerate([None, 0.5, 0.7, 0.6]):
        progress.add(row(number, value))
        seen.append(best())
    assert seen == [None, (1, 0.5), (2, 0.7), (2, 0.7)]
    progress.add(row(2, 0.1))  # told once more, and worse
    assert best() == (3, 0.6)
    assert len(progress.rows) == 4
    progress.begin([row(7, 0.3), row(8, 0.2)])
    assert best() == (7, 0.3)


def test_an_odd_name_is_text_not_markup(progress: Progress) -> None:
    from rich.console import Console

    progress.name = "[red]x[/red]"
    progress.running[1].params["[bold]k"] = "[/]"
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table_of(progress))
    assert "[red]x[/red]" in console.export_text()


def test_the_headline_says_what_is_going_on(progress: Progress) -> None:
    assert "0/4 trials, no score yet" in headline(progress)
    progress.phase = "checking"
    assert headline(progress).startswith("s: checking")


def test_no_terminal_no_live_table() -> None:
    assert isinstance(make_display(), PlainDisplay), "pytest's output is no terminal"
    assert isinstance(make_display(quiet=True), SilentDisplay)


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (187, "3:07"), (8109, "2:15:09")])
def test_seconds_read_well(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
