"""What `idealfit worker` does: offer slots to a study at work, run what it asks for, and leave without loss."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from idealfit._version import __version__
from idealfit.engines import hardware
from idealfit.engines.host import Host
from idealfit.engines.pool import checked_slots
from idealfit.engines.workers_cluster import BEATS_PER_LEASE, POLL_S, SAME_STORAGE
from idealfit.engines.workers_tables import SessionRow, Tables
from idealfit.spec import JSON, ConfigError, StudyError, nearest, redacted
from idealfit.text import counted

FENCE = 0.7  # of a lease: who is cut off ends what runs before anybody may count it as lost
LOOK_S = 1.0  # in case that a call to look was lost
RETURN_S = 600.0  # how long a worker looks for a study whose controller or database went away
Ending = Literal["left", "over", "silent", "lost"]
PARTED = {
    "over": "that session of study {study} is over",
    "silent": "the controller of study {study} is silent: what ran here wrote its checkpoints. Looking for it again.",
    "lost": "cut off from study {study}: what ran here goes on elsewhere. Looking for it again.",
}


class Worker:
    """Offers the slots of this machine to a study.

    Args:
        address: `postgresql://USER:PASSWORD@HOST/DATABASE#STUDY`; without `#STUDY`, the one that is at work there.
        slots: Attempts at once; 0: one for each GPU; without one, one for each core, at most 8.
        stays: Whether to wait for a study that nobody drives yet, and for the next one when it is over.
        say: Takes a line for the user.
        stop_requested: Whether to leave.

    Raises:
        UserError: An address that makes no sense.
    """

    def __init__(
        self, address: str, *, slots: int, stays: bool, say: Callable[[str], None], stop_requested: Callable[[], bool]
    ) -> None:
        self._url, _, self._study = address.partition("#")
        self._stays = stays
        self._say = say
        self._stop_requested = stop_requested
        self._asked_slots = checked_slots(slots)
        self._tables = Tables(self._url)
        self._tables.create()
        self._membership: _Membership | None = None

    def run(self) -> Literal["left", "over", "lost"]:
        """Serve until the study is over, or somebody says to leave.

        Raises:
            UserError: There is no such study, or this machine cannot serve it.
        """
        patience_s = float("inf") if self._stays else 0.0
        while True:
            session = self._find(patience_s)
            if session is None:
                return "left" if self._stop_requested() else "lost"
            try:
                _check(session)
            except ConfigError:
                if self._tables.is_over(session.id):  # it ended at this very moment
                    continue
                raise
            num_slots = self._asked_slots or _default_slots(session)
            self._membership = _Membership(self._url, session, num_slots, self._stop_requested)
            slots, host = counted(num_slots, "slot"), session.about["host"]
            self._say(f"joined study {session.study}, driven from {host}: {slots}. Ctrl-C leaves.")
            ending = self._membership.serve()
            if ending == "left" or (ending == "over" and not self._stays and not self._goes_on(session.study)):
                return ending
            self._say(PARTED[ending].format(study=session.study))
            patience_s = float("inf") if self._stays else RETURN_S

    def kill(self) -> None:
        """End what runs, at once."""
        if self._membership:
            self._membership.kill()

    def _goes_on(self, study: str) -> bool:
        """Whether another controller drives the study already: it was resumed."""
        try:
            return bool(self._tables.sessions(study))
        except ConnectionError:
            return False

    def _find(self, patience_s: float) -> SessionRow | None:
        """The session to serve; None where none came in time."""
        deadline = time.monotonic() + patience_s
        has_said = False
        while not self._stop_requested():
            try:
                sessions = self._tables.sessions(self._study)
                if len({session.study for session in sessions}) > 1 and not self._stays:
                    names = ", ".join(sorted(session.study for session in sessions))
                    raise ConfigError(
                        f"several studies are at work in {redacted(self._url)}: {names}. Name one: URL#STUDY"
                    )
                if sessions:
                    return sessions[0]
                if not patience_s:
                    raise self._no_session()
            except ConnectionError as error:
                if not patience_s:
                    raise StudyError(str(error)) from None
            if time.monotonic() > deadline:
                return None
            if not has_said:
                has_said = True
                self._say(f"waiting for {f'study {self._study}' if self._study else 'a study'} to be driven")
            self._tables.wait(1.0)
        return None

    def _no_session(self) -> StudyError:
        where = redacted(self._url)
        studies = self._tables.studies()
        if self._study and self._study not in studies:
            hint = nearest(self._study, studies) or ("There are others." if studies else "There is none at all.")
            return StudyError(f"no study {self._study!r} in {where}. {hint}")
        which = f"study {self._study}" if self._study else "any study"
        return StudyError(
            f"nobody drives {which} in {where} with engine=workers now. Start it: idealfit sweep NAME engine=workers "
            "study.storage=URL; or let this worker wait for it: --stay"
        )


def _default_slots(session: SessionRow) -> int:
    cores, devices = hardware.usable_cores(), hardware.device_ids()
    return hardware.default_slots(len(devices), cores, session.about["devices_per_trial"])


def _check(session: SessionRow) -> None:
    """Refuse to serve with another version, or without the study's folder."""
    about = session.about
    if about["version"] != __version__:
        raise ConfigError(
            f"idealfit {about['version']} drives study {session.study} on {about['host']}, {__version__} is installed "
            "here. Install the same."
        )
    token = Path(about["token_path"])
    probe = token.with_name(f"{token.stem}.{secrets.token_hex(4)}")
    try:
        is_shared = token.read_text() == about["token"]
        probe.touch()
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        reason = "" if is_shared else "another file lies there"
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    if reason:
        raise ConfigError(
            f"runs_dir: {token.parents[2]} of {about['host']}, where study {session.study} keeps its records, is not "
            f"shared with this machine ({token}: {reason}). Mount it here under the same path, writable."
        )


