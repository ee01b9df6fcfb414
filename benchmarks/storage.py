"""What a worker pays to report and to ask the pruner: each storage, 20 and 1,000 trials, beside Optuna as it comes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from tests.private_postgres import NoPostgresError, private_postgres

from benchmarks.common import interleaved, median, store
from idealfit.pruning import JournalFile, close_storage, open_storage

NUM_ROUNDS = 5
NUM_EPOCHS = 30
SIZES = (20, 1000)
PRUNERS = ("hyperband", "median")
READERS = ("idealfit", "optuna")
NUM_WAITING = NUM_ROUNDS * len(PRUNERS) * len(READERS)  # running trials: each measurement reports one of its own
SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    "optimizer.lr": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
    "model.dropout": optuna.distributions.FloatDistribution(0, 0.6),
    "model.depth": optuna.distributions.IntDistribution(1, 4),
}

# A worker finds imported what it needs: the engine's server has done it.
WORKER = """
import importlib, json, sys, time
import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from idealfit.pruning import StorageReporter, make_pruner, modules_to_preload
from idealfit.spec import TrialSpec
url, reader, number, pruner, num_epochs = sys.argv[1:]
for module in modules_to_preload(url):
    importlib.import_module(module)
optuna.logging.set_verbosity(optuna.logging.ERROR)
started = time.perf_counter()
if reader == "idealfit":
    described = {"name": pruner, "options": {}, "max_epochs": int(num_epochs)}
    report = StorageReporter(TrialSpec(study="s", number=int(number), config={}, record_dir="", storage=url,
                                       pruner=described)).report
else:
    plain = RDBStorage(url) if "://" in url else JournalStorage(JournalFileBackend(url))
    study = optuna.load_study(study_name="s", storage=plain, pruner=make_pruner(pruner, {}, int(num_epochs)),
                              sampler=optuna.samplers.RandomSampler())
    trial = optuna.Trial(study, study._storage.get_trial_id_from_study_id_trial_number(study._study_id, int(number)))
    def report(epoch, value):
        trial.report(value, epoch)
        return trial.should_prune()
opened = time.perf_counter()
steps = []
for epoch in range(int(num_epochs)):
    before = time.perf_counter()
    report(epoch, 0.99 + epoch / 10_000)
    steps.append(time.perf_counter() - before)
