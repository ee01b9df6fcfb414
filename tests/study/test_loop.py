from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import pytest

from idealfit.config import Composer
from idealfit.engines import InlineEngine
from idealfit.record import Record
from idealfit.space import split_sweep
from idealfit.spec import FailureKind, StudyError, TrialResult, TrialSpec, TrialState, Work
from idealfit.study.display import SilentDisplay
from idealfit.study.launch import Launch
from idealfit.study.ledger import Ledger, load_optuna_study
from idealfit.study.loop import StudyLoop, num_attempts
from idealfit.study.outcome import Ending, read_rows
from idealfit.study.plan import StudyPlan, make_plan
from idealfit.study.progress import Progress

sys.path.insert(0, str(Path(__file__).parent))
import toys

pytestmark = pytest.mark.usefixtures("in_tmp_dir")
SPACE = ("optimizer.lr=interval(0.001,0.1)", "model.depth=2", "model.dropout=0")


@dataclass
class Heard:
    """What a listener hears."""

    started: list[int] = field(default_factory=list)
    ended: list[tuple[int, TrialState]] = field(default_factory=list)

    def trial_started(self, record: Record, spec: TrialSpec) -> None:
        self.started.append(spec.number)

    def trial_ended(self, record: Record, spec: TrialSpec, result: TrialResult) -> None:
        self.ended.append((spec.number, result.state))


@dataclass
class Driven:
    plan: StudyPlan
    ending: Ending
    reason: str
    heard: Heard
    progress: Progress

    def states(self) -> list[str]:
        study = load_optuna_study(self.plan.storage, self.plan.name)
        return [trial.state.name for trial in study.get_trials(deepcopy=False)]


def drive(
    work: Work, *overrides: str, stop: Callable[[], bool] = lambda: False, space: tuple[str, ...] = SPACE
) -> Driven:
    """One session of a real loop, ledger and engine over work that only pretends to train."""
    plain, entries, fixed = split_sweep([*space, *overrides])
    composer = Composer("lr_dropout_depth", plain)
    launch = Launch(config_name="lr_dropout_depth", overrides=[])
    plan = make_plan(composer, launch=launch, overrides=plain, entries=entries, fixed=fixed)
    heard = Heard()
    ledger = Ledger(plan)
    ledger.check_question(plan.identity())
    rows, _ = read_rows(plan.runs_dir, plan.name)
    ledger.epochs = {row.number: row.num_epochs for row in rows if row.state.is_finished}
    progress = Progress(
        name=plan.name, question="", objective=plan.objective, budget_trials=plan.budget.trials, num_slots=1
    )
    progress.begin(rows)
    engine = InlineEngine()
    try:
        loop = StudyLoop(
            plan=plan,
            composer=composer,
            ledger=ledger,
            engine=engine,
            work=work,
            progress=progress,
            display=SilentDisplay(),
            listener=heard,
            working_dir=".",
            stop_requested=stop,
        )
        ending, reason = loop.run()
    finally:
        engine.close()
    return Driven(plan, ending, reason, heard, progress)


def test_the_budget_of_trials_is_met_exactly() -> None:
    driven = drive(toys.score, "study.budget.trials=5")
    assert (driven.ending, driven.reason) == ("done", "the budget of 5 trials is used up")
    assert driven.states() == ["COMPLETE"] * 5
    assert driven.heard.ended == [(number, TrialState.COMPLETE) for number in range(5)]
    best = driven.progress.best
    assert best is not None
    assert best.value == max(row.value for row in driven.progress.rows if row.value is not None)


def test_no_trial_is_a_budget_too() -> None:
    assert drive(toys.score, "study.budget.trials=0").states() == []


def test_the_budget_of_epochs_counts_what_was_trained() -> None:
    driven = drive(toys.score, "study.budget.epochs=5")
    assert driven.reason == "the budget of 5 epochs is used up"
    assert len(driven.states()) == 3, "two epochs each: the third trial crosses the line"


