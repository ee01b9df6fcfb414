"""The controller at scale: up to 1,000 trials at once and 10,000 behind them, that sleep instead of training.

Everything is real but the training: plan, sampler, journal, records, MLflow on SQLite. A process beside the controller
plays the workers: each trial lives for a while and writes 100 epochs into its record and 100 reports into the journal,
in four parts. Trials that are over are put into the study beforehand, with their records. Pictures and the winner's
model are off: they are work for each trial, which `benchmarks.tracking` measures.

What a worker pays to report and to ask its pruner is measured by `benchmarks.storage`.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import resource
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import optuna

from benchmarks.common import REPOSITORY, store
from idealfit.engines import LocalEngine
from idealfit.engines.failures import interrupted
from idealfit.pruning import JournalFile, open_storage
from idealfit.record import Record
from idealfit.spec import TrialResult, TrialSpec, TrialState, Work
from idealfit.study import running
from idealfit.study.display import PlainDisplay
from idealfit.study.launch import Launch
from idealfit.study.ledger import Ledger
from idealfit.study.plan import StudyPlan, open_plan
from idealfit.tracking import address

CELLS = [(10, 1000), (100, 100), (100, 1000), (100, 10_000), (1000, 10_000)]  # (at once, behind)
LIFE_S = {10: 10.0, 100: 50.0, 1000: 250.0}  # of a trial, by how many there are at once
WINDOW_S = 30.0  # measured once all slots are taken
NUM_EPOCHS = 100
NUM_PARTS = 4
METRICS = ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "lr", "epoch_seconds", "samples_per_second")
STUDY = "lr_dropout_depth"
OVERRIDES = [
    "study.budget.trials=1000000",
    f"trainer.max_epochs={NUM_EPOCHS}",
    "tracking.pictures=false",
    "tracking.model=false",
]


def epochs(first: int, last: int, level: float, attempt: int = 0) -> bytes:
    """Lines of metrics.jsonl."""
    lines = []
    for epoch in range(first, last):
        metrics = {name: round(level * (1 - 0.9 ** (epoch + 1)), 6) for name in METRICS}
        lines.append(json.dumps({"epoch": epoch, "time": time.time(), "attempt": attempt, "metrics": metrics}))
    return "\n".join(lines).encode() + b"\n"


def reports(trial_id: int, first: int, last: int, level: float) -> list[dict[str, Any]]:
    """What a worker appends to the journal."""
    own = {"op_code": 7, "worker_id": "w", "trial_id": trial_id}
    return [own | {"step": e, "intermediate_value": level * (1 - 0.9 ** (e + 1))} for e in range(first, last)]


def result_of(level: float) -> TrialResult:
    """A complete trial's."""
    summaries = {"best/val_accuracy": level, "best/epoch": 99.0, "overfit/gap_at_best": 0.01}
    return TrialResult(
        state=TrialState.COMPLETE, value=level, summaries=summaries, num_epochs=NUM_EPOCHS, fit_seconds=1.0
    )


class Crowd:
    """The workers, all in one process: reads specs from its standard input, answers with numbers that ended."""

    def __init__(self, journal: str, life_s: float, num_slots: int) -> None:
        self._journal = JournalFile(Path(journal))
        self._life_s = life_s
        self._num_slots = num_slots
        self._random = random.Random(0)
        self._due: list[tuple[float, int, int, str, float, float]] = []
        self._num_begun = 0

    def run(self) -> None:
        """Play until the input ends."""
        buffer = b""
        while True:
            pause = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            if select.select([0], [], [], pause)[0]:
                data = os.read(0, 1 << 20)
                if not data:
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._begin(json.loads(line))
            while self._due and self._due[0][0] <= time.monotonic():
                self._go_on(*heapq.heappop(self._due))

    def _begin(self, task: dict[str, Any]) -> None:
        self._num_begun += 1
        is_first = self._num_begun <= self._num_slots  # of its slot: as if it had begun some time ago
        life = self._life_s * (self._random.uniform(0.02, 1) if is_first else self._random.uniform(0.5, 1.5))
        due = time.monotonic() + life / NUM_PARTS
        heapq.heappush(self._due, (due, task["number"], 0, task["record_dir"], life, self._random.random()))

    def _go_on(self, due: float, number: int, part: int, record_dir: str, life: float, level: float) -> None:
        size = NUM_EPOCHS // NUM_PARTS
        with Path(record_dir, "metrics.jsonl").open("ab") as file:
            file.write(epochs(part * size, (part + 1) * size, level))
        self._journal.append_logs(reports(number, part * size, (part + 1) * size, level))
        if part + 1 < NUM_PARTS:
            heapq.heappush(self._due, (due + life / NUM_PARTS, number, part + 1, record_dir, life, level))
            return
        answer = {"number": number, "result": result_of(level).to_json()}
        os.write(1, json.dumps(answer).encode() + b"\n")


