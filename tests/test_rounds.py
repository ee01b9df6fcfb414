"""A trial of several rounds: what is trained, what is kept, and what comes of it. Only the training is pretended."""

from __future__ import annotations

import statistics
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idealfit.objective import Constraint
from idealfit.predictions import Predictions
from idealfit.record import Record
from idealfit.rounds import run_rounds
from idealfit.spec import FailureKind, Objective, StopSignal, TrialResult, TrialSpec, TrialState

SCORES = [0.9, 0.7, 0.8]


@dataclass
class Training:
    """Two epochs a round, of which the second is the better one; ends in `endings` where the fold has one."""

    endings: dict[int, TrialResult] = field(default_factory=dict)
    trained: list[int] = field(default_factory=list)

    def __call__(self, spec: TrialSpec, stop: StopSignal) -> TrialResult:
        fold = spec.config["protocol"]["fold"]
        self.trained.append(fold)
        record = Record(spec.record_dir)
        assert record.read_spec().config == spec.config
        assert record.read_result() is None
        assert not spec.storage
        for epoch, accuracy in enumerate((SCORES[fold] - 0.2, SCORES[fold])):
            metrics = {"val/accuracy": accuracy, "train/accuracy": 1.0, "val/loss": 1 - accuracy, "train/loss": 0.1}
            record.append_metrics(epoch, metrics, attempt=spec.attempt)
        result = TrialResult(
            state=TrialState.COMPLETE,
            value=SCORES[fold],
            summaries={
                "best/val_accuracy": SCORES[fold],
                "best/val_loss": 1 - SCORES[fold],
                "measure/gap": 0.01 * fold,
                "measure/seconds": 2.0,
            },
            facts={"num_params": 7, "pixel_mean": [float(fold)]},
            fit_seconds=2.0,
        )
        predictions_of(fold).write(record.predictions_path)
        result = self.endings.get(fold, result)
        record.write_result(result)
        return result


@dataclass
class Reporter:
    prune_at: int = -1
    told: list[tuple[int, float]] = field(default_factory=list)

    def report(self, epoch: int, value: float) -> bool:
        self.told.append((epoch, value))
        return epoch == self.prune_at


def predictions_of(fold: int) -> Predictions:
    return Predictions(
        labels=np.array([0, 1]),
        predicted=np.array([0, fold % 2]),
        scored=np.array([0, 1]),
        scores=np.full((2, 2), fold / 4, np.float16),
        worst=np.array([1, 0]),
        worst_images=np.full((2, 1, 3, 3), fold, np.uint8),
    )


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    config: dict[str, Any] = {"seed": 4, "protocol": {"name": "kfold", "folds": 3}}
    made = TrialSpec(study="s", number=0, config=config, record_dir=str(tmp_path / "s" / "0"), storage="x")
    Record.create(made)
    return made


def run(spec: TrialSpec, training: Training, reporter: Reporter | None = None) -> TrialResult:
    return run_rounds(spec, threading.Event(), run=training, reporter=reporter or Reporter())


def test_the_score_is_the_mean_and_how_far_rounds_differ_is_known(spec: TrialSpec) -> None:
    reporter = Reporter()
    result = run(spec, Training(), reporter)
    assert result.state is TrialState.COMPLETE
    assert result.scores == SCORES
    assert result.value == result.summaries["best/val_accuracy"] == pytest.approx(0.8)
    assert result.summaries["objective_std"] == result.summaries["best/val_accuracy_std"] == statistics.stdev(SCORES)
    assert result.summaries["best/val_loss"] == pytest.approx(0.2)
    assert result.summaries["overfit/gap_at_best"] == pytest.approx(0.2)
    assert result.fit_seconds == 6.0
    assert [step for step, _ in reporter.told] == [0, 1, 2]
    assert [value for _, value in reporter.told] == pytest.approx([0.9, 0.8, 0.8])


