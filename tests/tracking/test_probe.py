from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mirrored import Asked, Study

from idealfit.spec import TrackingError
from idealfit.tracking import Mirror
from idealfit.tracking.probe import probe

READY = """
import sys
from idealfit.tracking import Mirror
mirror = Mirror(uri=sys.argv[1], experiment="digits", apart=True)
mirror.wait_ready()
print(mirror.experiment_id, "mlflow" in sys.modules)
mirror.close()
"""


def test_a_mirror_is_ready_before_its_own_process_has_imported_mlflow(uri: str, asked: Asked) -> None:
    done = subprocess.run([sys.executable, "-c", READY, uri], capture_output=True, text=True, check=True)
    experiment = asked.client.get_experiment_by_name("digits")
    assert done.stdout.split() == [experiment.experiment_id, "False"]


def test_what_is_wrong_with_a_store_is_told_by_the_other_process_and_without_the_password(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database, and longer than the header of one, which has a hundred bytes" * 3)
    with pytest.raises(TrackingError, match="is no usable SQLite database"):
        probe(f"sqlite:///{tmp_path / 'mlflow.db'}", "digits")
    with pytest.raises(TrackingError, match=r"127\.0\.0\.1:1' does not answer") as caught:
        probe("http://ada:secret@127.0.0.1:1", "digits")
    assert "secret" not in str(caught.value)


def test_where_no_process_can_be_started_the_mirror_connects_by_itself(
    uri: str, study: Study, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    mirror = Mirror(uri=uri, experiment="digits", interval_s=0.05, apart=True)
    study.open(mirror)
    record = study.finished(0)
    mirror.finish_trial(record)
    assert mirror.close() == []
    assert asked.mirrors(record)