class CrowdEngine:
    """An engine whose trials are played; what is no trial, as the checks before one, runs for real."""

    def __init__(self, num_slots: int, journal: str, window_s: float) -> None:
        self.num_slots = num_slots
        self.started_at = self.ended_at = 0.0  # of the window
        self.idle_s = 0.0  # of all slots together
        self.num_ended = 0
        self.cpu_s: dict[str, float] = {}
        self._window_s = window_s
        self._changed_at = 0.0
        self._lock = threading.Lock()
        self._real = LocalEngine(slots=1)
        self._trials: dict[int, tuple[TrialSpec, Future[TrialResult]]] = {}
        command = [sys.executable, "-m", "benchmarks.scale", "crowd", journal, str(LIFE_S[num_slots])]
        pipe = subprocess.PIPE
        self._crowd = subprocess.Popen([*command, str(num_slots)], stdin=pipe, stdout=pipe, cwd=REPOSITORY)
        threading.Thread(target=self._hear, name="crowd", daemon=True).start()

    def submit(self, work: Work, spec: TrialSpec, *, timeout_s: float | None = None) -> Future[TrialResult]:
        """Begin a trial."""
        if work.__name__ != "run_trial":
            return self._real.submit(work, spec)
        future: Future[TrialResult] = Future()
        future.set_running_or_notify_cancel()
        assert self._crowd.stdin  # noqa: S101
        with self._lock:
            self._count()
            self._trials[spec.number] = (spec, future)
            self._crowd.stdin.write(json.dumps({"number": spec.number, "record_dir": spec.record_dir}).encode() + b"\n")
            self._crowd.stdin.flush()
            if not self.started_at and len(self._trials) == self.num_slots:
                self._open_window()
        return future

    def stop(self) -> None:
        """Interrupt all."""
        with self._lock:
            trials, self._trials = self._trials, {}
        for spec, future in trials.values():
            future.set_result(interrupted(spec))

    kill = stop

    def close(self) -> None:
        """End the crowd."""
        assert self._crowd.stdin  # noqa: S101
        self._crowd.stdin.close()
        self._crowd.wait()
        self._real.close()

    def _hear(self) -> None:
        assert self._crowd.stdout  # noqa: S101
        for line in self._crowd.stdout:
            answer = json.loads(line)
            with self._lock:
                self._count()
                spec, future = self._trials.pop(answer["number"], (None, None))
                self.num_ended += bool(self.started_at and not self.ended_at)
            if future and spec:
                result = TrialResult.from_json(answer["result"])
                Record(spec.record_dir).write_result(result)  # as a worker does
                future.set_result(result)

    def _count(self) -> None:
        now = time.monotonic()
        if self.started_at and not self.ended_at:
            self.idle_s += (now - self._changed_at) * (self.num_slots - len(self._trials))
            if now - self.started_at > self._window_s:
                self._close_window(now)
        self._changed_at = now

    def _open_window(self) -> None:
        self.started_at = self._changed_at = time.monotonic()
        self.cpu_s = thread_seconds()

    def _close_window(self, now: float) -> None:
        self.ended_at = now
        self.cpu_s = {name: seconds - self.cpu_s.get(name, 0.0) for name, seconds in thread_seconds().items()}
        os.kill(os.getpid(), signal.SIGINT)  # the polite end of a study


def thread_seconds() -> dict[str, float]:
    """CPU seconds of this process, and of its threads by name."""
    seconds = {"process": time.process_time()}
    for thread in threading.enumerate():
        if thread.ident:
            seconds[thread.name] = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return seconds


def fill(plan: StudyPlan, num_trials: int, mlflow_uri: str) -> None:
    """Put finished trials into the study: journal and records, mirrored already as far as their files say."""
    source = random.Random(0)
    base = plan.base | {"study": None}
    optuna.create_study(storage=open_storage(plan.storage), study_name=plan.name, direction="maximize")
    when = "2026-01-01T00:00:00.000000+00:00"
    shared = plan.runs_dir / "shared.jsonl"
    shared.write_bytes(epochs(0, NUM_EPOCHS, 0.9))
    for start in range(0, num_trials, 1000):
        logs: list[dict[str, Any]] = []
        for number in range(start, min(start + 1000, num_trials)):
            level = source.random()
            params = _params(source)
            own = {"worker_id": "w", "trial_id": number}
            logs.append({"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": when})
            for key, distribution in plan.space.distributions().items():
                text = optuna.distributions.distribution_to_json(distribution)
                internal = distribution.to_internal_repr(params[key])
                logs.append(
                    {"op_code": 5, **own, "param_name": key, "param_value_internal": internal, "distribution": text}
                )
            logs += reports(number, 0, NUM_EPOCHS, level)
            logs.append({"op_code": 6, **own, "state": 1, "values": [level], "datetime_complete": when})
            _write_record(plan, number, params, level, base, shared, mlflow_uri)
        JournalFile(Path(plan.storage)).append_logs(logs)


def _params(source: random.Random) -> dict[str, Any]:
    lr, dropout = 10 ** source.uniform(-4, -1), source.uniform(0, 0.6)
    return {"optimizer.lr": lr, "model.dropout": dropout, "model.depth": source.randint(1, 4)}


