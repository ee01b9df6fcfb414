"""The tables through which a controller and its workers talk, in the study's own PostgreSQL.

A session is one sitting of a controller at a study. A seat is a slot that a worker offers to a session. A letter is an
order to a seat, or an event of one. Who writes numbers his letters, so that one that is sent twice is there once; and
each seat and each session shows by its beat that it lives, by the clock of the database.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from idealfit.spec import JSON, ConfigError, StudyError, redacted

if TYPE_CHECKING:
    from psycopg import Connection

CHANNEL = "idealfit"
CONNECT_S = 5
# A network that went silent is noticed long before a lease ends.
LIBPQ = {"connect_timeout": CONNECT_S, "keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 2}
SILENCE_MS = 10_000
LOST_CONTROLLER = 2  # leases without a beat: workers are more patient than their controller
DDL_LOCK = 7_365_001  # any number, so long as nobody else's
DDL = """
CREATE TABLE IF NOT EXISTS idealfit_sessions (
    id text PRIMARY KEY, study text NOT NULL, about jsonb NOT NULL, lease_s double precision NOT NULL,
    beat timestamptz NOT NULL DEFAULT now(), has_ended boolean NOT NULL DEFAULT false);
CREATE TABLE IF NOT EXISTS idealfit_seats (
    id text PRIMARY KEY, session text NOT NULL REFERENCES idealfit_sessions ON DELETE CASCADE, host text NOT NULL,
    beat timestamptz NOT NULL DEFAULT now(), has_left boolean NOT NULL DEFAULT false);
CREATE TABLE IF NOT EXISTS idealfit_letters (
    seat text NOT NULL REFERENCES idealfit_seats ON DELETE CASCADE, is_order boolean NOT NULL, number integer NOT NULL,
    body jsonb NOT NULL, PRIMARY KEY (seat, is_order, number));
