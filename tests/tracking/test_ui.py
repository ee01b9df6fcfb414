from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from mirrored import Study

from idealfit.record import iter_records
from idealfit.spec import Objective, TrackingError
from idealfit.tracking import serve_ui, sync
from idealfit.tracking.server import UiServer
from idealfit.tracking.store import Store
from idealfit.tracking.ui import study_address
from private_postgres import free_port


@pytest.fixture
def store(uri: str, study: Study) -> Store:
    """A store that holds the study `digits`."""
    study.finished(0)
    sync(iter_records(study.runs_dir, "digits"), study="digits", study_dir=study.dir, uri=uri)
    return Store(uri, "")


def test_the_address_opens_the_leaderboard_of_the_named_or_the_latest_study(store: Store) -> None:
    named = study_address(store, "http://127.0.0.1:5000", "digits")
    assert named == study_address(store, "http://127.0.0.1:5000", None)
    query = parse_qs(urlsplit(named).fragment.partition("?")[2])
    assert query["workflowType"] == ["machine_learning"]
    assert query["viewStateShareKey"][0].startswith("leaderboard-")


def test_another_version_of_mlflow_gets_the_plain_filter(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idealfit.tracking.address.mlflow_version", lambda _: "4.0.0")
    query = parse_qs(urlsplit(study_address(store, "http://x", "digits")).fragment.partition("?")[2])
    assert query["searchFilter"] == ["tags.study = 'digits'"]
    assert query["orderByKey"] == ["metrics.`best/val_accuracy`"]


def test_a_misspelt_study_gets_the_nearest_name(store: Store) -> None:
    with pytest.raises(TrackingError, match=r"no study 'digit'.*'digits'"):
        study_address(store, "http://x", "digit")


def test_an_empty_store_opens_all_the_same(uri: str) -> None:
    assert study_address(Store(uri, ""), "http://x", None) == "http://x/#/experiments"


def test_a_store_that_is_a_server_is_pointed_at(server: UiServer) -> None:
    said: list[str] = []
    serve_ui(server.address, open_browser=False, say=said.append)
    assert said[0].startswith(f"MLflow: {server.address}/#/experiments")


def test_a_database_that_is_not_there_yet(in_tmp_dir: Path) -> None:
    with pytest.raises(TrackingError, match="run a study first"):
        serve_ui("sqlite:///mlflow.db", open_browser=False)
    assert list(in_tmp_dir.iterdir()) == []


def test_a_port_that_is_taken_is_told(uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(TrackingError, match="is taken"):
        serve_ui(uri, port=taken.getsockname()[1], open_browser=False)


def test_a_default_port_that_is_taken_is_replaced(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("idealfit.tracking.server.DEFAULT_PORT", taken.getsockname()[1])
        assert UiServer(uri).address != f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_two_servers_that_start_at_once_take_two_ports(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr("idealfit.tracking.server.DEFAULT_PORT", port)
    first = UiServer(uri)  # it listens only later
    second = UiServer(uri)
    assert first.address.endswith(f":{port}")
    assert second.address != first.address
    with pytest.raises(TrackingError, match=f"Port {port} is taken"):
        UiServer(uri, port=port)


def test_no_process_is_left_after_a_signal(store: Store) -> None:
    code = "import sys; from idealfit.tracking import serve_ui; serve_ui(sys.argv[1], 'digits', open_browser=False)"
    command = [sys.executable, "-u", "-c", code, store.uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        port = urlsplit(first.removeprefix("MLflow: ").strip()).port
        assert port
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_study_that_minimizes_is_sorted_upwards() -> None:
    from idealfit.tracking import ui_address

    where = ui_address("http://x", "1", "s", Objective(metric="val/loss", direction="minimize"))
    query = parse_qs(urlsplit(where).fragment.partition("?")[2])
    assert (query["orderByKey"], query["orderByAsc"]) == (["metrics.`best/val_loss`"], ["true"])
