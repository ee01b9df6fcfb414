"""A command, and what it and all its processes cost."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.processes import descendants

POLL_S = 0.5
SCORE = re.compile(r"SCORE ([0-9.]+)")


@dataclass
class Cost:
    """What a command cost.

    Attributes:
        cpu_s: Of all its processes.
        peak_mib: The most that all of them held at once; what several share counts once.
        started_at: By the clock, seconds since 1970.
        scores: When each score was said, in seconds after the start, and which.
    """

    started_at: float = field(default_factory=time.time)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    scores: list[tuple[float, float]] = field(default_factory=list)


def watched(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Cost:
    """Run `command` in `directory`.

    Raises:
        SystemExit: It failed, with the end of what it said.
    """
    cost, is_over = Cost(), threading.Event()
    before, started = _used(), time.perf_counter()
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        watcher = threading.Thread(target=_watch, args=(process.pid, cost, is_over))
        watcher.start()
        for line in process.stdout or ():
            lines.append(line)
            if found := SCORE.search(line):
                cost.scores.append((time.perf_counter() - started, float(found[1])))
    cost.wall_s = time.perf_counter() - started
    is_over.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{''.join(lines[-40:])}")
    # What was waited for is exact; daemons that nobody waits for are known by what was seen of them.
    cost.cpu_s = max(cost.cpu_s, _used() - before)
    return cost


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _watch(root: int, cost: Cost, is_over: threading.Event) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    seconds: dict[int, float] = {}
    while not is_over.wait(POLL_S):
        held = 0.0
        for pid in [root, *descendants(root)]:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:  # it ended while we looked
                continue
            seconds[pid] = (int(fields[11]) + int(fields[12])) / ticks
            held += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        cost.peak_mib = max(cost.peak_mib, held)
        cost.cpu_s = sum(seconds.values())
