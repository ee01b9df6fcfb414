"""Does what lies on the disk, in Optuna's storage and in MLflow agree, with nothing lost, doubled or wrong?"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

from idealfit.record import Record, iter_records
from idealfit.spec import FailureKind, TrialResult, TrialState

MLFLOW_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAILED: "FAILED"}


TIMINGS = ("epoch_seconds", "samples_per_second")


def optuna_state(result: TrialResult) -> str:
    """The state that Optuna is told; a diverged trial counts as pruned, so that samplers learn from it."""
    if result.state is TrialState.FAILED:
        return "PRUNED" if result.failure is FailureKind.NAN else "FAIL"
    return result.state.name


def violations(runs_dir: Path, study: str, *, num_trials: int, storage: str, tracking_uri: str) -> list[str]:
    """Everything about a finished study that is not as promised; an empty list is the promise kept."""
    records = list(iter_records(runs_dir, study))
    wrong = []
    if [int(record.path.name) for record in records] != list(range(num_trials)):
        wrong.append(f"the budget is {num_trials} trials, the records are {[record.path.name for record in records]}")
    results = {int(record.path.name): record.read_result() for record in records}
    for record in records:
        wrong += _record_violations(record)
    return wrong + _optuna_violations(study, storage, results) + _mlflow_violations(study, tracking_uri, records)


def _record_violations(record: Record) -> list[str]:
    result = record.read_result()
    if result is None or not result.state.is_finished:
        return [f"trial {record.path.name} has no final result: {result}"]
    epochs = [row.epoch for row in record.read_metrics()]
    if epochs != list(range(result.num_epochs)):
        return [f"trial {record.path.name} finished {result.num_epochs} epochs and recorded {epochs}"]
    if result.state is TrialState.COMPLETE:
        best = record.read_spec().objective.score(record.curves()[record.read_spec().objective.metric])
        if best != result.value:
            return [f"trial {record.path.name}: its curve says {best}, its result {result.value}"]
    return []


def _optuna_violations(study: str, storage: str, results: dict[int, TrialResult | None]) -> list[str]:
    import optuna

    from idealfit.pruning import open_storage

    trials = optuna.load_study(study_name=study, storage=open_storage(storage)).get_trials(deepcopy=False)
    wrong = []
    if [trial.number for trial in trials] != sorted(results):
        wrong.append(f"Optuna has the trials {[trial.number for trial in trials]}, the records {sorted(results)}")
    for trial in trials:
        result = results.get(trial.number)
        if result is not None and trial.state.name != optuna_state(result):
            wrong.append(f"trial {trial.number} is {trial.state.name} in Optuna and {result.state} in its record")
        if result is not None and result.state is TrialState.COMPLETE and trial.value != result.value:
            wrong.append(f"trial {trial.number} has {trial.value} in Optuna and {result.value} in its record")
    return wrong


def _mlflow_violations(study: str, tracking_uri: str, records: list[Record]) -> list[str]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.study = '{study}'", max_results=5000)
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    wrong = []
    if len(runs) != len(children) + 1:
        wrong.append(f"MLflow has {len(runs) - len(children)} parent runs of the study")
    wrong += [
        f"the parent run is {run.info.status}" for run in runs if run not in children and run.info.status == "RUNNING"
    ]
    by_number = Counter(run.data.tags.get("trial") for run in children)
    if by_number != Counter(record.path.name for record in records):
        wrong.append(f"MLflow has the trial runs {dict(by_number)}")
    run_of = {run.data.tags.get("trial"): run for run in children}
    for record in records:
        run, result = run_of.get(record.path.name), record.read_result()
        if run is None or result is None:
            continue
        if run.info.status != MLFLOW_STATUS.get(result.state):
            wrong.append(f"trial {record.path.name} is {run.info.status} in MLflow and {result.state} in its record")
        wrong += _metric_violations(client, run.info.run_id, record)
    return wrong


def _metric_violations(client: object, run_id: str, record: Record) -> list[str]:
    wrong = []
    for name, curve in record.curves().items():
        history = client.get_metric_history(run_id, name)  # type: ignore[attr-defined]
        mirrored = sorted((metric.step, metric.value) for metric in history)
        if name in TIMINGS:  # an epoch that was trained twice took two times; MLflow keeps the first, the record both
            mirrored = [(step, 0.0) for step, _ in mirrored]
            curve = [0.0] * len(curve)
        if not _same(mirrored, list(enumerate(curve))):
            wrong.append(
                f"trial {record.path.name}: {name} has {len(curve)} epochs in its record, "
                f"in MLflow {json.dumps(mirrored)[:300]}"
            )
    return wrong


def _same(left: list[tuple[int, float]], right: list[tuple[int, float]]) -> bool:
    return len(left) == len(right) and all(
        a == b and (x == y or (math.isnan(x) and math.isnan(y))) for (a, x), (b, y) in zip(left, right, strict=True)
    )
