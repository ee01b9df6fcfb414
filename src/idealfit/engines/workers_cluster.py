"""Workers as a cluster of seats: these come and go as they like, and nobody here asks for them."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from idealfit._version import __version__
from idealfit.engines.seats import Loss
from idealfit.engines.workers_tables import SeatRow, SessionRow, Tables
from idealfit.spec import JSON, FailureKind

FOLDER = "workers"
BEATS_PER_LEASE = 6
LEAVE_S = 10.0  # what workers without work get to leave when a session ends
POLL_S = 0.1
SAME_STORAGE = "study"  # stands for the storage's address in a letter: each side has its own, and its own password


class WorkersCluster:
    """The seats that workers offer to one session.

    Args:
        folder: The study's, which all machines share.
        storage: The study's.
        lease_s: Seconds without a sign of life after which a worker is lost.
        stop_grace_s: Seconds that a stopped attempt gets to write its checkpoint.
        preload: Modules that attempts find imported.
        devices_per_trial: How many devices a slot needs.
    """

    def __init__(
        self,
        *,
        folder: Path,
        storage: str,
        lease_s: float,
        stop_grace_s: float,
        preload: Sequence[str],
        devices_per_trial: int,
    ) -> None:
        self._tables = Tables(storage)
        self._storage = storage
        self.folder = folder
        self._beat_tables = Tables(storage)  # for the thread that beats
        name = secrets.token_hex(6)
        self._token_path = folder / FOLDER / f"{name}.token"
        self._token_path.parent.mkdir(parents=True, exist_ok=True)
        self._token_path.write_text(name)
        about = {
            "version": __version__,
            "host": socket.gethostname(),
            "token_path": str(self._token_path),
            "token": name,
            "working_dir": str(Path.cwd()),
            "stop_grace_s": stop_grace_s,
            "preload": list(preload),
            "devices_per_trial": devices_per_trial,
        }
        self.session = SessionRow(id=name, study=folder.name, about=about, lease_s=lease_s)
        self._seats: dict[str, WorkerSeat] = {}  # by id
        self._offered: list[WorkerSeat] = []  # that have no place yet
        self._is_closed = threading.Event()
        self._tables.create()
        self._begin()
        threading.Thread(target=self._beat, name="idealfit-workers", daemon=True).start()

    @property
    def num_offered(self) -> int:
        """How many seats there are now."""
        return sum(seat.loss() is None for seat in list(self._seats.values()))

    def open_seats(self, count: int) -> list[WorkerSeat]:
        """Those that are free, `count` at most: workers come by themselves."""
        self._offered, given = self._offered[count:], self._offered[:count]
        return given

    def look(self) -> None:
        """Who came, who left, and what all of them say.

        Raises:
            ConnectionError: The database cannot be reached.
        """
        rows = {row.id: row for row in self._tables.seats(self.session.id)}  # first: who left has said all before
        for row in rows.values():
            if row.id not in self._seats and not row.has_left:
                self._seats[row.id] = WorkerSeat(self, self._tables, row)
                self.offer(self._seats[row.id])
        num_read = {seat.id: seat.num_read for seat in self._seats.values() if seat.loss() is None}
        for seat_id, number, body in self._tables.letters(num_read, are_orders=False):
            self._seats[seat_id].hear(number, body)
        for seat in list(self._seats.values()):
            seat.flush()
            seat.judge(rows.get(seat.id), self.session.lease_s)
        self._offered = [seat for seat in self._offered if seat.loss() is None]

    def offer(self, seat: WorkerSeat) -> None:
        """A seat that is free."""
        self._offered.append(seat)

    def without_address(self, message: JSON) -> JSON:
        """An order that names no password."""
        if message["do"] != "run" or message["spec"]["storage"] != self._storage:
            return message
        return message | {"spec": message["spec"] | {"storage": SAME_STORAGE}}

    def close(self) -> None:
        """End the session, and wait until its workers have left."""
        self._is_closed.set()
        with contextlib.suppress(ConnectionError):
            self._tables.end_session(self.session.id)
            self._wait_for_seats(LEAVE_S)
            self._tables.forget_sessions(self.session.study)
        self._token_path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._token_path.parent.rmdir()
        self._tables.close()
        self._beat_tables.close()

    def _begin(self) -> None:
        """Once no worker of an earlier session is at work any more: no trial is attempted twice at once."""
        self._tables.open_session(self.session)
        while self._tables.num_seats_elsewhere(self.session):
            self._tables.beat_session(self.session.id)
            time.sleep(POLL_S)
        self._tables.forget_sessions(self.session.study)

    def _wait_for_seats(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            rows = self._tables.seats(self.session.id)
            if all(row.has_left or row.age_s > self.session.lease_s for row in rows):
                return
            time.sleep(POLL_S)

    def _beat(self) -> None:
        while not self._is_closed.wait(self.session.lease_s / BEATS_PER_LEASE):
            with contextlib.suppress(ConnectionError):  # the dispatcher meets the same, and bears with it
                self._beat_tables.beat_session(self.session.id)


class WorkerSeat:
    """A slot of a worker."""

    def __init__(self, cluster: WorkersCluster, tables: Tables, row: SeatRow) -> None:
        self.id = row.id
        self.num_read = 0
        self._host = row.host
        self._cluster = cluster
        self._tables = tables
        self._num_sent = 0
        self._unsent: list[tuple[int, JSON]] = []
        self._events: list[JSON] = [{"event": "hello"}]
        self._loss: Loss | None = None

    @property
    def is_running(self) -> bool:
        """It said so when it came."""
        return True

    def send(self, message: JSON) -> None:
        """Give the worker an order, as soon as the database can be reached."""
        self._unsent.append((self._num_sent, self._cluster.without_address(message)))
        self._num_sent += 1
        self.flush()

    def flush(self) -> None:
        """Send what could not be sent."""
        while self._unsent and self._loss is None:
            number, message = self._unsent[0]
            self._tables.send(self.id, number, message, is_order=True)
            self._unsent.pop(0)

    def hear(self, number: int, body: JSON) -> None:
        """A letter of the worker."""
        self.num_read = number + 1
        self._events.append(body)

    def events(self) -> list[JSON]:
        """What the worker said."""
        events, self._events = self._events, []
        return events

    def judge(self, row: SeatRow | None, lease_s: float) -> None:
        """Whether it is still there."""
        if self._loss is not None:
            return
        if row is None or row.has_left:
            self._loss = Loss(FailureKind.PREEMPTED, f"The worker on {self._host} has left.")
        elif row.age_s > lease_s and self._tables.expel(self.id, lease_s):
            words = f"The worker on {self._host} was lost: no sign of life for {lease_s:g} s."
            self._loss = Loss(FailureKind.PREEMPTED, words)

    def loss(self) -> Loss | None:
        """Why it is gone."""
        return self._loss

    def facts(self) -> JSON:
        """Where the worker runs."""
        return {"worker": self._host}

    def give_up(self) -> None:
        """Take the seat away, and its worker ends what runs there; one that was never given anything stays free."""
        if self._num_sent == 0 and self._loss is None:
            self._events = [{"event": "hello"}]
            self._cluster.offer(self)
            return
        self._loss = self._loss or Loss(FailureKind.KILLED, f"The worker on {self._host} did not answer.")
        with contextlib.suppress(ConnectionError):
            self._tables.leave([self.id])
