"""What is shown says what was found, and nothing that came from a record commands the terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from idealfit.provenance import Difference
from idealfit.reproduce import RunColumn, compare_curves, diff_runs, first_deviation
from idealfit.reproduce.render import diff_table, differences_table, verdict_lines

THEN = {"train/loss": [1.0, 0.5], "val/accuracy": [0.5, 0.75]}
SEED = Difference(item="config", then="seed 0", now="seed 1", status="differs", details=("seed: 0 -> 1",))
CPU = Difference(item="cpu", then="Xeon", now="EPYC", status="differs")


def shown(renderable: Any) -> str:
    console = Console(file=io.StringIO(), width=160, force_terminal=True, color_system=None)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines(now: dict[str, list[float]], *rows: Difference) -> str:
    return "\n".join(verdict_lines(compare_curves(THEN, now), rows, first_deviation(THEN, now)))


def test_identical_says_so() -> None:
    assert lines(THEN) == "identical: 2 metrics over 2 epochs, equal to the last bit."


def test_equivalent_names_tolerance_and_largest_deviation() -> None:
    text = lines(THEN | {"train/loss": [1.0, 0.501]}, SEED)
    assert "within 0.01 relative + 0.005 absolute" in text
    assert "Largest deviation: train/loss in epoch 1: 0.5 then, 0.501 now (by 0.001)" in text


def test_different_names_epoch_metric_and_cause() -> None:
    text = lines(THEN | {"train/loss": [1.1, 0.9]}, CPU, SEED)
    assert "Out of tolerance first: train/loss in epoch 0: 1 then, 1.1 now (by 0.1)" in text
    assert "Likeliest cause: config (seed: 0 -> 1)." in text
    assert "Also different: cpu." in text


def test_different_without_a_cause_gives_advice() -> None:
    assert "Nothing that was recorded differs" in lines(THEN | {"train/loss": [9.0, 9.0]})
    assert "Val/accuracy was recorded then and is missing now." in lines({"train/loss": [1.0, 0.5]})


def test_the_table_names_what_differs() -> None:
    many = Difference(item="packages", then="3", now="4", status="differs", details=tuple(f"p{i}" for i in range(12)))
    text = shown(differences_table([SEED, many]))
    assert "seed: 0 -> 1" in text
    assert "p7 and 4 more" in text


def test_runs_stand_side_by_side() -> None:
    runs = [
        RunColumn(label=f"a/{depth}", config={"model": {"depth": depth}}, state="complete", summaries={"best/x": 0.5})
        for depth in (1, 2)
    ]
    text = shown(diff_table(diff_runs(runs)))
    assert text.split() == [
        "a/1",
        "a/2",
        "state",
        "complete",
        "complete",
        "model.depth",
        "1",
        "2",
        "best/x",
        "0.5",
        "0.5",
    ]
    assert "no key of the configs differs" in shown(diff_table(diff_runs(runs[:1] * 2)))


def test_nothing_from_a_record_commands_the_terminal() -> None:
    evil = "\x1b]0;evil\x07[red]x[/red]\n"
    row = Difference(item=evil, then=evil, now=evil, status="differs", details=(evil,))
    text = shown(differences_table([row])) + shown(
        diff_table(diff_runs([RunColumn(label=evil, config={evil: evil})] * 2))
    )
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
