"""Are trials reproduced bit for bit? A whole default study and some of MNIST with a cnn, each trial trained again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.common import data_root, store

STUDIES = {
    "digits, 2 slots": ["lr_dropout_depth", "engine.slots=2", "study.budget.trials=8", "study.name=two_slots"],
    "digits, 1 slot": ["lr_dropout_depth", "engine.slots=1", "study.budget.trials=4", "study.name=one_slot"],
    "mnist, cnn": [
        *("lr_dropout_depth_mnist", "model=cnn", "model.width=8", "model.depth=range(1,3)", "study.name=mnist_cnn"),
        *("data.limit=4000", "trainer.max_epochs=2", "study.budget.trials=4", "study.pruner=none", "engine.slots=2"),
    ],
}


def idealfit(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command line in `directory`."""
    environment = {**os.environ, "IDEALFIT_DATA": str(data_root())}
    command = [sys.executable, "-m", "idealfit", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def verdicts(directory: Path, sweep: list[str]) -> Counter[str]:
    """Run a study, then reproduce each of its trials in a fresh process; how often each verdict came.

    Raises:
        SystemExit: The study failed.
    """
    done = idealfit(directory, "sweep", *sweep)
    name = (
        sweep[-1].partition("=")[2]
        if sweep[-1].startswith("study.name")
        else next(word.partition("=")[2] for word in sweep if word.startswith("study.name"))
    )
    records = sorted((directory / "runs" / name).glob("*/result.json"), key=lambda path: int(path.parent.name))
    if done.returncode or not records:
        raise SystemExit(f"the study ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: Counter[str] = Counter()
    for record in records:
        again = idealfit(directory, "reproduce", f"{name}/{record.parent.name}", "tracking=none")
        words = ("identical", "equivalent", "different")
        lines = [line for line in again.stdout.splitlines() if line.split(":")[0].strip().lower() in words]
        found[lines[-1].split(":")[0].strip().lower() if lines else f"exit code {again.returncode}"] += 1
        print(f"  {name}/{record.parent.name}: {dict(found)}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    figures = {}
    for label, sweep in STUDIES.items():
        with tempfile.TemporaryDirectory() as directory:
            figures[label] = dict(verdicts(Path(directory), sweep))
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('reproduce', figures, repeats=1)}")


if __name__ == "__main__":
    main()