def _write_record(
    plan: StudyPlan, number: int, params: dict[str, Any], level: float, base: Any, shared: Path, uri: str
) -> None:
    record = Record(plan.study_dir / str(number))
    record.path.mkdir(parents=True)
    spec = TrialSpec(
        study=plan.name,
        number=number,
        config=base,
        record_dir=str(record.path),
        params=params,
        objective=plan.objective,
    )
    record.spec_path.write_text(json.dumps(spec.to_json()))
    record.config_path.write_text("seed: 0\n")
    record.metrics_path.hardlink_to(shared)
    record.result_path.write_text(json.dumps(result_of(level).to_json()))
    sent = {"key": f"k{number}", "store": uri, "run_id": f"r{number}", "epoch": 99, "opened": True, "ended": "complete"}
    record.mirror_path.write_text(json.dumps(sent))


def run_cell(num_slots: int, num_behind: int, window_s: float) -> dict[str, Any]:
    """One study in the current directory; what its controller took."""
    plan, composer = open_plan(Launch(config_name=STUDY, overrides=OVERRIDES))
    plan.study_dir.mkdir(parents=True)
    fill(plan, num_behind, address.shown(address.resolve(plan.root["tracking"]["uri"])))
    asks: list[tuple[float, float]] = []
    engines: list[CrowdEngine] = []
    ask = Ledger.ask

    def timed(ledger: Ledger) -> Any:
        started, cpu = time.perf_counter(), time.thread_time()
        point = ask(ledger)
        asks.append((time.perf_counter() - started, time.thread_time() - cpu))
        return point

    def make_engine(*args: Any, **keywords: Any) -> CrowdEngine:
        engines.append(CrowdEngine(num_slots, plan.storage, window_s))
        return engines[-1]

    began = time.monotonic()
    with ExitStack() as stack:
        log = stack.enter_context(Path("log").open("w"))
        stack.enter_context(patch.object(Ledger, "ask", timed))
        stack.enter_context(patch.object(running, "make_engine", make_engine))
        at_the_end = running.AtTheEnd(write_report=lambda result: plan.study_dir)
        result = running.run_study(plan, composer, display=PlainDisplay(log), at_the_end=at_the_end)
    return _figures(engines[0], asks, took_s=time.monotonic() - began, not_sent=len(result.not_tracked))


def _spread(seconds: Iterable[float]) -> dict[str, float]:
    ms = sorted(1e3 * each for each in seconds)
    return {
        "median": round(statistics.median(ms), 2),
        "p99": round(ms[int(0.99 * (len(ms) - 1))], 2),
        "max": round(ms[-1], 2),
    }


def _figures(engine: CrowdEngine, asks: list[tuple[float, float]], *, took_s: float, not_sent: int) -> dict[str, Any]:
    window_s = engine.ended_at - engine.started_at
    per_trial = {name: round(1e3 * seconds / engine.num_ended, 1) for name, seconds in engine.cpu_s.items()}
    return {
        "num_asks": len(asks),
        "ask_ms": _spread(wall for wall, _ in asks),
        "ask_cpu_ms": _spread(cpu for _, cpu in asks),  # what is left of it on a machine with nothing else to do
        "controller_cpu_ms_per_trial": {
            "all": per_trial["process"],
            "loop": per_trial["MainThread"],
            "mlflow": per_trial["idealfit-mirror"],
        },
        "idle_slots": round(engine.idle_s / (engine.num_slots * window_s), 5),
        "idle_ms_per_trial": round(1e3 * engine.idle_s / engine.num_ended, 1),
        "trials_ended": engine.num_ended,
        "trials_per_s": round(engine.num_ended / window_s, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "runs_not_sent_in_time": not_sent,
        "took_s": round(took_s, 1),
    }


def cells() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each in a process of its own, in an empty directory."""
    for num_slots, num_behind in CELLS:
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, "-m", "benchmarks.scale", "cell", str(num_slots), str(num_behind), directory]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, check=False)
        if done.returncode:
            raise SystemExit(f"{num_slots} at once after {num_behind}: ended with {done.returncode}")
        figures = json.loads(done.stdout.splitlines()[-1])
        print(f"{num_slots:5} at once, {num_behind:6} behind: {json.dumps(figures)}", flush=True)
        yield f"{num_slots} at once, {num_behind} behind", figures


def main() -> None:
    """Measure all cells, store the figures; or play a part in one."""
    part, *rest = sys.argv[1:] or ["all"]
    if part == "crowd":
        Crowd(rest[0], float(rest[1]), int(rest[2])).run()
    elif part == "cell":
        os.chdir(rest[2])
        print(json.dumps(run_cell(int(rest[0]), int(rest[1]), WINDOW_S)))
    else:
        figures = {"num_epochs": NUM_EPOCHS, "window_s": WINDOW_S, **dict(cells())}
        print(f"stored in {store('scale', figures, repeats=1)}")


if __name__ == "__main__":
    main()
