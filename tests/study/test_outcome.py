import math
from pathlib import Path

from idealfit.record import Record
from idealfit.spec import FailureKind, Objective, TrialResult, TrialSpec, TrialState, record_path
from idealfit.study.outcome import TrialRow, list_studies, rank, read_rows, winner

MAXIMIZE = Objective(metric="val/accuracy")
MINIMIZE = Objective(metric="val/loss", direction="minimize")


def row(number: int, value: float | None, state: TrialState = TrialState.COMPLETE) -> TrialRow:
    return TrialRow(study="s", number=number, state=state, value=value, params={})


def test_complete_trials_rank_by_value_before_pruned_ones() -> None:
    rows = [
        row(0, 0.5),
        row(1, 0.99, TrialState.PRUNED),
        row(2, 0.9),
        row(3, None, TrialState.FAILED),
        row(4, 0.0),
        row(5, None, TrialState.RUNNING),
    ]
    assert [r.number for r in rank(rows, MAXIMIZE)] == [2, 0, 4, 1, 5, 3]
    assert [r.number for r in rank(rows, MINIMIZE)] == [4, 0, 2, 1, 5, 3]


def test_nan_never_wins() -> None:
    assert [r.number for r in rank([row(0, math.nan), row(1, 0.1)], MAXIMIZE)] == [1, 0]
    assert winner([row(0, None, TrialState.FAILED)]) is None
    assert winner([]) is None


def test_of_equal_values_the_later_trial_comes_first_as_in_mlflow() -> None:
    assert [r.number for r in rank([row(2, 0.5), row(0, 0.5), row(1, 0.5)], MAXIMIZE)] == [2, 1, 0]


def make_record(runs_dir: Path, study: str, number: int, result: TrialResult | None) -> Record:
    spec = TrialSpec(
        study=study,
        number=number,
        config={"seed": 0},
        record_dir=str(record_path(runs_dir, study, number)),
        params={"optimizer.lr": 0.1 * number},
        objective=MINIMIZE,
    )
    record = Record.create(spec)
    if result:
        record.write_result(result)
    return record


def test_rows_are_read_from_records(tmp_path: Path) -> None:
    summaries = {"overfit/gap_at_best": 0.03, "overfit/onset_epoch": 7.0, "best/epoch": 5.0}
    done = TrialResult(state=TrialState.COMPLETE, value=0.2, summaries=summaries, num_epochs=9, fit_seconds=1.5)
    make_record(tmp_path, "s", 0, TrialResult(state=TrialState.FAILED, failure=FailureKind.OOM, message="no memory"))
    make_record(tmp_path, "s", 1, done)
    make_record(tmp_path, "s", 2, None)
    rows, objective = read_rows(tmp_path, "s")
    assert objective == MINIMIZE
    assert [(r.number, r.state) for r in rows] == [
        (1, TrialState.COMPLETE),
        (2, TrialState.RUNNING),
        (0, TrialState.FAILED),
    ]
    assert (rows[0].gap, rows[0].onset_epoch, rows[0].best_epoch) == (0.03, 7, 5)
    assert rows[0].label == "s/1"


def test_studies_are_the_folders_that_hold_records(tmp_path: Path) -> None:
    make_record(tmp_path, "b", 0, None)
    make_record(tmp_path, "a", 3, None)
    (tmp_path / "not a study" / "7").mkdir(parents=True)
    (tmp_path / "file").touch()
    assert list_studies(tmp_path) == ["a", "b"]
    assert list_studies(tmp_path / "missing") == []
