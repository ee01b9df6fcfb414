"""Two CPU ranks against one process at the same batch size: how far apart their curves are, and which is faster.

A convolutional network without dropout and batch norm on MNIST: then ranks differ from one process in nothing but the
order of their sums. What that comes to is shown in single and in double precision. On one machine ranks share the cores
that one process has alone, so this says what ranks cost, not what more machines would bring.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import completed, interleaved, median, medians, store
from idealfit.record import Record

NUM_ROUNDS = 3
TIMES = ("epoch_seconds", "samples_per_second")
TRAINING = [
    *("data=mnist", "data.limit=6000", "data.batch_size=250", "model=cnn", "model.batch_norm=false"),
    *("trainer.accelerator=cpu", "trainer.max_epochs=4", "tracking=none"),
]
ONE_CORE = ["taskset", "--cpu-list", "0"]

Curves = dict[str, list[float]]


def train(*overrides: str, prefix: Sequence[str] = ()) -> Curves:
    """The curves of one run in an empty directory.

    Raises:
        SystemExit: It failed.
    """
    with tempfile.TemporaryDirectory() as directory:
        completed([*prefix, sys.executable, "-m", "idealfit", "train", *TRAINING, *overrides], directory)
        (record,) = (path.parent for path in Path(directory).glob("runs/*/*/result.json"))
        return Record(record).curves()


def distance(one: Curves, other: Curves) -> dict[str, float]:
    """By metric: the largest relative difference of any epoch."""
    return {
        name: max(abs(a - b) / abs(a) for a, b in zip(curve, other[name], strict=True))
        for name, curve in one.items()
        if name not in TIMES
    }


def main() -> None:
    last: dict[str, Curves] = {}

    def measure(name: str, *overrides: str, prefix: Sequence[str] = ()) -> float:
        last[name] = train(*overrides, prefix=prefix)
        return median(last[name]["samples_per_second"][1:])

    speeds = interleaved(
        {
            "one process": lambda: measure("one process"),
            "one process, one core": lambda: measure("one process, one core", prefix=ONE_CORE),
            "two ranks": lambda: measure("two ranks", "trainer=ddp"),
        },
        num_rounds=NUM_ROUNDS,
    )
    double = [train(f"trainer={trainer}", "trainer.precision=64-true") for trainer in ("default", "ddp")]
    ratios = {
        name: [two / one for two, one in zip(speeds["two ranks"], speeds[name], strict=True)]
        for name in ("one process", "one process, one core")
    }
    figures = {
        "largest_relative_difference": {
            "32-true": distance(last["one process"], last["two ranks"]),
            "64-true": distance(*double),
        },
        "images_per_second": {name: median(values) for name, values in speeds.items()},
        "two_ranks_over": medians(ratios),
    }
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('ddp', figures, repeats=NUM_ROUNDS)}")


if __name__ == "__main__":
    main()
