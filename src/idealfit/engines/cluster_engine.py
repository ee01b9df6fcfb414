"""What the engines of clusters have in common: whatever the cluster, a dispatcher does the work."""

from __future__ import annotations

from concurrent.futures import Future

from idealfit.engines.dispatcher import Dispatcher
from idealfit.engines.pool import checked_timeout
from idealfit.spec import ConfigError, TrialResult, TrialSpec, Work


class ClusterEngine:
    """Runs attempts on the seats of a cluster.

    Args:
        dispatcher: Gives them to seats.
        timeout_s: Seconds after which an attempt is killed; waiting for a seat does not count. None: no limit.
    """

    def __init__(self, dispatcher: Dispatcher, timeout_s: float | None) -> None:
        self._dispatcher = dispatcher
        self._timeout_s = timeout_s

    @property
    def num_slots(self) -> int:
        """How many attempts run at once, at most."""
        return self._dispatcher.num_seats

    def submit(self, work: Work, spec: TrialSpec, *, timeout_s: float | None = None) -> Future[TrialResult]:
        """Run `work(spec, stop)` in the first seat that is free.

        Raises:
            TypeError: `work` is no function at the top level of a module.
        """
        return self._dispatcher.submit(work, spec, checked_timeout(timeout_s) or self._timeout_s)

    def stop(self) -> None:
        """Ask running attempts to checkpoint and stop, kill them after the grace; cancel the waiting ones' futures."""
        self._dispatcher.stop()

    def kill(self) -> None:
        """Kill running attempts, their results are INTERRUPTED; cancel the waiting ones' futures."""
        self._dispatcher.kill()

    def close(self) -> None:
        """Kill what runs and give all seats back."""
        self._dispatcher.close()


def check_storage(storage: str, engine: str) -> None:
    """Refuse a study's storage that several hosts cannot share; `engine` says who asks.

    Raises:
        ConfigError: It is SQLite.
    """
    if storage.startswith("sqlite"):
        raise ConfigError(
            f"{engine} with a study in SQLite: its locks do not hold between hosts, and reports would get lost. "
            "Leave study.storage out (a journal file on a shared folder), or give a PostgreSQL's address."
        )
