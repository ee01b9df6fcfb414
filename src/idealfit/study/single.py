"""One run outside a study, a training or a range test: the same record and mirror, in this process if it can be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path

from idealfit.config import Composer
from idealfit.engines import InlineEngine, LocalEngine
from idealfit.record import Record
from idealfit.spec import (
    JSON,
    ConfigError,
    Engine,
    FailureKind,
    Params,
    TrialResult,
    TrialSpec,
    Work,
    record_path,
)
from idealfit.study.circumstances import Circumstances
from idealfit.study.finishing import Finisher
from idealfit.study.mirroring import RunMirror
from idealfit.study.objective import default_objective
from idealfit.study.stopping import StopSwitch
from idealfit.trial import check_trial, run_trial

STUDY = "train"  # the folder of single runs, and their experiment in MLflow
POLL_S = 0.2


def run_single(
    composer: Composer,
    *,
    config: JSON | None = None,
    study: str = STUDY,
    params: Params | None = None,
    check: Work = check_trial,
    work: Work = run_trial,
    overrides: Sequence[str] = (),
    say: Callable[[str], None],
) -> Record:
    """Train once; returns the record, which holds the result.

    Args:
        composer: The composed config.
        config: Another trial config than the composed one.
        study: The folder of such runs, and their experiment.
        params: What the run is told beside its config.
        check: Refuses wrong input.
        work: What is done.
        overrides: What it was composed with, for the record.
        say: Prints a line of progress.

    Raises:
        UserError: Wrong input; then there is no record.
    """
    root = composer.root()
    spec = _spec(root, config or composer.trial_config({}), study, params or {}, overrides)
    runs_dir = Path(root["runs_dir"]).expanduser().resolve()
    circumstances = Circumstances(runs_dir / study, root, study={"name": study}, on_problem=say)
    engine = _engine(spec)
    try:
        with (
            StopSwitch(kill=engine.kill, last_words="Ended at once.") as switch,
            RunMirror(root["tracking"], study, apart=True) as mirror,
        ):
            checked = check(spec, threading.Event())
            if checked.failure is FailureKind.INPUT:
                raise ConfigError(checked.message)
            circumstances.keep_data_files(checked.facts)
            mirror.wait_ready()
            spec = spec.with_(provenance=circumstances.sha256)
            pictures = root["tracking"]["pictures"]
            record = run_recorded(spec, runs_dir, engine, mirror, switch, work=work, pictures=pictures, say=say)
    finally:
        engine.close()
    for problem in mirror.not_sent:
        say(f"warning: {problem}")
    return record


def _spec(root: JSON, config: JSON, study: str, params: Params, overrides: Sequence[str]) -> TrialSpec:
    return TrialSpec(
        study=study,
        number=0,
        config=config,
        record_dir="",
        seed=config["seed"],
        objective=default_objective(config),
        params=params,
        overrides=list(overrides),
        trusted_packages=list(root["trusted_packages"]),
        working_dir=str(Path.cwd()),
        num_ranks=config["trainer"].get("devices", 1),
    )


def _engine(spec: TrialSpec) -> Engine:
    """This process, or where several train together, one for each device."""
    if spec.num_ranks == 1:
        return InlineEngine()
    return LocalEngine(slots=1, devices_per_trial=spec.num_ranks)


def run_recorded(
    spec: TrialSpec,
    runs_dir: Path,
    engine: Engine,
    mirror: RunMirror,
    switch: StopSwitch,
    *,
    work: Work = run_trial,
    pictures: bool,
    say: Callable[[str], None],
) -> Record:
    """Run `spec` into the next free record of its study, mirrored; returns the record, which holds the result."""
    spec = _claim(spec, runs_dir)
    record = Record.create(spec)
    finisher = Finisher(mirror, pictures=pictures, on_problem=say)
    finisher.trial_started(record, spec)
    result = _follow(engine.submit(work, spec), record, engine, switch, say)
    finisher.trial_ended(record, spec, result)
    finisher.close()
    return record


def _claim(spec: TrialSpec, runs_dir: Path) -> TrialSpec:
    """Take the next free number; two processes at once get two."""
    number = 0
    while True:
        path = record_path(runs_dir, spec.study, number)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return spec.with_(number=number, record_dir=str(path))


def _follow(
    future: Future[TrialResult], record: Record, engine: Engine, switch: StopSwitch, say: Callable[[str], None]
) -> TrialResult:
    """Print an epoch a line until the run ends."""
    num_said = 0
    stopped = False
    while True:
        done = not wait([future], timeout=POLL_S).not_done
        lines = _lines(record)
        for line in lines[num_said:]:
            say(line)
        num_said = len(lines)
        if done:
            result = future.result()
            if record.read_result() != result:
                record.write_result(result)
            return result
        if switch.is_requested() and not stopped:
            stopped = True
            engine.stop()


def _lines(record: Record) -> list[str]:
    """A line for each epoch below the names of its metrics; of several rounds one after the other."""
    rounds = record.rounds()
    lines = []
    for each in rounds or [record]:
        rows = each.read_metrics()
        names = [" ".join(tag) for tag in each.read_spec().tags.items()] if rounds else []
        lines += [*names, epoch_header(rows[0].metrics)] if rows else []
        lines += [epoch_line(row.epoch, row.metrics) for row in rows]
    return lines


def epoch_header(metrics: Mapping[str, float]) -> str:
    """The names over the columns of `epoch_line`."""
    return "epoch  " + "  ".join(f"{name:>{_width(name)}}" for name in _shown(metrics))


def epoch_line(epoch: int, metrics: Mapping[str, float]) -> str:
    """One epoch: losses, then accuracies or the like, train beside validation; a module of one's own shows its own."""
    return f"{epoch:>5}  " + "  ".join(f"{metrics[name]:>{_width(name)}.4f}" for name in _shown(metrics))


def _shown(metrics: Mapping[str, float]) -> list[str]:
    usual = [f"{part}/{what}" for what in ("loss", "accuracy", "f1", "mae", "r2") for part in ("train", "val")]
    return [name for name in usual if name in metrics] or sorted(name for name in metrics if "/" in name)


def _width(name: str) -> int:
    return max(len(name), 8)
