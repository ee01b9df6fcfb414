"""`python -m benchmarks.faults [NAME ...]`: the fault scripts in full; `make faults` runs all of them."""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults import clusters, hostile, inputs, kills, outage

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from private_postgres import NoPostgresError, some_postgres

NUM_KILLS = 67  # on each storage, about 200 in all


def run_kills(directory: Path) -> list[str]:
    """Random SIGKILLs on journal, SQLite and PostgreSQL."""
    wrong = harass("journal", directory / "journal", "")
    wrong += harass("sqlite", directory / "sqlite", f"sqlite:///{directory / 'study.db'}")
    try:
        with some_postgres() as url:
            wrong += harass("postgres", directory / "postgres", url)
    except NoPostgresError as error:
        print(f"  postgres: skipped; {error}")
    return wrong


def harass(name: str, directory: Path, storage: str) -> list[str]:
    """Studies on one storage, one after the other, until enough of their processes were killed."""
    num_killed, wrong = 0, []
    for number in itertools.count():
        plan = kills.KillPlan(
            directory=directory / str(number),
            storage=storage,
            num_kills=NUM_KILLS - num_killed,
            seed=11 + number,
            study=f"faults-{number}",
        )
        report = kills.run(plan)
        num_killed += report.workers_killed + report.controllers_killed
        print(
            f"  {name}, study of {plan.num_trials} trials: "
            f"{report.workers_killed} workers and {report.controllers_killed} controllers killed",
            flush=True,
        )
        wrong += [f"{name}: {line}" for line in report.wrong]
        if wrong or num_killed >= NUM_KILLS:
            break
    return wrong


def run_outages(directory: Path) -> list[str]:
    """A tracking server killed and restarted twenty times during a study."""
    report = outage.run(directory, num_outages=20, num_trials=50, max_epochs=200)
    print(f"  {report.num_outages} outages", flush=True)
    return report.wrong


def run_inputs(directory: Path) -> list[str]:
    """Bad input of every kind."""
    report = inputs.run(directory, num_cases=640)
    print(f"  {report.num_cases} inputs, {report.num_refused} refused, {report.seconds:.0f} s", flush=True)
    return report.wrong


def run_hostile(directory: Path) -> list[str]:
    """Hostile configs, checkpoints, files and names."""
    report = hostile.run(directory)
    print(f"  {report.num_cases} hostile inputs; {report.num_live} shown to work on a careless program", flush=True)
    return [*report.executed, *report.wrong]


SCRIPTS: dict[str, Callable[[Path], list[str]]] = {
    "inputs": run_inputs,
    "hostile": run_hostile,
    "kills": run_kills,
    "outages": run_outages,
    "clusters": clusters.run,
}


def main() -> int:
    """Run the named scripts, or all; returns 1 where a promise was broken."""
    names = sys.argv[1:] or list(SCRIPTS)
    if unknown := sorted(set(names) - set(SCRIPTS)):
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are: {', '.join(SCRIPTS)}")
    broken = 0
    for name in names:
        print(f"== {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="faults-") as directory:
            wrong = SCRIPTS[name](Path(directory))
        broken += len(wrong)
        print("\n".join(f"  WRONG: {line}" for line in wrong) or "  every promise kept", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
