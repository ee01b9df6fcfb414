"""A storage that knows less than the records: it takes its trials over from them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from idealfit.record import Record
from idealfit.spec import QuestionChangedError, StopSignal, StudyError, TrialResult, TrialSpec
from idealfit.study.ledger import load_optuna_study

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
import toys
from test_loop import SPACE, Driven, drive, runs_trial

pytestmark = pytest.mark.usefixtures("in_tmp_dir")


def told(driven: Driven) -> list[tuple[object, ...]]:
    """What Optuna knows of each trial."""
    trials = load_optuna_study(driven.plan.storage, driven.plan.name).get_trials(deepcopy=False)
    return [(trial.number, trial.state.name, trial.value, trial.params, trial.distributions) for trial in trials]


def mixed(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """One of each kind."""
    return [toys.score, toys.prune_odd, toys.nan, toys.score][spec.number % 4](spec, stop)


def test_a_journal_that_was_moved_away_is_made_anew_from_the_records() -> None:
    first = drive(mixed, "study.budget.trials=4")
    before = told(first)
    journal = Path(first.plan.storage)
    journal.rename(f"{journal}.damaged")
    second = drive(toys.score, "study.budget.trials=6")
    assert second.heard.started == [4, 5]
    assert told(second)[:4] == before
    trials = load_optuna_study(second.plan.storage, second.plan.name).trials
    assert trials[0].intermediate_values == {1: 0.5}, "the curve of the objective"


def test_an_older_journal_is_brought_up_to_date() -> None:
    first = drive(toys.score, "study.budget.trials=2")
    shutil.copy(first.plan.storage, "backup")
    second = drive(toys.score, "study.budget.trials=4")
    before = told(second)
    shutil.copy("backup", first.plan.storage)
    third = drive(toys.score, "study.budget.trials=4")
    assert third.heard.started == []
    assert told(third) == before


def test_a_trial_that_was_running_goes_on_with_its_parameters() -> None:
    first = drive(toys.until_stopped, "study.budget.trials=3", stop=runs_trial(1))
    params = Record(first.plan.study_dir / "1").read_spec().params
    Path(first.plan.storage).unlink()
    second = drive(toys.until_stopped, "study.budget.trials=2")
    assert second.heard.started == [1]
    spec = Record(first.plan.study_dir / "1").read_spec()
    assert (spec.attempt, spec.params) == (1, params)
    assert second.states() == ["COMPLETE"] * 2


def test_numbers_stay_what_they_were() -> None:
    first = drive(toys.score, "study.budget.trials=3")
    Path(first.plan.storage).unlink()
    shutil.rmtree(first.plan.study_dir / "1")
    second = drive(toys.score, "study.budget.trials=4")
    assert second.states() == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert second.heard.started == [3]


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ((*SPACE, "model.width=64"), r"model\.width: 128 -> 64"),
        (("optimizer.lr=interval(0.0001,0.00011)", *SPACE[1:]), r"optimizer\.lr: 0\.\d+ is outside"),
        ((*SPACE[:2], "model.dropout=interval(0,0.5)"), r"model\.dropout: not searched then"),
        ((*SPACE, "study.objective.metric=val/loss"), r"objective\.metric: 'val/accuracy' -> 'val/loss'"),
    ],
)
def test_records_of_another_question_are_not_taken_over(space: tuple[str, ...], words: str) -> None:
    first = drive(toys.score, "study.budget.trials=1")
    Path(first.plan.storage).unlink()
    with pytest.raises(QuestionChangedError, match=words):
        drive(toys.score, space=space)


def test_what_a_retry_for_want_of_memory_changed_is_no_other_question() -> None:
    first = drive(toys.score, "study.budget.trials=1")
    Path(first.plan.storage).unlink()
    record = Record(first.plan.study_dir / "0")
    spec = record.read_spec()
    spec.config["trainer"]["accumulate_grad_batches"] = 2
    Record.create(spec)
    assert drive(toys.score, "study.budget.trials=2").heard.started == [1]


def test_a_damaged_record_is_named() -> None:
    first = drive(toys.score, "study.budget.trials=1")
    Path(first.plan.storage).unlink()
    Record(first.plan.study_dir / "0").result_path.write_text("{")
    with pytest.raises(StudyError, match=r"result\.json is damaged"):
        drive(toys.score, "study.budget.trials=1")
