"""A study of 1,000 trials: its report made and opened, and the table of its runs in the MLflow UI.

The trials are those of one real study on the digits, replayed fifty times under new numbers.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import browser_page, completed, median, store
from idealfit.record import Record, iter_records
from idealfit.spec import Objective
from idealfit.tracking import sync
from idealfit.tracking.server import UiServer
from idealfit.tracking.store import Store
from idealfit.tracking.study_run import StudyRun
from idealfit.tracking.ui import study_address

NUM_TRIALS = 1000
NUM_ROUNDS = 3
STUDY = "lr_dropout_depth"


def replay(directory: Path) -> Path:
    """Run the default study, then make 1,000 records of its 20; returns the study's folder.

    Raises:
        SystemExit: The study failed.
    """
    command = [sys.executable, "-m", "idealfit", "sweep", STUDY, "tracking=none", "tracking.pictures=false"]
    completed(command, directory)
    folder = directory / "runs" / STUDY
    originals = list(iter_records(directory / "runs", STUDY))
    for number in range(len(originals), NUM_TRIALS):
        original = originals[number % len(originals)]
        copy = Record(folder / str(number))
        copy.path.mkdir()
        for path in (original.config_path, original.metrics_path, original.result_path):
            if path.exists():
                shutil.copy2(path, copy.path)
        spec = json.loads(original.spec_path.read_text()) | {"number": number, "record_dir": str(copy.path)}
        copy.spec_path.write_text(json.dumps(spec))
    return folder


def seconds_of(call: Callable[[], Any]) -> float:
    """How long `call` takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def make_report(directory: Path) -> float:
    """Seconds of `idealfit report`, process and all."""
    command = [sys.executable, "-m", "idealfit", "report", STUDY]
    return seconds_of(lambda: completed(command, directory))


def open_page(address: str, selector: str) -> float:
    """Seconds until `selector` stands on the page, in a fresh headless Chromium."""
    with browser_page() as page:

        def load() -> None:
            page.goto(address)
            page.wait_for_selector(selector)

        return seconds_of(load)


def mirrored(directory: Path, study_dir: Path) -> str:
    """A store that holds all runs; its address."""
    uri = f"sqlite:///{directory / 'mlflow.db'}"
    parent = StudyRun(study_dir, STUDY, STUDY)
    searched = ["optimizer.lr", "model.dropout", "model.depth"]
    parent.start(tags={}, params={}, description="", objective=Objective(), searched=searched)
    parent.finish(state="done", description="", report_dir=None)
    failures = sync(iter_records(directory / "runs", STUDY), study=STUDY, study_dir=study_dir, uri=uri).failures
    if failures:
        raise SystemExit("\n".join(failures))
    return uri


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        study_dir = replay(directory)
        page = study_dir / "report" / "report.html"
        making = [make_report(directory) for _ in range(NUM_ROUNDS)]
        opening = [open_page(page.as_uri(), "#trials tbody tr") for _ in range(NUM_ROUNDS)]
        uri = mirrored(directory, study_dir)
        with UiServer(uri) as server:
            server.wait_ready()
            address = study_address(Store(uri, ""), server.address, STUDY)
            table = [open_page(address, "[role=gridcell]") for _ in range(NUM_ROUNDS + 1)][1:]  # the server is warm
        figures = {
            "num_trials": NUM_TRIALS,
            "report_made_s": {"median": median(making), "all": making},
            "report_megabytes": page.stat().st_size / 1e6,
            "report_opened_s": {"median": median(opening), "all": opening},
            "mlflow_table_opened_s": {"median": median(table), "all": table},
        }
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('report', figures, repeats=NUM_ROUNDS)}")


if __name__ == "__main__":
    main()