print(json.dumps({"open": 1e3 * (opened - started), "typical": 1e3 * sorted(steps)[len(steps) // 2],
                  "slowest": 1e3 * max(steps), "trial": 1e3 * (time.perf_counter() - started)}))
"""


def measure(url: str, reader: str, number: int, pruner: str) -> dict[str, float]:
    """Milliseconds of one worker that reports a whole trial: to open, of a typical and of the slowest epoch, in all."""
    if reader == "optuna":  # by hand what `open_storage` does by itself
        url = url.replace("postgresql://", "postgresql+psycopg://")
    command = [sys.executable, "-c", WORKER, url, reader, str(number), pruner, str(NUM_EPOCHS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def values(number: int) -> list[float]:
    """The curve of a finished trial."""
    return [0.5 + number / 10_000 + epoch / 1000 for epoch in range(NUM_EPOCHS)]


def fill_journal(path: str, num_trials: int) -> None:
    """Write the operations of a whole study at once."""
    storage = open_storage(path)
    optuna.create_study(storage=storage, study_name="s", direction="maximize")
    when = "2026-01-01T00:00:00.000000+00:00"
    logs: list[dict[str, Any]] = []
    for number in range(num_trials + NUM_WAITING):
        trial: dict[str, Any] = {"worker_id": "w", "trial_id": number}
        logs.append({"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": when})
        for key, distribution in SPACE.items():
            text = optuna.distributions.distribution_to_json(distribution)
            logs.append({"op_code": 5, **trial, "param_name": key, "param_value_internal": 1.0, "distribution": text})
        if number >= num_trials:
            continue
        for epoch, value in enumerate(values(number)):
            logs.append({"op_code": 7, **trial, "step": epoch, "intermediate_value": value})
        for rung, epoch in enumerate((2, 8, 26)):
            logs.append({"op_code": 9, **trial, "system_attr": {f"completed_rung_{rung}": values(number)[epoch]}})
        logs.append({"op_code": 6, **trial, "state": 1, "values": [values(number)[-1]], "datetime_complete": when})
    JournalFile(Path(path)).append_logs(logs)


def fill_database(url: str, num_trials: int) -> None:
    """Insert the rows of a whole study at once."""
    from optuna.storages._rdb import models
    from sqlalchemy import insert

    storage = open_storage(url)
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    study_id = study._study_id
    finite = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
    trials, params, results, curves, rungs = [], [], [], [], []
    for number in range(num_trials + NUM_WAITING):
        state = optuna.trial.TrialState.COMPLETE if number < num_trials else optuna.trial.TrialState.RUNNING
        trial_id = number + 1
        trials.append({"trial_id": trial_id, "number": number, "study_id": study_id, "state": state})
        for key, distribution in SPACE.items():
            text = optuna.distributions.distribution_to_json(distribution)
            params.append({"trial_id": trial_id, "param_name": key, "param_value": 1.0, "distribution_json": text})
        if number >= num_trials:
            continue
        kind = models.TrialValueModel.TrialValueType.FINITE
        results.append({"trial_id": trial_id, "objective": 0, "value": values(number)[-1], "value_type": kind})
        for step, value in enumerate(values(number)):
            row = {"step": step, "intermediate_value": value, "intermediate_value_type": finite}
            curves.append({"trial_id": trial_id, **row})
        for rung, epoch in enumerate((2, 8, 26)):
            key, text = f"completed_rung_{rung}", json.dumps(values(number)[epoch])
            rungs.append({"trial_id": trial_id, "key": key, "value_json": text})
    tables = {
        models.TrialModel: trials,
        models.TrialParamModel: params,
        models.TrialValueModel: results,
        models.TrialIntermediateValueModel: curves,
        models.TrialSystemAttributeModel: rungs,
    }
    with storage.engine.begin() as connection:
        for table, rows in tables.items():
            connection.execute(insert(table), rows)
    close_storage(storage)


@contextmanager
def storages(num_trials: int) -> Iterator[dict[tuple[str, str], str]]:
    """By storage and reader its URL, with a study of `num_trials` finished trials in it."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        urls = {}
        for reader in READERS:
            urls["journal", reader] = f"{directory}/{reader}.journal"
            fill_journal(urls["journal", reader], num_trials)
            urls["sqlite", reader] = f"sqlite:///{directory}/{reader}.db"
            fill_database(urls["sqlite", reader], num_trials)
        with closing(sqlite3.connect(f"{directory}/optuna.db")) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # as Optuna makes it
        try:
            server = stack.enter_context(private_postgres(fsync="on"))
            fill_database(server, num_trials)
            urls |= {("postgresql", reader): server for reader in READERS}
        except NoPostgresError as error:
            print(f"  without PostgreSQL: {error}", file=sys.stderr)
        yield urls


def run_once(runs: list[dict[str, float]], url: str, reader: str, numbers: Iterator[int], pruner: str) -> float:
    """One measurement, noted in `runs`; the milliseconds of the whole trial."""
    runs.append(measure(url, reader, next(numbers), pruner))
    return runs[-1]["trial"]


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    figures: dict[str, Any] = {}
    for num_trials in SIZES:
        with storages(num_trials) as urls:
            waiting = {url: iter(range(num_trials, num_trials + NUM_WAITING)) for url in urls.values()}
            measured: dict[str, list[dict[str, float]]] = {}
            variants: dict[str, Callable[[], float]] = {}
            for (name, reader), url in urls.items():
                for pruner in PRUNERS:
                    key = f"{name} {reader} {pruner} {num_trials}"
                    runs = measured[key] = []
                    variants[key] = partial(run_once, runs, url, reader, waiting[url], pruner)
            interleaved(variants, num_rounds=NUM_ROUNDS)
            for key, runs in measured.items():
                figures[key] = {f"{part}_ms": round(median([run[part] for run in runs]), 3) for part in runs[0]}
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('storage', figures, repeats=NUM_ROUNDS)}")


if __name__ == "__main__":
    main()
