"""What a user waits for before anything trains: `--help`, `runs`, and a cold single trial to its first step.

The first step of `idealfit train` is reckoned from the record: its first epoch was written down when it had ended, and
says how long it took. The imports are those of the same process, one after the other, in a process of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import completed, interleaved, median, store
from idealfit.record import Record

NUM_ROUNDS = 3
IDEALFIT = [sys.executable, "-m", "idealfit"]
TRAIN = ["train", "trainer.max_epochs=1"]
IMPORTS = ("torch", "lightning.pytorch", "optuna", "mlflow", "idealfit.train")
TIMED = f"""
import importlib, json, time
took = {{}}
for name in {IMPORTS!r}:
    started = time.perf_counter()
    importlib.import_module(name)
    took[name] = time.perf_counter() - started
print(json.dumps(took))
"""


def seconds_of(words: list[str], directory: str) -> float:
    """Wall-clock seconds of one command."""
    started = time.perf_counter()
    completed([*IDEALFIT, *words], directory)
    return time.perf_counter() - started


def seconds_to_first_step() -> float:
    """From the start of `idealfit train` in an empty directory until its first epoch begins."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.time()
        completed([*IDEALFIT, *TRAIN], directory)
        first = Record(Path(directory) / "runs" / "train" / "0").read_metrics()[0]
        return first.time - first.metrics["epoch_seconds"] - started


def seconds_of_imports() -> dict[str, float]:
    """By module, in the order in which a trial needs them."""
    done = subprocess.run([sys.executable, "-c", TIMED], capture_output=True, text=True, check=True)
    took: dict[str, float] = json.loads(done.stdout)
    return took


def main() -> None:
    """Measure, print, store."""
    imports: list[dict[str, float]] = []

    def all_imports() -> float:
        imports.append(seconds_of_imports())
        return sum(imports[-1].values())

    with tempfile.TemporaryDirectory() as place:
        completed([*IDEALFIT, *TRAIN], place)  # something for `runs` to list
        measured = interleaved(
            {
                "idealfit --help": lambda: seconds_of(["--help"], place),
                "idealfit runs": lambda: seconds_of(["runs"], place),
                "idealfit train, to its first step": seconds_to_first_step,
                "imports alone": all_imports,
            },
            num_rounds=NUM_ROUNDS,
        )
    figures = {
        name: {"median": median(values), "least": min(values), "all": values} for name, values in measured.items()
    }
    by_module = {name: median([each[name] for each in imports]) for name in IMPORTS}
    print(json.dumps(figures | {"imports": by_module}, indent=2))
    print(f"stored in {store('startup', figures | {'imports': by_module}, repeats=NUM_ROUNDS)}")


if __name__ == "__main__":
    main()
