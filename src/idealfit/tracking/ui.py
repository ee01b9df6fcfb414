"""`idealfit ui`: MLflow's UI on the right store, opened where a study's trials stand best first."""

from __future__ import annotations

import signal
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from idealfit.spec import TrackingError, nearest
from idealfit.tracking import address
from idealfit.tracking.naming import quoted
from idealfit.tracking.server import UiServer
from idealfit.tracking.store import Store
from idealfit.tracking.views import LEADERBOARD, TAG, ui_address, view_key

NO_STUDY = "tags.study != ''"


def serve_ui(
    uri: str,
    study: str | None = None,
    *,
    port: int | None = None,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Show the trials of a study in MLflow's UI, best first, until Ctrl-C; no process is left behind.

    A store that is a server already is only pointed at.

    Args:
        uri: MLflow's tracking URI.
        study: Its name; None: the latest one.
        port: Port on loopback; None: 5000, or any free one where that is taken.
        open_browser: Whether to open the address too.
        say: Takes each line for the user.

    Raises:
        TrackingError: The store or the study is not there, or the server does not start.
    """
    store = Store(uri, study or "")
    if store.is_server:
        store.connect()
        _show(study_address(store, address.base_address(store.uri), study), open_browser, say)
        return
    database = address.sqlite_path(store.uri)
    if database and not database.exists():
        raise TrackingError(f"There is no {database} yet: run a study first, or give its store by tracking.uri=...")
    address.check(store.uri)
    with _stopped_by_signals(), UiServer(store.uri, port) as server:
        try:
            where = study_address(store, server.address, study)  # while the server starts
            server.wait_ready()
            _show(where, open_browser, say)
            say("On the first visit choose 'Model training' at the top left and close the assistant; MLflow remembers.")
            say("Ctrl-C stops it.")
            server.wait()
        except KeyboardInterrupt:
            say("")


def study_address(store: Store, base: str, study: str | None) -> str:
    """Where `base`, a server on `store`, shows a study; the latest one where it is not named.

    Raises:
        TrackingError: There is no such study.
    """
    experiments = {e.experiment_id: e for e in store.client.search_experiments()}
    run = _latest_run(store, list(experiments), f"tags.study = {quoted(study)}" if study else NO_STUDY)
    if run is None and study:
        raise _unknown(store, list(experiments), study)
    if run is None:
        return f"{base}/#/experiments"
    name, experiment_id = run.data.tags["study"], run.info.experiment_id
    key = view_key(name, LEADERBOARD)
    has_view = store.knows_views and TAG + key in experiments[experiment_id].tags
    return ui_address(base, experiment_id, name, view=key if has_view else None)


def _latest_run(store: Store, experiment_ids: list[str], query: str) -> Any:
    runs = store.client.search_runs(experiment_ids, query, order_by=["attributes.start_time DESC"], max_results=1)
    return runs[0] if runs else None


def _unknown(store: Store, experiment_ids: list[str], study: str) -> TrackingError:
    runs = store.client.search_runs(experiment_ids, f"{NO_STUDY} and tags.trial = '0'", max_results=1000)
    hint = nearest(study, (run.data.tags["study"] for run in runs)) or "It holds no study yet."
    return TrackingError(f"There is no study {study!r} in the tracking store {store.shown!r}. {hint}")


def _show(where: str, open_browser: bool, say: Callable[[str], None]) -> None:
    say(f"MLflow: {where}")
    if open_browser:
        webbrowser.open(where)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the server as Ctrl-C does; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
