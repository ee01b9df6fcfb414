"""`python -m benchmarks [NAME ...]`: run the named benchmarks, or the usual ones, then make docs/benchmarks.md."""

from __future__ import annotations

import importlib
import sys
import time

from benchmarks import table
from benchmarks.common import store

USUAL = (
    "throughput",
    "fused",
    "slots",
    "startup",
    "workers",
    "ddp",
    "memory",
    "million",
    "storage",
    "reproduce",
    "tracking",
    "report",
    "statistics",
    "promote",
)
BY_NAME_ALONE = ("options", "peers", "pruning", "growth", "scale")  # these take a quiet machine for long
NAMES = (*USUAL, *BY_NAME_ALONE)


def main() -> None:
    """Run the benchmarks named on the command line, in order."""
    names = sys.argv[1:] or USUAL
    if unknown := sorted(set(names) - set(NAMES)):
        raise SystemExit(f"unknown benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    seconds: dict[str, float] = {}
    for name in names:
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        importlib.import_module(f"benchmarks.{name}").main()
        seconds[name] = time.perf_counter() - started
        print(f"== {name} took {seconds[name]:.0f} s", flush=True)
    if names == USUAL:
        store("all", {"seconds": seconds}, repeats=1)
    table.main()


if __name__ == "__main__":
    main()
