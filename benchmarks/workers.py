"""From asking for a trial to its first line on another host: a study on PostgreSQL, 8 workers on 2 hosts.

The loop, the ledger, the records and the workers are real; a trial sleeps for half a second. The hosts are two network
namespaces with a link of their own to PostgreSQL, which a machine grants to root; elsewhere they are processes of one
host, and the figures say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.joined_workers import joined_worker, wait_until
from tests.private_postgres import private_postgres

from benchmarks import stamp
from benchmarks.common import REPOSITORY, median, store
from idealfit.engines import WorkersEngine
from idealfit.record import Record
from idealfit.spec import TrialResult, TrialSpec
from idealfit.study.display import SilentDisplay
from idealfit.study.launch import Launch
from idealfit.study.ledger import Ledger
from idealfit.study.loop import StudyLoop
from idealfit.study.plan import open_plan
from idealfit.study.progress import Progress

NUM_TRIALS = 300
NUM_WORKERS = 8
HOSTS = {"idealfit-a": "198.51.100.", "idealfit-b": "203.0.113."}  # networks for documentation: nobody's
HBA = "local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all 198.51.100.0/24 trust\n"
HBA += "host all all 203.0.113.0/24 trust\n"


class _Deaf:
    """A listener that mirrors nothing."""

    def trial_started(self, record: Record, spec: TrialSpec) -> None: ...

    def trial_ended(self, record: Record, spec: TrialSpec, result: TrialResult) -> None: ...


@contextmanager
def hosts() -> Iterator[dict[str, tuple[str, list[str]]]]:
    """By host: the address under which it reaches this one, and what goes before a command that runs there."""
    made: list[str] = []
    try:
        for name, network in HOSTS.items():
            _ip("netns", "add", name)
            made.append(name)
            ours, theirs = f"{name[-1]}-ours", f"{name[-1]}-theirs"
            _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
            _ip("address", "add", f"{network}1/24", "dev", ours)
            _ip("link", "set", ours, "up")
            _ip("-n", name, "address", "add", f"{network}2/24", "dev", theirs)
            for device in (theirs, "lo"):
                _ip("-n", name, "link", "set", device, "up")
        yield {name: (f"{network}1", ["ip", "netns", "exec", name]) for name, network in HOSTS.items()}
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"  no network namespaces ({error}): processes of one host", file=sys.stderr)
        yield {name: ("127.0.0.1", []) for name in HOSTS}
    finally:
        for name in made:
            _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, stderr=subprocess.DEVNULL)


def run_study(url: str, engine: WorkersEngine, directory: Path) -> dict[str, list[float]]:
    """Milliseconds of each trial: the ask alone, and from it to the first line of the trial."""
    overrides = [f"study.storage={url}", f"study.budget.trials={NUM_TRIALS}", f"runs_dir={directory}"]
    plan, composer = open_plan(Launch(config_name="lr_dropout_depth", overrides=overrides))
    ledger = Ledger(plan)
    asked: dict[int, tuple[float, float]] = {}
    ask = Ledger.ask

    def timed(self: Ledger) -> Any:
        began = time.time()
        point = ask(self)
        asked[point.number] = (began, time.time())
        return point

    progress = Progress(name=plan.name, question="", objective=plan.objective, budget_trials=NUM_TRIALS, num_slots=8)
    progress.begin([])
    loop = StudyLoop(
        plan=plan,
        composer=composer,
        ledger=ledger,
        engine=engine,
        work=stamp.stamp,
        progress=progress,
        display=SilentDisplay(),
        listener=_Deaf(),
        working_dir=str(REPOSITORY),
        stop_requested=lambda: False,
    )
    with patch.object(Ledger, "ask", timed):
        loop.run()
    began = {number: _result(plan.study_dir / str(number)).facts["began"] for number in asked}
    return {
        "ask_ms": [1e3 * (end - start) for start, end in asked.values()],
        "ask_to_start_ms": [1e3 * (began[number] - start) for number, (start, _) in asked.items()],
        "sent_to_start_ms": [1e3 * (began[number] - end) for number, (_, end) in asked.items()],
    }


def _result(record_dir: Path) -> TrialResult:
    result = Record(record_dir).read_result()
    if result is None or "began" not in result.facts:
        raise SystemExit(f"{record_dir} did not end well: {result}")
    return result


def main() -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)  # PostgreSQL, another user, reads the file
        (directory / "hba").write_text(HBA)
        where = stack.enter_context(hosts())
        url = stack.enter_context(private_postgres(listen_addresses="*", hba_file=str(directory / "hba")))
        engine = WorkersEngine(folder=directory / "lr_dropout_depth", storage=url, preload=("idealfit.spec",))
        stack.callback(engine.close)
        workers = []
        for index in range(NUM_WORKERS):
            address, prefix = list(where.values())[index % len(where)]
            theirs = url.replace("127.0.0.1", address)
            log = directory / f"{index}.log"
            workers.append(stack.enter_context(joined_worker(theirs, "--slots=1", log=log, prefix=prefix)))
        warm = TrialSpec(
            study="warm", number=0, config={}, record_dir=str(directory / "0"), working_dir=str(REPOSITORY)
        )
        engine.submit(stamp.stamp, warm).result()
        wait_until(lambda: engine.num_slots == NUM_WORKERS, lambda: "\n".join(worker.said for worker in workers))
        measured = run_study(url, engine, directory)
    figures = {
        "workers": NUM_WORKERS,
        "hosts": "2 network namespaces" if any(prefix for _, prefix in where.values()) else "processes of one host",
        "trials": NUM_TRIALS,
        **{
            name: {"median": round(median(values), 1), "p99": round(sorted(values)[int(0.99 * (len(values) - 1))], 1)}
            for name, values in measured.items()
        },
    }
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('workers', figures, repeats=1)}")


if __name__ == "__main__":
    main()
