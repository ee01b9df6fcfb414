"""Who is whose child, read from /proc, and how to end them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def parents() -> dict[int, int]:
    """The parent of every live process; zombies are left out, for they run nothing."""
    found: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold spaces and parentheses itself.
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended while we looked
            continue
        if state != "Z":
            found[int(stat.parent.name)] = int(parent)
    return found


def descendants(root: int) -> list[int]:
    """All live processes below `root`, nearest first."""
    parent_of = parents()
    found, level = [], [root]
    while level:
        level = [pid for pid, parent in parent_of.items() if parent in level]
        found += level
    return found


def workers(controller: int) -> list[int]:
    """The processes that run attempts: children of the controller's fork server."""
    parent_of = parents()
    servers = [pid for pid, parent in parent_of.items() if parent == controller]
    return [pid for pid, parent in parent_of.items() if parent in servers]


def kill(pid: int) -> bool:
    """SIGKILL; False when it was gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def survivors(pids: list[int], *, patience_s: float = 15.0) -> list[int]:
    """Those of `pids` that still live after `patience_s`."""
    deadline = time.monotonic() + patience_s
    alive = pids
    while alive and time.monotonic() < deadline:
        time.sleep(0.1)
        live = parents()
        alive = [pid for pid in alive if pid in live]
    return alive
