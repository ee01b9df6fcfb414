"""Studies and specs that the tests of storages have in common, and what other processes do with them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import optuna

from idealfit.pruning import open_storage
from idealfit.spec import TrialSpec

SPACE: dict[str, optuna.distributions.BaseDistribution] = {"x": optuna.distributions.FloatDistribution(0, 1)}
PRELUDE = """
import sys, time, optuna
from idealfit.pruning import StorageReporter, open_storage
from idealfit.spec import TrialSpec
optuna.logging.set_verbosity(optuna.logging.ERROR)
url, name = sys.argv[1:]
def load():
    return optuna.load_study(study_name=name, storage=open_storage(url), sampler=optuna.samplers.RandomSampler())
"""


def make_study(url: str, name: str) -> optuna.Study:
    """The study as a controller opens it."""
    sampler = optuna.samplers.RandomSampler()
    return optuna.create_study(
        storage=open_storage(url), study_name=name, load_if_exists=True, direction="maximize", sampler=sampler
    )


def spec_of(url: str, name: str, number: int, pruner: str = "hyperband", **options: Any) -> TrialSpec:
    """What a worker is told about a trial."""
    described = {"name": pruner, "options": options, "max_epochs": 30}
    return TrialSpec(study=name, number=number, config={}, record_dir="", storage=url, pruner=described)


def start(code: str, url: str, name: str) -> subprocess.Popen[str]:
    """Another process that runs `code` after `PRELUDE`."""
    command = [sys.executable, "-c", PRELUDE + code, url, name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def start_together(code: str, url: str, name: str, *, num: int) -> list[subprocess.Popen[str]]:
    """Processes that all begin with `code` once each of them could."""
    wait = "import importlib\nfrom idealfit.pruning import modules_to_preload\n"
    wait += "for module in modules_to_preload(url):\n    importlib.import_module(module)\n"
    wait += "print('ready', flush=True)\nsys.stdin.readline()\n"
    processes = [start(wait + code, url, name) for _ in range(num)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for a process; its output."""
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output