def test_pruned_and_failed_trials_count() -> None:
    assert drive(toys.prune_odd, "study.budget.trials=4").states() == ["COMPLETE", "PRUNED"] * 2


def test_the_record_says_everything_before_the_trial_runs() -> None:
    driven = drive(toys.score, "study.budget.trials=1")
    spec = Record(driven.plan.study_dir / "0").read_spec()
    assert spec.params.keys() == {"optimizer.lr"}
    assert spec.config["optimizer"]["lr"] == spec.params["optimizer.lr"]
    assert spec.overrides == ["model.depth=2", "model.dropout=0", "study.budget.trials=1", spec.overrides[-1]]
    assert spec.overrides[-1] == f"optimizer.lr={spec.params['optimizer.lr']!r}"
    assert set(spec.config) == {"seed", "data", "model", "optimizer", "scheduler", "loss", "augment", "trainer"}


def test_the_same_failure_in_a_row_stops_the_study_with_its_words() -> None:
    driven = drive(toys.bug, "study.max_failures=3")
    assert driven.ending == "failed"
    assert driven.states() == ["FAIL"] * 3
    assert "3 trials in a row failed with bug" in driven.reason
    assert "ZeroDivisionError: 1/0" in driven.reason


def test_a_diverging_trial_is_a_bad_point_not_a_fault() -> None:
    driven = drive(toys.nan, "study.budget.trials=6", "study.max_failures=2")
    assert driven.ending == "done"
    assert driven.states() == ["PRUNED"] * 6, "samplers forget failed trials, and they shall learn from these"
    assert driven.progress.count(TrialState.FAILED) == 6


def test_a_study_goes_on_to_a_larger_budget() -> None:
    drive(toys.score, "study.budget.trials=2")
    driven = drive(toys.score, "study.budget.trials=5")
    assert driven.heard.started == [2, 3, 4]
    assert driven.progress.num_new == 3
    assert driven.states() == ["COMPLETE"] * 5


def runs_trial(number: int) -> Callable[[], bool]:
    return (Path("runs") / "lr_dropout_depth" / str(number) / "metrics.jsonl").exists


def test_an_interrupted_trial_keeps_its_number_and_its_record() -> None:
    first = drive(toys.until_stopped, "study.budget.trials=3", stop=runs_trial(1))
    assert first.ending == "interrupted"
    assert first.heard.ended == [(0, TrialState.COMPLETE), (1, TrialState.INTERRUPTED)]
    params = Record(first.plan.study_dir / "1").read_spec().params
    second = drive(toys.until_stopped, "study.budget.trials=3", stop=runs_trial(2))
    assert second.heard.started == [1, 2], "what was begun comes first"
    spec = Record(first.plan.study_dir / "1").read_spec()
    assert (spec.attempt, spec.params) == (1, params)
    assert second.states() == ["COMPLETE", "COMPLETE", "RUNNING"]


KILLED_CONTROLLER = """
import sys
sys.path.insert(0, {here!r})
import test_loop, toys
test_loop.drive(toys.die, "study.budget.trials=4")
"""