def test_the_record_has_each_round_and_their_mean(spec: TrialSpec) -> None:
    result = run(spec, Training())
    record = Record(spec.record_dir)
    assert record.curves()["val/accuracy"] == pytest.approx([0.6, 0.8])
    assert [each.curves()["val/accuracy"][-1] for each in record.rounds()] == SCORES
    assert record.num_epochs == 6
    joined = Predictions.read(record.predictions_path)
    assert joined is not None
    assert joined.labels.tolist() == [0, 1] * 3
    assert joined.predicted.tolist() == [0, 0, 0, 1, 0, 0]
    assert joined.scored.tolist() == list(range(6))
    assert joined.worst.tolist() == [1, 3, 5, 0, 2, 4]
    assert joined.worst_images[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert record.trained(result).path == record.round(0).path
    assert result.facts["pixel_mean"] == [0.0]


def test_a_loss_makes_the_lowest_round_the_best(spec: TrialSpec) -> None:
    loss = Objective(metric="val/loss", direction="minimize")
    assert run(spec.with_(objective=loss), Training()).facts["best_round"] == 1


def test_what_an_objective_asks_for_is_the_mean_of_rounds_and_seconds_are_all_of_them(spec: TrialSpec) -> None:
    gap = Constraint(metric="gap", relation="<=", bound=0.015)
    seconds = Constraint(metric="seconds", relation="<=", bound=5)
    objective = Objective(constraints=(gap, seconds))
    result = run(spec.with_(objective=objective), Training())
    assert result.summaries["measure/gap"] == pytest.approx(0.01)
    assert result.summaries["measure/seconds"] == 6.0
    assert objective.violations(result.summaries) == ("seconds 6, not <= 5",)
    plain = run(spec.with_(record_dir=f"{spec.record_dir}0"), Training())
    assert "measure/gap" not in plain.summaries


def test_it_is_pruned_between_rounds_and_keeps_the_mean_so_far(spec: TrialSpec) -> None:
    training = Training()
    result = run(spec, training, Reporter(prune_at=1))
    assert (result.state, training.trained, result.scores) == (TrialState.PRUNED, [0, 1], SCORES[:2])
    assert result.value == pytest.approx(0.8)
    assert Record(spec.record_dir).curves()["val/accuracy"] == pytest.approx([0.6, 0.8])


def test_after_its_last_round_a_trial_is_complete(spec: TrialSpec) -> None:
    assert run(spec, Training(), Reporter(prune_at=2)).state is TrialState.COMPLETE


def test_what_an_earlier_attempt_finished_is_not_trained_again(spec: TrialSpec) -> None:
    stopped = Training(endings={1: TrialResult(state=TrialState.INTERRUPTED)})
    first = run(spec, stopped)
    assert (first.state, first.value, first.scores) == (TrialState.INTERRUPTED, None, [])
    assert not Record(spec.record_dir).metrics_path.exists()
    going_on, reporter = Training(), Reporter()
    result = run(spec.with_(attempt=1), going_on, reporter)
    assert going_on.trained == [1, 2]
    assert (result.state, result.scores, result.fit_seconds) == (TrialState.COMPLETE, SCORES, 4.0)
    assert [step for step, _ in reporter.told] == [0, 1, 2]  # the kill may have come before the first was reported
    assert [row.attempt for row in Record(spec.record_dir).round(1).read_metrics()] == [1, 1]


def test_a_round_that_fails_fails_the_trial_and_is_named(spec: TrialSpec) -> None:
    failure = TrialResult(state=TrialState.FAILED, failure=FailureKind.NAN, message="the loss became nan")
    training = Training(endings={1: failure})
    result = run(spec, training)
    assert (result.state, result.failure, result.value) == (TrialState.FAILED, FailureKind.NAN, None)
    assert result.message == "fold 1: the loss became nan"
    assert (training.trained, result.scores) == ([0, 1], SCORES[:1])
    assert "objective_std" not in result.summaries
