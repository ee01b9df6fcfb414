"""Several processes of this host for one attempt: the ranks of a trial that trains on several devices.

The worker of such an attempt trains nothing itself. It forks the ranks, gives each the same work in an environment that
tells it which one it is, and watches them: the first that fails takes the others along, and rank 0's result is the
attempt's. Ranks find each other through a store that the worker keeps, on a port that the system chose for it.

Any engine gets ranks by `TrialSpec.num_ranks`, for each starts its work in a worker: `local` in those that it forks,
an engine for other hosts in those of a `LocalEngine` there.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BufferedReader
from multiprocessing.connection import wait
from typing import BinaryIO, NoReturn

from idealfit.engines.failures import died, is_lost_rank
from idealfit.engines.local import DUMP_S
from idealfit.engines.worker import DUMP_SIGNAL, RANK, STOP
from idealfit.spec import JSON, TrialResult, TrialSpec, TrialState

HOST = "127.0.0.1"
POLL_S = 0.05
SETTLE_S = 1.0  # after a rank failed: for the others to end by themselves, and perhaps to tell a better reason
RANKS_DUMP_S = 0.7 * DUMP_S  # the rest is for this process to pass it on
LEAVE_S = 10.0  # after rank 0 is done: for the others to leave

Closable = socket.socket | BufferedReader
RunRank = Callable[[socket.socket], None]


@dataclass(eq=False)
class _Rank:
    """A rank as the worker sees it. `exit_code` is None while it lives; where it hangs, it says in `dumps`."""

    number: int
    pid: int
    connection: socket.socket
    dumps: BinaryIO
    received: bytearray = field(default_factory=bytearray)
    is_open: bool = True
    exit_code: int | None = None
    was_ended: bool = False  # by us

    def look(self) -> None:
        """Take in what it wrote, and whether it is gone."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        while self.is_open and wait([self.connection], 0):
            try:
                data = self.connection.recv(1 << 16)
            except OSError:
                data = b""
            self.received += data
            self.is_open = bool(data)
        if self.exit_code is not None:
            self.is_open = False  # whoever may hold its end now

    def signal(self, signal_number: int) -> None:
        if self.exit_code is None:
            os.kill(self.pid, signal_number)  # not reaped: the number is still its own

    def take_dump(self) -> bytes:
        """What it wrote to `dumps` since the last time."""
        self.dumps.seek(0)  # forked: it is the rank's own position too
        text = self.dumps.read()
        self.dumps.seek(0)
        self.dumps.truncate()
        return text

    def result(self, spec: TrialSpec) -> TrialResult | None:
        """What came of it; None while that is open, or where we ended it."""
        if self.received.endswith(b"\n"):
            return TrialResult.from_json(json.loads(self.received))
        return None if self.exit_code is None or self.was_ended else died(spec, self.exit_code)


class Ranks:
    """The ranks of one attempt. Made before this process has a second thread, for it forks.

    Args:
        num_ranks: How many.
        run_rank: What a rank does: read its request from the connection, work, answer.
        inherited: What this process has open and no rank may: else its end would not be noticed.
    """

    def __init__(self, num_ranks: int, run_rank: RunRank, inherited: Iterable[Closable]) -> None:
        self._ranks: list[_Rank] = []
        for number in range(num_ranks):
            ours, theirs = socket.socketpair()
            dumps = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - until this process ends
            pid = os.fork()
            if pid == 0:
                for other in (ours, *inherited, *(rank.connection for rank in self._ranks)):
                    other.close()
                _become(run_rank, theirs)
            theirs.close()
            self._ranks.append(_Rank(number, pid, ours, dumps))

    def run(self, request: JSON, spec: TrialSpec, stop: threading.Event) -> TrialResult:
        """Let them work; returns the result of rank 0, or of the rank that failed.

        Args:
            request: What the controller asked for.
            spec: The attempt.
            stop: Set by the controller's wish.
        """
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        # Kept by this process, so that no rank's end takes it along. It has a thread: the ranks are forked by now.
        store = TCPStore(HOST, 0, is_master=True, wait_for_workers=False)
        for rank in self._ranks:
            env = {**request["env"], **_environment(rank.number, len(self._ranks), store.port)}
            with contextlib.suppress(OSError):  # it died already
                asked = {**request, "env": env, "dump_fd": rank.dumps.fileno()}  # forked: the same number there
                rank.connection.sendall(json.dumps(asked).encode() + b"\n")
        return self._watch(spec, stop)

    def dump(self) -> None:
        """Write to the log where each rank that lives is, one after the other.

        Python's fault handler writes word by word: in one file, what two ranks say at once would be torn.
        """
        for rank in self._ranks:
            rank.signal(DUMP_SIGNAL)
        time.sleep(RANKS_DUMP_S)
        for rank in self._ranks:
            if text := rank.take_dump():
                os.write(sys.stderr.fileno(), b"Rank %d:\n%s\n" % (rank.number, text))

    def _watch(self, spec: TrialSpec, stop: threading.Event) -> TrialResult:
        deadline = float("inf")
        is_told = False
        while any(rank.exit_code is None for rank in self._ranks):
            if not wait([rank.connection for rank in self._ranks if rank.is_open], POLL_S):
                time.sleep(POLL_S)
            for rank in self._ranks:
                rank.look()
            if stop.is_set() and not is_told:
                is_told = True
                with contextlib.suppress(OSError):
                    self._ranks[0].connection.sendall(STOP)  # it tells the others when all can hear it
            deadline = min(deadline, time.monotonic() + self._patience_s(spec))
            if time.monotonic() >= deadline:
                self._end()
        return self._outcome(spec)

    def _patience_s(self, spec: TrialSpec) -> float:
        """How long the ranks may go on."""
        results = [rank.result(spec) for rank in self._ranks]
        if any(result and result.state is TrialState.FAILED for result in results):
            return SETTLE_S
        return LEAVE_S if results[0] else float("inf")

    def _end(self) -> None:
        self.dump()  # where do they hang?
        for rank in self._ranks:
            rank.look()
            rank.was_ended |= rank.exit_code is None
            rank.signal(signal.SIGKILL)

    def _outcome(self, spec: TrialSpec) -> TrialResult:
        results = [rank.result(spec) for rank in self._ranks]
        if results[0] and results[0].state is not TrialState.FAILED:
            return results[0]
        failed = [result for result in results if result and result.state is TrialState.FAILED]
        causes = [result for result in failed if not is_lost_rank(result)]
        return (causes or failed)[0]


def _become(run_rank: RunRank, connection: socket.socket) -> NoReturn:
    code = 1
    try:
        run_rank(connection)
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)  # never return into the worker; no teardown of the interpreter


def _environment(rank: int, num_ranks: int, port: int) -> dict[str, str]:
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform.startswith("linux") else {}
    return {
        RANK: str(rank),
        "RANK": str(rank),
        "WORLD_SIZE": str(num_ranks),
        "NODE_RANK": "0",
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # torch's name for a store that no rank keeps
        **loopback,
    }
