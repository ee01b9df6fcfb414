"""What runs inside a Slurm job: it takes attempts from its mailbox until there are none, or until its time is up.

submitit starts it, and calls `checkpoint` when Slurm announces by a signal that the job's time ends or that another job
takes its place; then it puts the job back into the queue. A job that starts again finds in its own mailbox what it had
been doing.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from idealfit.engines.failures import failed, interrupted
from idealfit.engines.host import Host, pauses_of
from idealfit.engines.mailbox import Mailbox, patiently
from idealfit.spec import JSON, FailureKind, TrialSpec

GPUS_GRANTED = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS")
LINGER_S = 3.0  # after SIGTERM: whoever wants the job back in the queue says so by then
OWNER_S = 2.0  # seconds between two looks whether Slurm has started this job once more elsewhere


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a job is told when it is submitted.

    Attributes:
        folder: The session's, shared by all.
        seat: Which mailbox is its own.
        idle_s: Seconds without work after which it ends.
    """

    folder: str
    seat: int
    num_cpus: int
    idle_s: float
    stop_grace_s: float
    poll_s: float
    preload: tuple[str, ...]


def mailboxes(folder: Path, seat: int) -> tuple[Mailbox, Mailbox]:
    """(what the controller writes, what the job writes)."""
    return Mailbox(folder / "seats" / f"{seat}.orders"), Mailbox(folder / "seats" / f"{seat}.events")


class SlurmJob:
    """Called by submitit in the job's main thread, which only waits for signals; the work is done by another."""

    def __init__(self, options: JobOptions) -> None:
        self._options = options

    def __call__(self) -> None:
        """Serve until there is nothing to do."""
        self._leaving = threading.Event()
        self._served = threading.Thread(target=_Service(self._options, self._leaving).run, daemon=True)
        signal.signal(signal.SIGTERM, self._on_sigterm)  # submitit ignores it
        self._served.start()
        self._wait()

    def checkpoint(self) -> object:
        """The attempt's state is written when this returns; submitit requeues what it returns."""
        from submitit.helpers import DelayedSubmission

        self._leave()
        return DelayedSubmission(SlurmJob(self._options))

    def _leave(self) -> None:
        self._leaving.set()
        self._wait()

    def _wait(self) -> None:
        while self._served.is_alive():
            self._served.join(1.0)  # with a timeout, or no signal would be heard

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """The job is cancelled, or preempted by a cluster that sends no other signal."""
        self._leave()
        time.sleep(LINGER_S)
        sys.exit(0)


class _Service:
    def __init__(self, options: JobOptions, leaving: threading.Event) -> None:
        self._options = options
        self._leaving = leaving
        self._orders, self._events = mailboxes(Path(options.folder), options.seat)
        self._restart = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        self._is_replaced = False

    def run(self) -> None:
        # Slurm signals all processes of a job. These are for the main thread; what the host starts inherits the mask.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
        options = self._options
        host = Host(
            self._say,
            num_cpus=options.num_cpus,
            has_gpus=any(name in os.environ for name in GPUS_GRANTED),
            preload=options.preload,
            stop_grace_s=options.stop_grace_s,
        )
        try:
            self._go_on(host)
            self._serve(host)
        finally:
            host.close()

    def _go_on(self, host: Host) -> None:
        """Take up what this job did when it last ran, or say what became of it."""
        past = patiently(self._events.read)
        self._say({"event": "hello", "host": socket.gethostname(), "restart": self._restart})
        if self._restart and past and past[-1]["event"] == "started":
            time.sleep(2 * OWNER_S)  # a machine that was cut off may live: it reads the greeting, and ends
            past += patiently(self._events.read)
        orders = patiently(self._orders.read)
        answered = {event["id"] for event in past if event["event"] == "result"}
        for order in [order for order in orders if order["do"] == "run" and order["id"] not in answered]:
            run_id, spec = order["id"], TrialSpec.from_json(order["spec"])
            last = [event["event"] for event in past if event.get("id") == run_id][-1:]
            if any(other["do"] in ("stop", "kill") and other["id"] == run_id for other in orders):
                result = interrupted(spec)
            elif last == ["started"]:
                words = "Slurm took the machine away without notice, and has started the job again."
                result = failed(spec, FailureKind.PREEMPTED, words)
            else:
                host.take(order, pauses=pauses_of(run_id, past))
                continue
            self._say({"event": "result", "id": run_id, "result": result.to_json()})
        if any(order["do"] == "end" for order in orders):
            self._leaving.set()

    def _serve(self, host: Host) -> None:
        idle_since = looked_at = time.monotonic()
        while not self._leaving.wait(self._options.poll_s):
            orders = patiently(self._orders.read)
            for order in orders:
                if order["do"] != "end":
                    host.take(order)
            now = time.monotonic()
            if not host.is_idle:
                idle_since = now
            if any(order["do"] == "end" for order in orders) or now - idle_since > self._options.idle_s:
                self._say({"event": "bye"})
                break
            if now - looked_at > OWNER_S:
                looked_at = now
                if self._is_succeeded(patiently(self._events.read)):
                    self._is_replaced = True
                    host.close()  # at once: two attempts on one record would mix
                    os._exit(1)
        host.pause()

    def _is_succeeded(self, events: list[JSON]) -> bool:
        """Whether a later start of this job has greeted: Slurm had given up this machine, wrongly."""
        return any(event["event"] == "hello" and event["restart"] > self._restart for event in events)

    def _say(self, event: JSON) -> None:
        if self._is_replaced:
            return  # its successor speaks for it
        try:
            patiently(lambda: self._events.append(event))
        except OSError:
            os._exit(1)  # the controller learns from Slurm that this job is gone
