"""Two local slots against one, and what a trial costs beyond `fit`: one random MNIST study, as a user runs it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import completed, interleaved, median, store

NUM_TRIALS = 12
NUM_ROUNDS = 3
STUDY = [
    "lr_dropout_depth_mnist",
    "study.sampler=random",
    "study.pruner=none",
    f"study.budget.trials={NUM_TRIALS}",
    "trainer.max_epochs=3",
    "data.limit=6000",
]


class Timeline(NamedTuple):
    """When the trials of one study ran, read from its records."""

    span_s: float  # from the first trial's start to the last trial's end
    fit_s: float  # the sum over trials of the seconds inside `fit`


def run_study(num_slots: int) -> Timeline:
    """Run the study in an empty directory with `num_slots` slots.

    Raises:
        SystemExit: The study failed.
    """
    with tempfile.TemporaryDirectory() as directory:
        completed([sys.executable, "-m", "idealfit", "sweep", *STUDY, f"engine.slots={num_slots}"], directory)
        records = sorted(path.parent for path in Path(directory).glob("runs/*/*/result.json"))
        if len(records) != NUM_TRIALS:
            raise SystemExit(f"the study ended with {len(records)} results")
        start = min((record / "spec.json").stat().st_mtime for record in records)
        end = max((record / "result.json").stat().st_mtime for record in records)
        fit_s = sum(json.loads((record / "result.json").read_text())["fit_seconds"] for record in records)
    return Timeline(span_s=end - start, fit_s=fit_s)


def main() -> None:
    timelines: dict[int, list[Timeline]] = {1: [], 2: []}

    def measure(num_slots: int) -> float:
        timelines[num_slots].append(run_study(num_slots))
        return timelines[num_slots][-1].span_s

    spans = interleaved({"1 slot": lambda: measure(1), "2 slots": lambda: measure(2)}, num_rounds=NUM_ROUNDS)
    ratios = [one / two for one, two in zip(spans["1 slot"], spans["2 slots"], strict=True)]
    # With one slot nothing overlaps, so what is not inside `fit` is overhead.
    overhead_s = [(timeline.span_s - timeline.fit_s) / NUM_TRIALS for timeline in timelines[1]]
    figures = {
        "trials_per_minute": {name: 60 * NUM_TRIALS / median(values) for name, values in spans.items()},
        "two_slots_over_one": {"median": median(ratios), "all": ratios},
        "overhead_per_trial_s": {"median": median(overhead_s), "all": overhead_s},
    }
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('slots', figures, repeats=NUM_ROUNDS)}")


if __name__ == "__main__":
    main()