"""


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    """A session at work. `about` is what its workers need to know."""

    id: str
    study: str
    about: JSON
    lease_s: float


@dataclass(frozen=True, kw_only=True)
class SeatRow:
    """A seat. `age_s`: since its latest beat."""

    id: str
    host: str
    age_s: float
    has_left: bool


def check_address(url: str) -> None:
    """Refuse what is no PostgreSQL, and a driver that is not installed.

    Raises:
        ConfigError: With what to do.
    """
    if not re.match(r"postgres(ql)?(\+\w+)?://", url):
        what = f"{redacted(url)} is none" if url else "none was given"
        raise ConfigError(
            f"workers on other machines need a study in a PostgreSQL that all of them reach, and {what}: "
            "postgresql://HOST/DATABASE, with user and password. SQLite's locks do not hold between hosts."
        )
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise ConfigError(
            "A study on PostgreSQL needs a driver that is not installed: pip install 'idealfit[postgres]'"
        ) from None


class Tables:
    """A connection to the tables, made again where it broke. Used by several threads, one at a time.

    Every statement may be repeated, so that one of which nobody knows whether it was done is simply done again.

    Raises:
        ConfigError: The address is none of a PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        check_address(url)
        self._address = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)
        self._shown = redacted(url)
        self._connection: Connection[Any] | None = None
        self._lock = threading.Lock()

    def create(self) -> None:
        """Make the tables where they are missing.

        Raises:
            StudyError: The database cannot be reached, or refuses.
        """
        import psycopg

        try:
            self._run(f"SELECT pg_advisory_lock({DDL_LOCK})")  # two that make them at once would hinder each other
            self._run(DDL)
            self._run(f"SELECT pg_advisory_unlock({DDL_LOCK})")
        except (ConnectionError, psycopg.Error) as error:
            raise StudyError(str(error) if isinstance(error, ConnectionError) else self._words(error)) from None

    def open_session(self, session: SessionRow) -> None:
        """Begin a session, and end those before it of the same study."""
        self._run(
            "UPDATE idealfit_sessions SET has_ended = true WHERE study = %s AND id <> %s", session.study, session.id
        )
        self._run(
            "INSERT INTO idealfit_sessions (id, study, about, lease_s) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            session.id,
            session.study,
            json.dumps(session.about),
            session.lease_s,
        )
        self.wake()

    def num_seats_elsewhere(self, session: SessionRow) -> int:
        """Seats of the study's earlier sessions that may still be at work."""
        query = (
            "SELECT count(*) FROM idealfit_seats JOIN idealfit_sessions s ON s.id = session WHERE study = %s "
            "AND session <> %s AND NOT has_left AND now() - idealfit_seats.beat < make_interval(secs => s.lease_s)"
        )
        return int(self._run(query, session.study, session.id)[0][0])

    def beat_session(self, session: str) -> None:
        """The controller lives."""
        self._run("UPDATE idealfit_sessions SET beat = now() WHERE id = %s", session)

    def end_session(self, session: str) -> None:
        """Tell the workers that it is over."""
        self._run("UPDATE idealfit_sessions SET has_ended = true WHERE id = %s", session)
        self.wake()

    def forget_sessions(self, study: str) -> None:
        """Remove what is left of a study's sessions that have ended."""
        self._run("DELETE FROM idealfit_sessions WHERE study = %s AND has_ended", study)

    def sessions(self, study: str = "") -> list[SessionRow]:
        """Sessions at work: of `study`, or of all studies."""
        query = (
            "SELECT id, study, about, lease_s FROM idealfit_sessions WHERE NOT has_ended AND (%s = '' OR study = %s) "
            "AND now() - beat < make_interval(secs => %s * lease_s) ORDER BY beat DESC"
        )
        rows = self._run(query, study, study, LOST_CONTROLLER)
        return [SessionRow(id=row[0], study=row[1], about=row[2], lease_s=row[3]) for row in rows]

    def studies(self) -> list[str]:
        """The names of all studies in this database, whether somebody drives them or not."""
        if self._run("SELECT to_regclass('studies')")[0][0] is None:
            return []
        return [row[0] for row in self._run("SELECT study_name FROM studies ORDER BY study_name")]

    def is_over(self, session: str) -> bool:
        """Whether its controller has ended it."""
        return not self._run("SELECT 1 FROM idealfit_sessions WHERE id = %s AND NOT has_ended", session)

    def join(self, session: str, seats: Sequence[str], host: str) -> None:
        """Offer seats."""
        query = (
            "INSERT INTO idealfit_seats (id, session, host) SELECT unnest(%s::text[]), %s, %s ON CONFLICT DO NOTHING"
        )
        self._run(query, list(seats), session, host)

    def seats(self, session: str) -> list[SeatRow]:
        """All seats that were ever offered to a session."""
        query = (
            "SELECT id, host, extract(epoch FROM now() - beat)::float, has_left FROM idealfit_seats WHERE session = %s"
        )
        return [SeatRow(id=r[0], host=r[1], age_s=r[2], has_left=r[3]) for r in self._run(query, session)]

    def beat_seats(self, session: str, seats: Sequence[str]) -> tuple[int, Literal["driven", "silent", "over"]]:
        """The worker lives: how many of its seats are still its own, and what its controller does."""
        query = "UPDATE idealfit_seats SET beat = now() WHERE id = ANY(%s) AND NOT has_left RETURNING id"
        own = self._run(query, list(seats))
        query = "SELECT now() - beat > make_interval(secs => %s * lease_s) FROM idealfit_sessions"
        rows = self._run(f"{query} WHERE id = %s AND NOT has_ended", LOST_CONTROLLER, session)
        if not rows:
            return len(own), "over"
        return len(own), "silent" if rows[0][0] else "driven"

    def leave(self, seats: Sequence[str]) -> None:
        """Give seats back, or take them."""
        self._run("UPDATE idealfit_seats SET has_left = true WHERE id = ANY(%s)", list(seats))
        for seat in seats:
            self.wake(seat)

    def expel(self, seat: str, silent_s: float) -> bool:
        """Take a seat away whose worker has not been heard of for so long; False: it has been, after all."""
        query = "UPDATE idealfit_seats SET has_left = true WHERE id = %s AND now() - beat > make_interval(secs => %s)"
        return bool(self._run(f"{query} RETURNING id", seat, silent_s))

    def send(self, seat: str, number: int, body: JSON, *, is_order: bool) -> None:
        """Write a letter; an order wakes the worker."""
        query = "INSERT INTO idealfit_letters (seat, is_order, number, body) SELECT id, %s, %s, %s FROM idealfit_seats"
        self._run(f"{query} WHERE id = %s ON CONFLICT DO NOTHING", is_order, number, json.dumps(body), seat)
        if is_order:
            self.wake(seat)

    def letters(self, num_read: Mapping[str, int], *, are_orders: bool) -> list[tuple[str, int, JSON]]:
        """The letters of seats that are new: seat, number and body, each seat's in order.

        Args:
            num_read: How many of each seat were read before.
            are_orders: Orders, or else events.
        """
        query = (
            "SELECT seat, number, body FROM unnest(%s::text[], %s::int[]) AS known(id, num_read) JOIN idealfit_letters "
            "ON seat = id AND number >= num_read AND is_order = %s ORDER BY number"
        )
        rows = self._run(query, list(num_read), list(num_read.values()), are_orders)
        return [(row[0], row[1], row[2]) for row in rows]

    def wake(self, seat: str = "") -> None:
        """Let the worker of a seat look again, or all that wait."""
        self._run("SELECT pg_notify(%s, %s)", CHANNEL, seat)

    def wait(self, seconds: float, seats: Container[str] = ()) -> bool:
        """Until somebody wakes `seats`, or so long; whether somebody did. What came since the last call counts."""
        import psycopg

        try:
            with self._lock:
                connection = self._connected()
                connection.execute(f"LISTEN {CHANNEL}")
                with contextlib.closing(connection.notifies(timeout=seconds)) as calls:
                    return any(not call.payload or call.payload in seats for call in calls)
        except (ConnectionError, psycopg.Error):
            self.close()
            time.sleep(seconds)
            return False

    def close(self) -> None:
        """Let the connection go; the next statement makes another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _run(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement, which is a transaction of its own.

        Raises:
            ConnectionError: The database cannot be reached, also not a second time.
        """
        import psycopg

        with self._lock:
            for is_last in (False, True):
                try:
                    cursor = self._connected().execute(query.encode(), values or None)
                    return cursor.fetchall() if cursor.description else []
                except psycopg.errors.ForeignKeyViolation:  # that session was removed at this very moment
                    return []
                except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                    self.close()
                    if is_last:
                        raise ConnectionError(self._words(error)) from None
        raise AssertionError

    def _connected(self) -> Connection[Any]:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        if self._connection is None:
            given = conninfo_to_dict(self._address)
            options: dict[str, Any] = {name: value for name, value in LIBPQ.items() if name not in given}
            self._connection = psycopg.connect(
                self._address, autocommit=True, tcp_user_timeout=SILENCE_MS, application_name="idealfit", **options
            )
        return self._connection

    def _words(self, error: Exception) -> str:
        return f"The study's storage {self._shown} cannot be used: {redacted(' '.join(str(error).split()))}"