def test_what_a_killed_controller_left_goes_on_within_the_budget() -> None:
    script = KILLED_CONTROLLER.format(here=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    driven = drive(toys.score, "study.budget.trials=4")
    assert driven.heard.started == [2, 3]
    assert driven.states() == ["COMPLETE"] * 4


def test_a_result_that_was_not_told_any_more_is_not_trained_again() -> None:
    driven = drive(toys.score, "study.budget.trials=1")
    ledger = Ledger(driven.plan)
    point = ledger.ask()  # a controller that dies between the worker's result and its own tell
    record = Record(driven.plan.study_dir / str(point.number))
    first = Record(driven.plan.study_dir / "0").read_spec()
    spec = first.with_(number=point.number, record_dir=str(record.path), params=point.params)
    Record.create(spec)
    record.write_result(TrialResult(state=TrialState.COMPLETE, value=0.25, num_epochs=2))
    again = drive(toys.score, "study.budget.trials=2")
    assert again.heard.started == []
    assert again.states() == ["COMPLETE", "COMPLETE"]
    assert load_optuna_study(driven.plan.storage, driven.plan.name).trials[1].value == 0.25


def test_another_question_under_the_same_name_is_refused_with_the_difference() -> None:
    drive(toys.score, "study.budget.trials=1")
    with pytest.raises(StudyError, match=r"asked another question:\n  model\.width: 128 -> 64"):
        drive(toys.score, "model.width=64")


def test_a_study_without_a_trial_may_still_change_its_question() -> None:
    drive(toys.score, "study.budget.trials=0")
    assert drive(toys.score, "study.budget.trials=1", "model.width=64").states() == ["COMPLETE"]


def test_other_images_or_code_under_the_same_name_are_refused() -> None:
    driven = drive(toys.score, "study.budget.trials=1")
    Ledger(driven.plan).check_facts({"data_fingerprint": "a" * 64, "code": {"mynet.py": "1"}})
    Ledger(driven.plan).check_facts({"data_fingerprint": "a" * 64, "code": {"mynet.py": "1"}})
    with pytest.raises(StudyError, match="begun with other data or code"):
        Ledger(driven.plan).check_facts({"data_fingerprint": "b" * 64, "code": {"mynet.py": "1"}})
    with pytest.raises(StudyError, match=r"mynet\.py"):
        Ledger(driven.plan).check_facts({"data_fingerprint": "a" * 64, "code": {"mynet.py": "2"}})


def test_attempts_are_counted_from_what_they_left(tmp_path: Path) -> None:
    record = Record(tmp_path / "r")
    assert num_attempts(record) == 0
    record.append_metrics(0, {"lr": 1.0}, attempt=0)
    assert num_attempts(record) == 1
    record.log_path(4).parent.mkdir(parents=True)
    record.log_path(4).touch()
    assert num_attempts(record) == 5


def test_the_clock_goes_on_over_sessions() -> None:
    driven = drive(toys.score, "study.budget.trials=1")
    study = optuna.load_study(
        study_name=driven.plan.name, storage=load_optuna_study(driven.plan.storage, driven.plan.name)._storage
    )
    study.set_user_attr("idealfit:seconds", 7200.0)
    assert 2.0 <= Ledger(driven.plan).spent.hours < 2.1
    assert drive(toys.score, "study.budget.hours=2", "study.budget.trials=3").heard.started == []


def test_a_killed_trial_is_attempted_again_and_counts_once() -> None:
    driven = drive(toys.killed_twice, "study.budget.trials=3")
    assert driven.states() == ["COMPLETE"] * 3
    record = Record(driven.plan.study_dir / "1")
    result = record.read_result()
    assert result is not None
    assert (result.num_restarts, record.read_spec().attempt) == (2, 2)
    assert driven.heard.ended == [(number, TrialState.COMPLETE) for number in range(3)]


def test_restarts_are_limited() -> None:
    driven = drive(toys.killed_twice, "study.budget.trials=3", "study.max_restarts=1")
    assert driven.states() == ["COMPLETE", "FAIL", "COMPLETE"]
    result = Record(driven.plan.study_dir / "1").read_result()
    assert result is not None
    assert (result.failure, result.num_restarts) == (FailureKind.KILLED, 1)


def test_a_trial_out_of_memory_goes_on_with_its_batches_in_parts() -> None:
    driven = drive(toys.out_of_memory, "study.budget.trials=1")
    assert driven.states() == ["COMPLETE"]
    config = Record(driven.plan.study_dir / "0").read_spec().config
    assert config["trainer"]["accumulate_grad_batches"] == 4
    assert config["data"]["batch_size"] == driven.plan.base["data"]["batch_size"]


def test_a_diverged_trial_is_told_pruned_and_not_retried() -> None:
    driven = drive(toys.nan, "study.budget.trials=4")
    assert driven.states() == ["PRUNED"] * 4
    assert [row.state for row in driven.progress.rows] == [TrialState.FAILED] * 4
