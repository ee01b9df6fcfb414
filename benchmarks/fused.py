"""Trials per minute: `engine=fused` against as many local slots as there are workers, on the same work, in one run.

    python -m benchmarks fused                  # mlp on digits and MNIST, 16 trials at once: the figure of the README
    python -m benchmarks.fused --sizes 1 2 4 8 16 32 64 --data digits
    python -m benchmarks.fused --net lenet --data mnist
    python -m benchmarks.fused --net lenet --data mnist --slots 1 4 8 --sizes 1 4 16 64 --trials 64  # to share a GPU

Both engines are warm (imports done, data cached) before the clock starts, for a study pays for that once; the clock
runs from the first submission to the last result. Where there is a CUDA device, its utilisation and memory are reported
too.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import data_root, interleaved, median, median_ratio, medians, store
from idealfit.engines import FusedEngine, LocalEngine
from idealfit.engines.hardware import default_slots, device_ids, usable_cores
from idealfit.spec import Engine, TrialSpec, TrialState
from idealfit.text import counted
from idealfit.trial import run_trial

NUM_ROUNDS = 3
NETS: dict[str, dict[str, Any]] = {
    "mlp": {"_target_": "idealfit.models.MLP", "depth": 2, "width": 128, "dropout": 0.2},
    "lenet": {"_target_": "idealfit.models.LeNet", "dropout": 0.2},
    "cnn": {"_target_": "idealfit.models.CNN", "depth": 3, "width": 16, "dropout": 0.2, "batch_norm": True},
    "resnet": {"_target_": "idealfit.models.ResNet", "depth": 18, "dropout": 0.2},
}


def data_config(name: str) -> dict[str, Any]:
    """Real images: all digits, or 6,000 of MNIST."""
    if name == "digits":
        return {"_target_": "idealfit.data.Digits", "batch_size": 64, "limit": None}
    root = str(data_root() / "mnist")
    return {"_target_": "idealfit.data.MNIST", "root": root, "download": False, "batch_size": 128, "limit": 6000}


def config_of(number: int, *, net: str, data: str, num_epochs: int, precision: str, cache: Path) -> dict[str, Any]:
    """The config of one trial; they differ in learning rate and dropout."""
    model = copy.deepcopy(NETS[net])
    model["dropout"] = 0.1 + 0.005 * (number % 64)
    common = {"val_fraction": 0.2, "test_fraction": 0.2, "split_seed": 0, "cache_dir": str(cache)}
    return {
        "seed": 0,
        "data": data_config(data) | common,
        "model": model,
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": 1e-3 * (1 + number % 8)},
        "scheduler": None,
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "augment": None,
        "trainer": {
            "max_epochs": num_epochs,
            "accelerator": "auto",
            "precision": precision,
            "accumulate_grad_batches": 1,
        },
    }


class Bench:
    """Runs the same trials through one engine or another."""

    def __init__(self, folder: Path, arguments: argparse.Namespace, data: str) -> None:
        self._folder = folder
        self._make_config = partial(
            config_of,
            net=arguments.net,
            data=data,
            num_epochs=arguments.epochs,
            precision=arguments.precision,
            cache=folder / "cache",
        )
        self.usage: dict[str, list[Any]] = {}

    def trials_per_minute(self, name: str, make_engine: Callable[[], Engine], num_trials: int) -> float:
        """From the first submission to the last result.

        Raises:
            SystemExit: A trial failed.
        """
        engine = make_engine()
        try:
            self._run(engine, 1)
            with device_usage() as usage:
                started = time.perf_counter()
                self._run(engine, num_trials)
                seconds = time.perf_counter() - started
        finally:
            engine.close()
        self.usage.setdefault(name, []).append(usage)
        return 60 * num_trials / seconds

    def _run(self, engine: Engine, num_trials: int) -> None:
        runs = self._folder / "runs"
        specs = [
            TrialSpec(study="bench", number=n, config=self._make_config(n), record_dir=str(runs / str(n)))
            for n in range(num_trials)
        ]
        futures = [engine.submit(run_trial, spec) for spec in specs]
        wait(futures)
        for future in futures:
            result = future.result()
            if result.state is not TrialState.COMPLETE:
                raise SystemExit(f"a trial ended {result.state}: {result.message}")
        shutil.rmtree(runs)


@contextlib.contextmanager
def device_usage() -> Iterator[dict[str, float]]:
    """Mean utilisation in percent and largest memory in MiB of the first CUDA device meanwhile; empty without one."""
    found: dict[str, float] = {}
    if not device_ids():
        yield found
        return
    rows: list[list[float]] = []
    is_over = threading.Event()

    def watch() -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "-i", "0"]
        while not is_over.wait(0.2):
            answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout
            rows.append([float(value) for value in answer.split(",")])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()
        if rows:
            found["utilisation_percent"] = sum(row[0] for row in rows) / len(rows)
            found["memory_mib"] = max(row[1] for row in rows)


def measure(folder: Path, arguments: argparse.Namespace, data: str) -> dict[str, Any]:
    """Every size, and further numbers of local slots, against the first number of slots."""
    bench = Bench(folder, arguments, data)
    variants: dict[str, Callable[[], float]] = {}
    for num_slots in arguments.slots:
        name = f"local, {counted(num_slots, 'slot')}"
        variants[name] = lambda name=name, num_slots=num_slots: bench.trials_per_minute(  # type: ignore[misc]
            name, lambda: LocalEngine(num_slots), arguments.trials
        )
    local = next(iter(variants))
    for size in arguments.sizes:
        name = f"fused, {size} at once"
        variants[name] = lambda name=name, size=size: bench.trials_per_minute(  # type: ignore[misc]
            name, lambda: FusedEngine(size), max(arguments.trials, size)
        )
    rates = interleaved(variants, num_rounds=arguments.rounds)
    ratios = {name: median_ratio(values, rates[local]) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"  {arguments.net} on {data:7} {name:20} {median(values):8.1f} trials/min  {ratios[name]:.2f}")
    return {
        "trials_per_minute": medians(rates),
        "over_local": ratios,
        "device": bench.usage if device_ids() else {},
    }


def main(words: Sequence[str] = ()) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=NETS, default="mlp")
    parser.add_argument("--data", nargs="+", choices=("digits", "mnist"), default=["digits", "mnist"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[16])
    num_workers = default_slots(len(device_ids()), usable_cores())
    parser.add_argument(
        "--slots", nargs="+", type=int, default=[num_workers], help="the first is what is compared with"
    )
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=NUM_ROUNDS)
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--name", default="fused", help="of the file in benchmarks/results")
    arguments = parser.parse_args(list(words))
    figures: dict[str, Any] = {"settings": {key: value for key, value in vars(arguments).items() if key != "name"}}
    with tempfile.TemporaryDirectory() as folder:
        for data in arguments.data:
            figures[data] = measure(Path(folder), arguments, data)
    print(json.dumps(figures, indent=2))
    print(f"stored in {store(arguments.name, figures, repeats=arguments.rounds)}")


if __name__ == "__main__":
    main(sys.argv[1:])
