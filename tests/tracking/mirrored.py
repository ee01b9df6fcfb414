"""Both sides of the mirror for tests: a study's records, written as a worker writes them, and what MLflow answers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from idealfit.record import Record
from idealfit.spec import FailureKind, Objective, Params, TrialResult, TrialSpec, TrialState
from idealfit.tracking import Mirror
from idealfit.tracking.store import Store

NUM_EPOCHS = 12


def epoch_metrics(number: int, epoch: int) -> dict[str, float]:
    """What a trial measures in an epoch: the higher its number, the better it ends and the more it overfits."""
    train = 2.0 * math.exp(-epoch / 3) + 0.01
    val = train + 0.02 * number * max(0, epoch - 4) + 0.05 / (number + 1)
    return {
        "train/loss": train,
        "val/loss": val,
        "train/accuracy": 1 - train / 4,
        "val/accuracy": 0.5 + 0.04 * number + 0.001 * epoch,
        "lr": 0.01,
        "epoch_seconds": 0.25,
        "samples_per_second": 9000.0,
    }


class Study:
    """The records of one study."""

    def __init__(self, runs_dir: Path, name: str) -> None:
        self.runs_dir, self.name = runs_dir, name
        self.dir = runs_dir / name

    def record(self, number: int, params: Params | None = None) -> Record:
        """A new record without an epoch."""
        params = params or {"optimizer.lr": 0.01 * (number + 1), "model.depth": 1 + number % 4}
        config = {
            "seed": 7,
            "data": {"_target_": "idealfit.data.Digits", "batch_size": 64},
            "model": {"_target_": "idealfit.models.MLP", "depth": params.get("model.depth", 1)},
            "optimizer": {"_target_": "torch.optim.Adam", "lr": params.get("optimizer.lr", 0.01)},
            "scheduler": None,
            "trainer": {"max_epochs": NUM_EPOCHS},
        }
        place = str(self.dir / str(number))
        return Record.create(
            TrialSpec(study=self.name, number=number, config=config, record_dir=place, params=params, seed=7)
        )

    def train(self, record: Record, epochs: range = range(NUM_EPOCHS), attempt: int = 0) -> None:
        """Measure some epochs."""
        number = record.read_spec().number
        for epoch in epochs:
            record.append_metrics(epoch, epoch_metrics(number, epoch), attempt=attempt)

    def end(self, record: Record, state: TrialState = TrialState.COMPLETE, message: str = "") -> None:
        """Write the result."""
        failure = FailureKind.OOM if state is TrialState.FAILED else None
        curves = record.curves()
        summaries: dict[str, float] = {}
        if failure is None and curves:
            best = max(range(len(curves["val/accuracy"])), key=lambda epoch: curves["val/accuracy"][epoch])
            summaries = {"best/val_accuracy": curves["val/accuracy"][best], "best/epoch": float(best)}
            summaries |= {"overfit/gap_at_best": curves["train/accuracy"][best] - curves["val/accuracy"][best]}
            summaries |= {"overfit/onset_epoch": 4.0, "overfit/val_loss_rise": 0.5, "best/val_loss": 0.1}
        value = summaries.get("best/val_accuracy")
        record.write_result(
            TrialResult(state=state, value=value, failure=failure, message=message, summaries=summaries, num_epochs=12)
        )

    def finished(self, number: int, state: TrialState = TrialState.COMPLETE) -> Record:
        """A whole record."""
        record = self.record(number)
        self.train(record)
        self.end(record, state)
        return record

    def open(self, mirror: Mirror, **changes: Any) -> None:
        """Start the study on a mirror."""
        shown: dict[str, Any] = {
            "tags": {"protocol": "hold-out"},
            "params": {"sampler": "tpe"},
            "description": "Which?",
        }
        shown |= {"objective": Objective(), "searched": ["optimizer.lr", "model.depth"]}
        mirror.start_study(self.name, study_dir=self.dir, **shown | changes)


class Asked:
    """MLflow's answers, by a client that the code under test does not share."""

    def __init__(self, uri: str, experiment: str) -> None:
        self.store = Store(uri, experiment)

    @property
    def client(self) -> Any:
        """The `MlflowClient`."""
        return self.store.client

    def runs(self, query: str = "") -> list[Any]:
        """The runs that are not deleted."""
        experiment = self.client.get_experiment_by_name(self.store.experiment)
        return list(self.client.search_runs([experiment.experiment_id], query, max_results=1000)) if experiment else []

    def trial(self, number: int) -> Any:
        """The one run of a trial."""
        (run,) = self.runs(f"tags.trial = '{number}'")
        return run

    def parent(self) -> Any:
        """The one run of the study."""
        (run,) = [run for run in self.runs() if "trial" not in run.data.tags]
        return run

    def history(self, run: Any, metric: str) -> list[tuple[int, float, int]]:
        """Each point of a metric as (epoch, value, milliseconds), in order."""
        points = self.client.get_metric_history(run.info.run_id, metric)
        return sorted((point.step, point.value, point.timestamp) for point in points)

    def mirrors(self, record: Record) -> bool:
        """Whether a trial's run holds exactly what its record does: every metric, epoch and time."""
        run = self.trial(record.read_spec().number)
        rows, result = record.read_metrics(), record.read_result()
        summaries = dict(result.summaries) if result else {}
        if result and result.value is not None:
            summaries["objective"] = result.value
        expected: dict[str, list[tuple[int, float, int]]] = {}
        for row in rows:
            for name, value in row.metrics.items():
                expected.setdefault(name, []).append((row.epoch, value, round(row.time * 1000)))
        there = {name: self.history(run, name) for name in run.data.metrics if name not in summaries}
        once = {name: [value for _, value, _ in self.history(run, name)] for name in summaries}
        return there == expected and once == {name: [value] for name, value in summaries.items()}
