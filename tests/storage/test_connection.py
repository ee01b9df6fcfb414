"""A database that goes away under a study: shortly, for long, and under a worker."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from idealfit.pruning import StorageLostError, StorageReporter, open_storage, reached, reporter
from idealfit.record import Record
from idealfit.spec import StopSignal, TrialResult, TrialSpec
from idealfit.study import ledger

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
import toys
from proxy import Proxy
from stored_studies import make_study, spec_of
from test_loop import drive

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("in_tmp_dir")]


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    with Proxy(postgres_url) as made:
        yield made


def cut_in_trial_1(proxy: Proxy, *, restore_after_s: float | None = None) -> toys.Work:
    """Work that scores, and loses the database on the way once."""

    def work(spec: TrialSpec, stop: StopSignal) -> TrialResult:
        if spec.number == 1:
            proxy.cut()
            if restore_after_s is not None:
                threading.Timer(restore_after_s, proxy.restore).start()
        return toys.score(spec, stop)

    return work


def test_a_study_waits_for_a_database_that_restarts(proxy: Proxy, study_name: str) -> None:
    overrides = (f"study.storage='{proxy.url}'", "study.budget.trials=4", f"study.name='{study_name}'")
    driven = drive(cut_in_trial_1(proxy, restore_after_s=1.0), *overrides)
    assert driven.ending == "done"
    assert driven.states() == ["COMPLETE"] * 4


def test_a_study_stops_when_the_database_stays_away_and_goes_on_when_it_is_back(
    proxy: Proxy, study_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PATIENCE_S", 0.5)
    overrides = (f"study.storage='{proxy.url}'", "study.budget.trials=4", f"study.name='{study_name}'")
    driven = drive(cut_in_trial_1(proxy), *overrides)
    assert driven.ending == "failed"
    assert "was lost" in driven.reason
    assert "idealfit resume" in driven.reason
    assert "s3cret" not in driven.reason
    result = Record(driven.plan.study_dir / "1").read_result()
    assert result is not None
    assert result.state.is_finished, "what came out of it is in its record"
    proxy.restore()
    again = drive(toys.score, *overrides)
    assert again.heard.started == [2, 3], "trial 1 is told, not trained again"
    assert again.states() == ["COMPLETE"] * 4


def test_a_worker_goes_on_without_its_database_and_reports_later(
    proxy: Proxy, study_name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reporter, "SHARE_FOR_RETRIES", float("inf"))
    study = make_study(proxy.url, study_name)
    study.ask()
    made = StorageReporter(spec_of(proxy.url, study_name, 0, "median"))
    assert not made.report(0, 0.5)
    proxy.cut()
    assert not made.report(1, 0.6)
    assert not made.report(2, 0.7)
    errors = capsys.readouterr().err
    assert errors.count("training goes on") == 1
    assert "s3cret" not in errors
    proxy.restore()
    assert not made.report(3, 0.8)
    made.close()
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.6, 3: 0.7, 4: 0.8}


def test_a_connection_that_breaks_between_two_questions_is_made_again(proxy: Proxy, study_name: str) -> None:
    study = make_study(proxy.url, study_name)
    study.ask()
    proxy.cut()
    proxy.restore()
    study.tell(0, 0.5)
    assert study.trials[0].value == 0.5


def test_a_lost_database_is_named_without_its_password(proxy: Proxy, study_name: str) -> None:
    storage = open_storage(proxy.url)
    proxy.cut()
    with pytest.raises(StorageLostError, match="was lost") as caught:
        reached(lambda: storage.get_all_studies(), proxy.url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    proxy.restore()
