import csv
from dataclasses import replace
from pathlib import Path

import pytest

from idealfit.report.leaderboard import columns, markdown, text_cells, write_csv
from idealfit.spec import FailureKind, Objective, TrialState
from idealfit.study.outcome import TrialRow

OBJECTIVE = Objective(metric="val/accuracy")
ROWS = [
    TrialRow(
        study="s",
        number=3,
        state=TrialState.COMPLETE,
        value=0.98765,
        params={"optimizer.lr": 0.00123456, "model": "a|b"},
        gap=0.0123,
        onset_epoch=7,
        best_epoch=5,
        num_epochs=12,
        seconds=75.2,
        record_dir="/r/3",
        summaries={"best/val_loss": 0.1},
    ),
    TrialRow(study="s", number=1, state=TrialState.PRUNED, value=0.5, params={"optimizer.lr": 0.1, "model": "c"}),
    TrialRow(
        study="s", number=0, state=TrialState.FAILED, value=None, params={"optimizer.lr": 1.0}, failure=FailureKind.NAN
    ),
]


def test_one_line_a_trial_with_gap_and_onset() -> None:
    header, cells = columns(ROWS, OBJECTIVE), text_cells(ROWS, OBJECTIVE)
    assert header == [
        *("rank", "trial", "state", "val/accuracy", "gap", "onset", "best epoch", "epochs", "time"),
        *("optimizer.lr", "model"),
    ]
    assert cells[0] == ["1", "3", "complete", "0.9877", "+0.0123", "7", "5", "12", "1:15", "0.001235", "a|b"]
    assert cells[1][5] == "none", "a trial without onset never overfitted"
    assert cells[2][2:4] == ["failed: nan", ""]


def test_csv_keeps_all_digits(tmp_path: Path) -> None:
    write_csv(tmp_path / "l.csv", ROWS, OBJECTIVE)
    with (tmp_path / "l.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines[0]["val/accuracy"] == "0.98765"
    assert lines[0]["optimizer.lr"] == "0.00123456"
    assert lines[0]["best/val_loss"] == "0.1"
    assert lines[2]["model"] == ""
    assert [line["rank"] for line in lines] == ["1", "2", "3"]


def test_markdown_cells_cannot_break_the_table() -> None:
    lines = markdown(ROWS, OBJECTIVE).splitlines()
    assert len(lines) == 5
    assert "a\\|b" in lines[2]


@pytest.mark.parametrize("rows", [[], ROWS[:1]])
def test_few_trials_make_a_table_too(rows: list[TrialRow]) -> None:
    assert len(markdown(rows, OBJECTIVE).splitlines()) == 2 + len(rows)


def test_a_score_of_several_folds_comes_with_how_far_they_differ() -> None:
    folds = replace(ROWS[0], value=0.9, scores=(0.88, 0.92), rounds="2 folds")
    assert text_cells([folds], OBJECTIVE)[0][3] == "0.9000 ± 0.0283"
    pruned = replace(folds, scores=(0.9,), rounds="1 fold")
    assert text_cells([pruned], OBJECTIVE)[0][3] == "0.9000"
