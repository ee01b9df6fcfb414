"""What a trial costs as a study grows: 10, 100 and 1,000 trials, as a user runs them.

The trials train next to nothing (200 images, one epoch of a small perceptron), so that what is measured is the study's
own work for each of them: asking the sampler, starting a worker, recording, tracking. Once with random points, once
with the default sampler, whose own share grows with what it has seen.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import completed, store

STUDY = [
    *("lr_dropout_depth", "model.width=8", "study.pruner=none", "data.limit=200"),
    *("trainer.max_epochs=1", "engine.slots=2"),
]


def seconds_per_trial(num_trials: int, sampler: str) -> float:
    """From the first trial's start to the last one's end, by the records.

    Raises:
        SystemExit: The study failed.
    """
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "idealfit", "sweep", *STUDY, f"study.budget.trials={num_trials}"]
        completed([*command, f"study.sampler={sampler}"], directory)
        records = [path.parent for path in Path(directory).glob("runs/*/[0-9]*/result.json")]
        if len(records) != num_trials:
            raise SystemExit(f"the study of {num_trials} trials ended with {len(records)} results")
        start = min((record / "spec.json").stat().st_mtime for record in records)
        end = max((record / "result.json").stat().st_mtime for record in records)
    return (end - start) / num_trials


def main(words: Sequence[str] = ()) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[10, 100, 1000])
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe"])
    arguments = parser.parse_args(list(words))
    figures: dict[str, dict[str, float]] = {}
    for sampler in arguments.samplers:
        figures[sampler] = {}
        for size in arguments.sizes:
            figures[sampler][str(size)] = seconds_per_trial(size, sampler)
            print(
                f"  {sampler}, {size} trials: {figures[sampler][str(size)]:.3f} s a trial", file=sys.stderr, flush=True
            )
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('growth', {'seconds_per_trial': figures}, repeats=1)}")


if __name__ == "__main__":
    main(sys.argv[1:])
