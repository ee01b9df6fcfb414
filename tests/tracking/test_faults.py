"""A real server that goes away and comes back, in the middle of a study."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mirrored import Asked, Study

from idealfit.record import iter_records
from idealfit.spec import TrackingError
from idealfit.tracking import Mirror, sync
from idealfit.tracking.server import UiServer


def test_a_server_takes_a_study_and_its_artifacts(server: UiServer, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs", "over http")
    mirror = Mirror(uri=server.address, experiment=study.name, interval_s=0.05)
    study.open(mirror)
    record = study.finished(0)
    record.pictures_dir.mkdir()
    (record.pictures_dir / "curve.png").write_bytes(b"png")
    mirror.finish_trial(record)
    assert mirror.close() == []
    asked = Asked(server.address, study.name)
    assert asked.mirrors(record)
    artifacts = asked.client.list_artifacts(asked.trial(0).info.run_id, "pictures")
    assert [file.path for file in artifacts] == ["pictures/curve.png"]
    assert mirror.address.startswith(f"{server.address}/#/experiments/{mirror.experiment_id}/runs?")


def test_a_server_killed_in_the_middle_gets_the_rest_when_it_is_back(server: UiServer, study: Study) -> None:
    record, later = study.record(0), study.record(1)
    mirror = Mirror(uri=server.address, experiment="digits", interval_s=0.05)
    study.open(mirror)
    mirror.start_trial(record)
    study.train(record, range(3))
    assert mirror.flush()
    with stopped(server):
        study.train(record, range(3, 12))
        study.end(record)
        mirror.finish_trial(record)
        mirror.start_trial(later)
        assert not mirror.flush(timeout_s=1.0)
        wait_for_trouble(mirror)
        study.train(later)
        study.end(later)
    mirror.finish_trial(later)
    mirror.finish_study(state="done", description="")
    assert mirror.close() == []
    asked = Asked(server.address, "digits")
    assert asked.mirrors(record)
    assert asked.mirrors(later)
    assert asked.parent().info.status == "FINISHED"


def wait_for_trouble(mirror: Mirror) -> None:
    """A call to a server that is down may be on its way for seconds."""
    deadline = time.monotonic() + 30
    while not mirror.trouble:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def stopped(server: UiServer) -> Iterator[None]:
    """End a server, and start it again on its port."""
    server.__exit__(None, None, None)
    try:
        yield
    finally:
        server.__enter__()
        server.wait_ready()


def test_a_server_that_never_comes_leaves_all_to_sync(uri: str, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idealfit.tracking.mirror.GIVE_UP_S", 0.1)
    mirror = Mirror(uri="http://127.0.0.1:9", experiment="digits", required=False, interval_s=0.05)
    study.open(mirror)
    record = study.finished(0)
    mirror.finish_trial(record)
    mirror.finish_study(state="done", description="")
    not_sent = mirror.close()
    assert [line.partition(": ")[0] for line in not_sent] == ["study digits", "digits/0"]
    assert "does not answer" in not_sent[0]

    with pytest.raises(TrackingError, match="does not answer"):
        sync(iter_records(study.runs_dir, "digits"), study="digits", study_dir=study.dir, uri="http://127.0.0.1:9")
    sync(iter_records(study.runs_dir, "digits"), study="digits", study_dir=study.dir, uri=uri)
    asked = Asked(uri, "digits")
    assert asked.mirrors(record)
    assert asked.parent().info.status == "FINISHED"


def test_a_server_that_takes_calls_but_never_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idealfit.tracking.address.ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(TrackingError, match="does not answer"):
        Mirror(uri=f"http://127.0.0.1:{mute.getsockname()[1]}", experiment="x")


def test_credentials_of_a_server_are_used_and_kept_nowhere(server: UiServer, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs", "secret")
    uri = server.address.replace("http://", "http://me:s3cret@")
    record = study.finished(0)
    assert sync([record], study="secret", study_dir=study.dir, uri=uri).failures == []
    texts = [path.read_text() for path in study.runs_dir.rglob("*") if path.is_file()]
    assert not any("s3cret" in text for text in texts)
    run = Asked(server.address, "secret").trial(0)
    assert "s3cret" not in str(run.to_dictionary())


def test_a_controller_killed_before_it_learned_the_runs_id_makes_no_second_run(
    uri: str, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = study.finished(0)
    asked = Asked(uri, "digits")
    with monkeypatch.context() as patched:
        patched.setattr("idealfit.tracking.trial_run.trial_params", lambda _: 1 / 0)
        records = iter_records(study.runs_dir, "digits")
        sync(records, study="digits", study_dir=study.dir, uri=uri)
    first = asked.trial(0).info.run_id
    state = record.mirror_path.read_text()
    record.mirror_path.write_text(state.replace(first, ""))  # as it was before create_run returned
    sync(iter_records(study.runs_dir, "digits"), study="digits", study_dir=study.dir, uri=uri)
    assert asked.trial(0).info.run_id == first
    assert asked.mirrors(record)
