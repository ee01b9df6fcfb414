"""Random SIGKILLs of workers and controllers, until a study of short trials is done all the same."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults import processes
from benchmarks.faults.verify import violations

HANG_S = 300.0  # a study that makes no new record for so long hangs


@dataclass
class KillReport:
    """What was killed, and what was wrong afterwards."""

    workers_killed: int = 0
    controllers_killed: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


@dataclass
class KillPlan:
    """A study of short trials, and how many of its processes die."""

    directory: Path
    storage: str = ""  # "": the default journal
    num_trials: int = 50
    num_kills: int = 66
    controller_share: float = 0.25
    seed: int = 0
    study: str = "faults"
    overrides: list[str] = field(default_factory=list)

    @property
    def journal(self) -> str:
        """Where the study's trials are kept."""
        return self.storage or str(self.directory / "runs" / self.study / "study.journal")

    def command(self) -> list[str]:
        """What a user would type, and type again."""
        storage = [f"study.storage={self.storage}"] if self.storage else []
        return [
            *(sys.executable, "-m", "idealfit", "sweep", "lr_dropout_depth"),
            *(f"study.name={self.study}", f"study.budget.trials={self.num_trials}", "study.max_restarts=1000"),
            *("trainer.max_epochs=6", "trainer.checkpoint_every_s=0", "data.batch_size=128", "engine.slots=2"),
            *storage,
            *self.overrides,
        ]


def run(plan: KillPlan) -> KillReport:
    """Start the study, kill at random, start it again after each dead controller, then verify everything."""
    report, rng, started = KillReport(), random.Random(plan.seed), time.monotonic()
    plan.directory.mkdir(parents=True, exist_ok=True)
    while True:
        with (plan.directory / "output.log").open("ab") as log:
            environment = {**os.environ, "COLUMNS": "160"}
            controller = subprocess.Popen(
                plan.command(), cwd=plan.directory, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        code = _harass(controller, plan, report, rng)
        if code == 0:
            break
        if code != -9:
            report.wrong.append(f"the controller ended with {code}; see {plan.directory / 'output.log'}")
            break
    report.wrong += violations(
        plan.directory / "runs",
        plan.study,
        num_trials=plan.num_trials,
        storage=plan.journal,
        tracking_uri=f"sqlite:///{plan.directory / 'mlflow.db'}",
    )
    report.seconds = time.monotonic() - started
    return report


def _harass(controller: subprocess.Popen[bytes], plan: KillPlan, report: KillReport, rng: random.Random) -> int:
    """Kill processes of one controller until it ends; returns its exit code."""
    last_progress, seen = time.monotonic(), -1
    while controller.poll() is None:
        time.sleep(rng.uniform(0.1, 1.2))
        num_lines = sum(path.stat().st_size for path in plan.directory.glob("runs/*/*/metrics.jsonl"))
        if num_lines != seen:
            last_progress, seen = time.monotonic(), num_lines
        if time.monotonic() - last_progress > HANG_S:
            report.wrong.append(f"hung: nothing new for {HANG_S} s")
            _end(controller, report)
            return 1
        if report.workers_killed + report.controllers_killed < plan.num_kills:
            _kill_one(controller, plan, report, rng)
    return controller.returncode


def _kill_one(controller: subprocess.Popen[bytes], plan: KillPlan, report: KillReport, rng: random.Random) -> None:
    attempts = processes.workers(controller.pid)
    if not attempts:
        return  # still starting: a kill now would test nothing but patience
    if rng.random() < plan.controller_share:
        report.controllers_killed += 1
        _end(controller, report)
    else:
        report.workers_killed += processes.kill(rng.choice(attempts))


def _end(controller: subprocess.Popen[bytes], report: KillReport) -> None:
    family = processes.descendants(controller.pid)
    processes.kill(controller.pid)
    controller.wait()
    if orphans := processes.survivors(family):
        report.wrong.append(f"{len(orphans)} processes outlived their controller")
        for pid in orphans:
            processes.kill(pid)