class _Membership:
    """The slots of this machine in one session."""

    def __init__(self, url: str, session: SessionRow, num_slots: int, stop_requested: Callable[[], bool]) -> None:
        self._url = url
        self._session = session
        self._stop_requested = stop_requested
        self._inbox, self._outbox = Tables(url), Tables(url)
        self._seats = [secrets.token_hex(8) for _ in range(num_slots)]
        self._numbers = {seat: itertools.count() for seat in self._seats}
        self._num_read = dict.fromkeys(self._seats, 0)
        self._seat_of: dict[int, str] = {}  # by attempt
        self._state: Literal["", "over", "silent", "lost"] = ""
        self._is_closed = threading.Event()
        self._saying = threading.Lock()
        about = session.about
        with contextlib.suppress(OSError):  # the controller's folder, if it is here too: relative paths count from it
            os.chdir(about["working_dir"])
        self._host = Host(
            self._say_event,
            num_cpus=max(1, hardware.usable_cores() // num_slots),
            has_gpus=True,
            preload=about["preload"],
            stop_grace_s=about["stop_grace_s"],
            slots=num_slots,
        )

    def serve(self) -> Ending:
        """Until the session is over, this machine is cut off, or is to leave."""
        self._heard_at = time.monotonic()
        try:
            self._start(self._guard)
            self._insist(
                lambda: self._outbox.join(self._session.id, self._seats, f"{socket.gethostname()}/{os.getpid()}")
            )
            self._start(self._beat)
            while not self._state and not self._stop_requested():
                self._take_orders()
            if self._state != "lost":
                self._leave()
            return self._state or "left"
        finally:
            self._is_closed.set()
            self._host.close()
            self._inbox.close()
            self._outbox.close()

    def kill(self) -> None:
        """End what runs."""
        self._host.close()

    def _take_orders(self) -> None:
        try:
            letters = self._inbox.letters(self._num_read, are_orders=True)
            if not letters and self._inbox.wait(LOOK_S, self._seats):
                self._look_up(self._inbox)
        except ConnectionError:
            time.sleep(POLL_S)
            return
        for seat, number, order in letters:
            self._num_read[seat] = number + 1
            if order["do"] == "run":
                self._seat_of[order["id"]] = seat
                if order["spec"]["storage"] == SAME_STORAGE:
                    order["spec"]["storage"] = self._url
            if order["do"] != "end":
                self._host.take(order)

    def _leave(self) -> None:
        """Attempts that run write their checkpoints, and go on elsewhere."""
        self._host.pause()
        self._insist(lambda: self._outbox.leave(self._seats))

    def _say_event(self, event: JSON) -> None:
        seat = self._seat_of[event["id"]]
        with self._saying:  # letters of a seat are read in the order of their numbers
            number = next(self._numbers[seat])
            self._insist(lambda: self._outbox.send(seat, number, event, is_order=False))

    def _insist(self, call: Callable[[], None]) -> None:
        """Say something, unless this machine is cut off, when nobody would hear it any more."""
        while self._state != "lost":
            try:
                return call()
            except ConnectionError:
                time.sleep(POLL_S)
        return None

    def _start(self, task: Callable[[], None]) -> None:
        threading.Thread(target=task, name="idealfit-worker", daemon=True).start()

    def _beat(self) -> None:
        tables = Tables(self._url)
        is_closed = False
        while not is_closed:
            with contextlib.suppress(ConnectionError):
                self._look_up(tables)
            is_closed = self._is_closed.wait(self._session.lease_s / BEATS_PER_LEASE)
        tables.close()

    def _look_up(self, tables: Tables) -> None:
        """Show that this machine lives, and see whether the session does."""
        asked_at = time.monotonic()
        num_own, controller = tables.beat_seats(self._session.id, self._seats)
        if controller != "driven":
            self._state = self._state or controller
        elif num_own < len(self._seats):
            self._cut_off()
        else:
            self._heard_at = asked_at

    def _guard(self) -> None:
        """Ends attempts before a controller that hears nothing of them lets others begin on the same records."""
        while not self._is_closed.wait(POLL_S):
            if time.monotonic() - self._heard_at > FENCE * self._session.lease_s:
                self._cut_off()

    def _cut_off(self) -> None:
        if not self._is_closed.is_set() and self._state != "lost":
            self._state = "lost"
            self._host.close()
