"""How far do searched scores fall back? A study of digits, MNIST and Quick, Draw! each, promoted; all three tested.

A study's own promotion tests the chosen configuration alone. Here, after that, runner-up and default are scored too.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from benchmarks.common import completed, data_root, store
from idealfit.promotion.worker import score_test
from idealfit.record import Record
from idealfit.study.promotion import DEFAULT, Promotion

SMALL = ("trainer.max_epochs=5", "data.limit=5000")
STUDIES = {
    "digits": ["lr_dropout_depth"],
    "mnist": ["lr_dropout_depth_mnist", "study.budget.trials=12", *SMALL],
    "quickdraw": ["lr_dropout_depth_quickdraw", "study.budget.trials=12", "data.per_class=2000", *SMALL],
}


def main() -> None:
    figures: dict[str, Any] = {}
    for name, sweep in STUDIES.items():
        with tempfile.TemporaryDirectory() as directory:
            figures[name] = study_figures(Path(directory), sweep)
            print(json.dumps({name: figures[name]}, indent=2), flush=True)
    print(f"stored in {store('promote', figures, repeats=1)}")


def study_figures(directory: Path, sweep: list[str]) -> dict[str, Any]:
    """Run a study that ends with its promotion; what became of winner, runner-up and default."""
    command = [sys.executable, "-m", "idealfit", "sweep", *sweep, "tracking=none", "study.promote.top=3"]
    said = completed(command, directory)
    study_dir = directory / "runs" / sweep[0]
    promotion = Promotion.read(study_dir)
    if promotion is None:
        raise SystemExit(f"nothing was promoted:\n{said[-2000:]}")
    ranked = [each.name for each in promotion.verdict.ranked]
    told = list(dict.fromkeys([*ranked[:3], promotion.choice.name, DEFAULT]))
    return {
        "sweep": " ".join(sweep),
        "candidates": {each: _figures(promotion, each, study_dir) for each in told},
        "said": [line for line in said.splitlines() if line.startswith(("Over ", "The search ", "Test set"))],
    }


def _figures(promotion: Promotion, name: str, study_dir: Path) -> dict[str, Any]:
    verdict, candidate = promotion.verdict, promotion.candidate(name)
    place = [each.name for each in verdict.ranked].index(name)
    interval = verdict.intervals[place]
    measures = _tested(promotion, name, study_dir)
    return {
        "place": place + 1,
        "chosen": name == promotion.choice.name,
        "searched": candidate.searched,
        "mean": verdict.ranked[place].mean,
        "interval": list(interval),
        "drop": candidate.drop,
        "parameters": candidate.num_params,
        "test_accuracy": measures["metrics"]["accuracy"][0],
        "test_interval": measures["metrics"]["accuracy"][1:],
    }


def _tested(promotion: Promotion, name: str, study_dir: Path) -> dict[str, Any]:
    """The test images by the replicate with the best validation score, as a promotion takes it."""
    candidate = promotion.candidate(name)
    scores = [score if score is not None else float("-inf") for score in candidate.scores]
    number = candidate.records[scores.index(max(scores))]
    spec = Record(study_dir / "promote" / str(number)).read_spec()
    done = score_test(spec.with_(record_dir=str(study_dir / "promote" / "figures")), threading.Event())
    if "measures" not in done.facts:
        raise SystemExit(f"{name} could not be tested: {done.message}")
    measures: dict[str, Any] = done.facts["measures"]
    return measures


if __name__ == "__main__":
    print(f"data in {data_root()}")
    main()
