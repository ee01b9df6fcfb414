"""Bad records, journals, curves and references: what is read long after a trial has ended."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.faults import mutate
from benchmarks.faults.cases import Case, WrongError, command_line
from benchmarks.faults.input_training import OBJECTIVE
from idealfit.record import Record
from idealfit.spec import (
    Objective,
    TrialResult,
    TrialSpec,
    TrialState,
    record_path,
)


def record(rng: random.Random) -> Case:
    """A trial's record in which one file is another; everything that reads records looks at it."""
    name = rng.choice(("spec.json", "spec.json", "result.json", "result.json", "metrics.jsonl", "mirror.json"))
    files: dict[str, bytes] = {}
    for file_name, good in _record_files().items():
        lines = [json.dumps(line) for line in good]
        if file_name == name:
            lines = [json.dumps(mutate.tree(rng, line)) for line in good]
            if rng.random() < 0.2:
                lines = [mutate.text(rng, line) for line in lines]
        files[file_name] = "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"
    if rng.random() < 0.1:
        files[name] = mutate.content(rng, files[name])

    def action(folder: Path) -> None:
        for number in (0, 1):
            path = folder / "runs" / "s" / str(number)
            path.mkdir(parents=True)
            for file_name, data in files.items():
                (path / file_name).write_bytes(data)
        _read_everything(folder / "runs")

    return Case("record", f"{name}: {files[name]!r:.500}", action)


def journal(rng: random.Random) -> Case:
    """A study's journal with strange lines."""
    lines = _journal().splitlines()
    index = rng.randrange(len(lines))
    strange = json.dumps(mutate.tree(rng, json.loads(lines[index]))).encode()
    damaged: tuple[Callable[[], list[bytes]], ...] = (
        lambda: [*lines[:index], strange, *lines[index + 1 :]],
        lambda: [*lines[:index], strange, *lines[index:]],
        lambda: [*lines[:index], *lines[index + 1 :]],
        lambda: [*lines[:index], mutate.content(rng, lines[index]), *lines[index + 1 :]],
        lambda: [*lines, lines[index]],
    )
    data = b"\n".join(rng.choice(damaged)()) + rng.choice((b"\n", b""))

    def action(folder: Path) -> None:
        from idealfit.study.ledger import Ledger

        path = folder / "runs" / "s" / "study.journal"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        plan = _plan(folder)
        ledger = Ledger(plan)
        ledger.check_question(plan.identity())
        point = ledger.ask()
        if point.number < 0 or set(point.params) != set(plan.space.keys):
            raise WrongError(f"asked trial {point.number} with {point.params}")
        ledger.tell(point.number, TrialResult(state=TrialState.COMPLETE, value=0.5))

    return Case("journal", f"line {index}: {data[-300:]!r}", action)


def curves(rng: random.Random) -> Case:
    """Curves with anything in them, summarised."""
    names = ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "lr", "own")
    strange = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.0)
    length = rng.randrange(6)
    values: dict[str, list[float]] = {
        name: [rng.choice((*strange, rng.random())) for _ in range(length)] for name in names if rng.random() < 0.8
    }
    objective = Objective(metric=rng.choice(names), epoch=rng.choice(("best", "last", "mean_of_last_k")))

    def action(folder: Path) -> None:
        from idealfit.overfit import summarize

        for name, value in summarize(values, objective).items():
            if not isinstance(value, float | int):
                raise WrongError(f"{name} is {value!r}")

    return Case("curves", f"{objective.metric} of {values}", action)


def reference(rng: random.Random) -> Case:
    """A run that nobody can find."""
    name = rng.choice(
        (mutate.word(rng), mutate.text(rng, "s/0"), mutate.text(rng, "s/best"), "0a1b2c" + mutate.word(rng))
    )

    def action(folder: Path) -> None:
        from idealfit.reproduce.reference import resolve

        Record.create(_spec(folder / "runs"))
        found = resolve(name, folder / "runs")
        if found.path != record_path(folder / "runs", "s", 0):
            raise WrongError(f"found {found}")

    return Case("reference", repr(name)[:200], action)


def _read_everything(runs_dir: Path) -> None:
    """What every command that looks at records does with them."""
    from idealfit.api import load_study
    from idealfit.overfit import summarize
    from idealfit.tracking.files import Sent
    from idealfit.tracking.rows import first_rows, read_rows, rows_that_count

    path = record_path(runs_dir, "s", 0)
    Sent.read(path / "mirror.json")
    sent, _ = read_rows(path / "metrics.jsonl")
    for row in [*first_rows(sent), *rows_that_count(sent)]:
        row.time_ms.to_bytes(8, signed=True)
        row.epoch.to_bytes(8, signed=True)
    if summary := Record(path).curves():
        summarize(summary, OBJECTIVE)
    where = f"runs_dir='{runs_dir}'"
    code, said = command_line(["runs", "s", where])
    for arguments in (["runs"], ["diff", "s/0", "s/1"], ["compare", "s", "s/1"], ["report", "s"]):
        command_line([*arguments, where])
    study = load_study("s", runs_dir)
    study.trials()
    study.curves()
    study.run(0).curves()
    if code:
        raise WrongError(f"`idealfit runs` said {said!r}, and load_study nothing")


def _spec(runs_dir: Path) -> TrialSpec:
    config = {"seed": 0, "model": {"_target_": "idealfit.models.MLP", "depth": 2}}
    directory = str(record_path(runs_dir, "s", 0))
    return TrialSpec(
        study="s", number=0, config=config, record_dir=directory, params={"model.depth": 2, "optimizer.lr": 0.1}
    )


def _record_files() -> dict[str, list[dict[str, Any]]]:
    """The JSON files of a finished trial, a list of lines each."""
    summaries = {"best/val_accuracy": 0.9, "best/epoch": 1.0, "overfit/gap_at_best": 0.05, "overfit/onset_epoch": 1.0}
    result = TrialResult(state=TrialState.COMPLETE, value=0.9, summaries=summaries, num_epochs=2, fit_seconds=1.5)
    rows = [
        {
            "epoch": e,
            "time": 1.7e9 + e,
            "attempt": 0,
            "metrics": {"val/accuracy": 0.8 + e / 10, "val/loss": 1.0, "train/loss": 0.5},
        }
        for e in range(2)
    ]
    spec = _spec(Path("/nowhere")).to_json()
    del spec["trusted_packages"]
    mirror = {"key": "k", "store": "sqlite:///x", "experiment_id": "1", "run_id": "0a1b2c3d", "offset": 9, "epoch": 1}
    return {"spec.json": [spec], "result.json": [result.to_json()], "metrics.jsonl": rows, "mirror.json": [mirror]}


def _plan(folder: Path) -> Any:
    from idealfit.study.launch import Launch
    from idealfit.study.plan import open_plan

    overrides = ["study.name=s", f"runs_dir='{folder / 'runs'}'"]
    return open_plan(Launch(config_name="lr_dropout_depth", overrides=overrides))[0]


@cache
def _journal() -> bytes:
    """The journal of a study with a finished, a failed and a running trial."""
    import tempfile

    from idealfit.study.ledger import Ledger

    with tempfile.TemporaryDirectory() as name:
        plan = _plan(Path(name))
        ledger = Ledger(plan)
        ledger.check_question(plan.identity())
        for result in (TrialResult(state=TrialState.COMPLETE, value=0.5), TrialResult(state=TrialState.FAILED)):
            ledger.tell(ledger.ask().number, result)
        ledger.ask()
        return (Path(name) / "runs" / "s" / "study.journal").read_bytes()
