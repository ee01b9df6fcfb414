"""What runs inside Ray: an actor that holds its CPUs and GPUs and runs one attempt after the other."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idealfit._version import __version__
from idealfit.engines.failures import failed
from idealfit.engines.host import Host
from idealfit.engines.luggage import Change, Luggage, unpack
from idealfit.spec import JSON, FailureKind, TrialSpec


@dataclass(frozen=True, kw_only=True)
class HostOptions:
    """What an actor is told when it is made.

    Attributes:
        ships_code: Whether its working directory is a copy of the controller's.
        token_path: A file of the controller; who reads `token` there shares its folders.
    """

    num_cpus: int
    num_gpus: float
    stop_grace_s: float
    preload: tuple[str, ...]
    ships_code: bool
    token_path: str
    token: str


class RayHost:
    """The actor. All it does is `exchange`, and each exchange may be repeated: after a fault of the network."""

    def __init__(self, options: HostOptions) -> None:
        import ray

        address: Any = ray.util.get_node_ip_address
        self._lock = threading.Lock()
        self._ships_code = options.ships_code
        self._events: list[tuple[int, JSON]] = []
        self._num_events = self._num_orders = 0
        is_shared = _reads(Path(options.token_path), options.token)
        self._scratch = None if is_shared else tempfile.TemporaryDirectory(prefix="idealfit-")
        self._luggage: Luggage | None = None
        self._say(
            {
                "event": "hello",
                "host": f"{socket.gethostname()}/{address()}",
                "node_id": ray.get_runtime_context().get_node_id(),
                "version": __version__,
                "is_shared": self._scratch is None,
            }
        )
        self._host = Host(
            self._say,
            num_cpus=options.num_cpus,
            has_gpus=options.num_gpus > 0,
            preload=options.preload,
            stop_grace_s=options.stop_grace_s,
        )

    def exchange(self, orders: list[tuple[int, JSON]], files: list[Change], num_heard: int) -> list[tuple[int, JSON]]:
        """Take numbered orders, give numbered events; among them the files of a record that is written here.

        Args:
            orders: All that were not known to have arrived.
            files: The record of the attempt that is about to run, for a machine that shares no folder.
            num_heard: How many events have arrived.
        """
        for number, order in orders:
            if number == self._num_orders:
                self._num_orders += 1
                self._take(order, files)
        with self._lock:
            self._note_files()
            self._events = [(number, event) for number, event in self._events if number >= num_heard]
            return list(self._events)

    def _take(self, order: JSON, files: list[Change]) -> None:
        if order["do"] != "run":
            self._host.take(order)
            return
        spec = TrialSpec.from_json(order["spec"])
        if self._ships_code or not Path(spec.working_dir).is_dir():
            spec = spec.with_(working_dir=os.getcwd())  # noqa: PTH109 - where Ray put it
        if self._scratch is None:
            self._host.take(order | {"spec": spec.to_json()})
            return
        if refusal := _refusal(spec):
            self._say({"event": "started", "id": order["id"]})
            result = failed(spec, FailureKind.INPUT, refusal)
            self._say({"event": "result", "id": order["id"], "result": result.to_json()})
            return
        folder = Path(self._scratch.name) / str(order["id"])
        folder.mkdir()
        unpack(files, folder)
        luggage = Luggage(folder)
        luggage.changes()  # the controller has these
        with self._lock:
            self._luggage = luggage
        storage = spec.storage if "://" in spec.storage else ""
        spec = spec.with_(record_dir=str(folder), storage=storage)
        self._host.take(order | {"spec": spec.to_json()})

    def _say(self, event: JSON) -> None:
        with self._lock:
            self._note_files()  # before a result: who hears of it has the files
            self._note(event)

    def _note_files(self) -> None:
        if self._luggage and (changes := self._luggage.changes()):
            self._note({"event": "files", "changes": changes})

    def _note(self, event: JSON) -> None:
        self._events.append((self._num_events, event))
        self._num_events += 1


def _reads(path: Path, token: str) -> bool:
    try:
        return path.read_text() == token
    except OSError:
        return False


def _refusal(spec: TrialSpec) -> str:
    """Why an attempt can't run on a machine that shares no folder, "" where it can."""
    if not spec.storage or "://" in spec.storage or spec.pruner.get("name", "none") == "none":
        return ""
    return (
        f"study.storage: the study's journal, {spec.storage}, can't be reached from {socket.gethostname()}, where "
        "trials would report to it. Set runs_dir to a folder that all machines share, or study.storage to a "
        "PostgreSQL, or study.pruner=none."
    )
