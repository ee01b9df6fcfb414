"""What MLflow and all pictures cost: the default study on MNIST with both, and with neither.

Workers train, the controller tracks: the CPU seconds that the controller's own process takes more with tracking than
without are what it costs, set against the CPU seconds of training in its workers. Wall-clock time says little here: two
runs of the same study differ by more.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from benchmarks.common import completed, interleaved, median, store

NUM_ROUNDS = int(os.environ.get("IDEALFIT_ROUNDS", "3"))  # each takes the default study twice: minutes
STUDY = ["data=mnist"]
NEITHER = ["tracking=none", "tracking.pictures=false"]
PROGRAM = """
import json, resource, sys
import idealfit
idealfit.sweep("lr_dropout_depth", *sys.argv[1:], quiet=True)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([each.ru_utime + each.ru_stime for each in used]))
"""


def run_study(overrides: list[str]) -> dict[str, float]:
    """Run the study in an empty directory; CPU seconds of its controller, and of its workers.

    Raises:
        SystemExit: The study failed.
    """
    with tempfile.TemporaryDirectory() as directory:
        output = completed([sys.executable, "-c", PROGRAM, *STUDY, *overrides], directory)
    controller_s, workers_s = json.loads(output.splitlines()[-1])
    return {"controller_s": controller_s, "workers_s": workers_s}


def main() -> None:
    runs: dict[str, list[dict[str, float]]] = {"tracked": [], "neither": []}

    def measure(name: str, overrides: list[str]) -> float:
        runs[name].append(run_study(overrides))
        return runs[name][-1]["controller_s"]

    interleaved(
        {"tracked": lambda: measure("tracked", []), "neither": lambda: measure("neither", NEITHER)},
        num_rounds=NUM_ROUNDS,
    )
    pairs = zip(runs["tracked"], runs["neither"], strict=True)
    shares = [
        (tracked["controller_s"] - neither["controller_s"]) / median([tracked["workers_s"], neither["workers_s"]])
        for tracked, neither in pairs
    ]
    figures = {
        "cpu_s": {name: {who: median([run[who] for run in each]) for who in each[0]} for name, each in runs.items()},
        "cost_over_training": {"median": median(shares), "all": shares},
    }
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('tracking', figures, repeats=NUM_ROUNDS)}")


if __name__ == "__main__":
    main()
