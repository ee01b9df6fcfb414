"""What workers that join promise beyond the contract, with real processes and a real PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import engine_works as works
import psycopg
import pytest

from idealfit.engines.workers_tables import Tables
from idealfit.spec import ConfigError, Engine, FailureKind, StudyError, TrialSpec, TrialState
from joined_workers import COMMAND, JoinedWorker, joined_worker, wait_until

sys.path.insert(0, str(Path(__file__).parents[1] / "storage"))
from proxy import Proxy

MakeEngine = Callable[..., Engine]
MakeSpec = Callable[..., TrialSpec]
Join = Callable[..., JoinedWorker]
ENDLESS = 10**6


@pytest.fixture
def join(postgres_url: str, tmp_path: Path) -> Iterator[Join]:
    """Starts workers of the study in `tmp_path / "study"`, which wait for it."""
    with ExitStack() as stack:

        def start(name: str, *options: str, url: str = postgres_url) -> JoinedWorker:
            chosen = options or ("--slots=1", "--stay")
            return stack.enter_context(joined_worker(f"{url}#study", *chosen, log=tmp_path / f"{name}.log"))

        yield start


def starts_of(spec: TrialSpec, count: int = 1) -> list[int]:
    """The processes in which `count_up` began, once there are so many."""
    path = works.wait_for(Path(spec.record_dir) / "starts")
    wait_until(lambda: len(path.read_text().split()) >= count, lambda: f"{count} starts never came")
    return [int(pid) for pid in path.read_text().split()]


def counted(spec: TrialSpec) -> int:
    return int(works.wait_for(Path(spec.record_dir) / "count").read_text())


def worker(*arguments: str, program: str = "") -> subprocess.CompletedProcess[str]:
    """Run a worker to its end; `program` is Python that goes before."""
    command = [*COMMAND[:1], "-c", f"{program}\nimport sys; from idealfit.cli import main; sys.exit(main())", "worker"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_slots_come_and_go_with_the_workers(hosted: MakeEngine, join: Join, make_spec: MakeSpec) -> None:
    engine = hosted()
    futures = [engine.submit(works.until_stopped, make_spec(number)) for number in range(4)]
    assert engine.num_slots == 1, "for whom may come"
    one = join("one", "--slots=2")
    wait_until(lambda: engine.num_slots == 2, lambda: "two slots never came")
    join("two", "--slots=2", "--stay")
    for number in range(4):
        works.wait_for(Path(make_spec(number).record_dir) / "started")
    assert engine.num_slots == 4
    engine.stop()
    assert {future.result(60).message for future in futures} == {"stopped politely"}
    assert len({future.result().facts["worker"] for future in futures}) == 2
    assert one.end() == 0
    wait_until(lambda: engine.num_slots == 2, lambda: "two slots never went")


def test_no_more_slots_are_used_than_asked_for(hosted: MakeEngine, join: Join, make_spec: MakeSpec) -> None:
    engine = hosted(slots=2)
    future = engine.submit(works.echo, make_spec())
    join("one", "--slots=3")
    assert future.result(60).value == 0
    assert engine.num_slots == 2


def test_a_worker_that_leaves_hands_its_trial_on(hosted: MakeEngine, join: Join, make_spec: MakeSpec) -> None:
    spec = make_spec(config={"until": 400})
    future = hosted().submit(works.count_up, spec)
    first = join("first")
    starts_of(spec)
    counted(spec)
    assert first.end(signal.SIGTERM) == 0
    assert first.said.splitlines()[-1] == "left"
    works.assert_gone(starts_of(spec))
    before = counted(spec)
    join("second")
    result = future.result(60)
    assert (result.state, result.attempt, result.facts["count"]) == (TrialState.COMPLETE, 0, 400)
    assert len(starts_of(spec, 2)) == 2
    assert 0 < before < 400


def test_a_worker_that_is_killed_costs_its_attempt_alone(hosted: MakeEngine, join: Join, make_spec: MakeSpec) -> None:
    spec = make_spec(config={"until": 200})
    engine = hosted(lease_s=4)
    future = engine.submit(works.count_up, spec)
    first = join("first")
    starts_of(spec)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    works.assert_gone(starts_of(spec))
    result = future.result(60)
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.PREEMPTED)
    assert "no sign of life for 4 s" in result.message
    join("second")
    again = engine.submit(works.count_up, spec.with_(attempt=1)).result(60)
    assert (again.state, again.facts["count"]) == (TrialState.COMPLETE, 200)


def test_a_worker_that_is_cut_off_ends_its_attempt_first_and_comes_back(
    hosted: MakeEngine, join: Join, make_spec: MakeSpec, postgres_url: str
) -> None:
    spec = make_spec(config={"until": ENDLESS})
    engine = hosted(lease_s=6)
    future = engine.submit(works.count_up, spec)
    with Proxy(postgres_url) as proxy:
        lonely = join("lonely", url=proxy.url)
        starts_of(spec)
        proxy.cut()
        result = future.result(60)
        assert result.failure is FailureKind.PREEMPTED
        works.assert_gone(starts_of(spec), seconds=1)
        lonely.wait_until_said("cut off from study")
        proxy.restore()
        assert engine.submit(works.echo, make_spec(1)).result(60).state is TrialState.COMPLETE
        lonely.wait_until_said("joined study", count=2)


def test_a_new_controller_waits_until_the_workers_of_a_dead_one_are_free(
    hosted: MakeEngine, join: Join, make_spec: MakeSpec
) -> None:
    spec = make_spec(config={"until": ENDLESS})
    hosted().submit(works.count_up, spec)
    here = join("here")
    starts_of(spec)
    second = hosted()
    works.assert_gone(starts_of(spec), seconds=1)
    assert second.submit(works.echo, make_spec(1)).result(60).state is TrialState.COMPLETE
    here.wait_until_said("joined study", count=2)


def test_a_worker_ends_with_its_study(hosted: MakeEngine, join: Join, make_spec: MakeSpec) -> None:
    engine = hosted()
    future = engine.submit(works.echo, make_spec())
    here = join("here", "--slots=1")
    future.result(60)
    engine.close()
    assert here.process.wait(60) == 0
    assert here.said.splitlines()[-1] == "the study is over"


def test_each_side_uses_its_own_address_and_no_letter_holds_the_password(
    hosted: MakeEngine, join: Join, make_spec: MakeSpec, postgres_url: str
) -> None:
    with Proxy(postgres_url) as proxy:
        join("here", url=proxy.url)
        engine = hosted()
        result = engine.submit(works.tell_storage, make_spec(storage=postgres_url)).result(60)
        assert result.message == proxy.url.rpartition("@")[2]
        with psycopg.connect(postgres_url) as connection:
            written = connection.execute(
                "SELECT about::text FROM idealfit_sessions UNION ALL SELECT body::text FROM idealfit_letters"
            ).fetchall()
    assert len(written) >= 4, "a session, an order and two events"
    assert "s3cret" not in str(written)


# Refused


@pytest.mark.parametrize("storage", ["sqlite:///study.db", "", "/runs/study.journal"])
def test_only_postgresql_lets_workers_join(hosted: MakeEngine, storage: str) -> None:
    with pytest.raises(ConfigError, match=r"need a study in a PostgreSQL .* locks do not hold between hosts"):
        hosted(storage=storage)


@pytest.mark.parametrize("url", ["sqlite:///study.db", "study.journal", "http://127.0.0.1:5000"])
def test_a_worker_joins_no_other_storage(url: str) -> None:
    done = worker(url)
    assert done.returncode == 2
    assert "need a study in a PostgreSQL" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_database_that_does_not_answer_is_one_line_without_the_password() -> None:
    done = worker("postgresql://me:s3cret@127.0.0.1:1/x#study")
    assert done.returncode == 2
    assert "postgresql://***@127.0.0.1:1/x cannot be used: " in done.stderr
    assert "s3cret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_driver_that_is_not_installed_is_named_with_its_extra(postgres_url: str) -> None:
    done = worker(postgres_url, program="import sys; sys.modules['psycopg'] = None")
    assert done.returncode == 2
    assert "pip install 'idealfit[postgres]'" in done.stderr


def test_a_study_that_is_not_there_is_named_with_the_nearest(postgres_url: str) -> None:
    import optuna

    from idealfit.pruning import close_storage, open_storage

    storage = open_storage(postgres_url)
    optuna.create_study(study_name="worker_digits", storage=storage, load_if_exists=True)
    close_storage(storage)
    missing, idle = worker(f"{postgres_url}#worker_digit"), worker(f"{postgres_url}#worker_digits")
    assert (missing.returncode, idle.returncode) == (2, 2)
    assert "no study 'worker_digit' in postgresql://***@" in missing.stderr
    assert "Did you mean 'worker_digits'?" in missing.stderr
    assert "nobody drives study worker_digits" in idle.stderr
    assert "--stay" in idle.stderr


def test_of_several_studies_one_must_be_named(hosted: MakeEngine, postgres_url: str, tmp_path: Path) -> None:
    hosted()
    hosted(folder=tmp_path / "other")
    done = worker(postgres_url)
    assert done.returncode == 2
    assert "several studies are at work in postgresql://***@" in done.stderr
    assert ": other, study. Name one: URL#STUDY" in done.stderr


@pytest.mark.parametrize(("content", "words"), [(None, "No such file or directory"), ("x", "another file lies there")])
def test_a_folder_that_is_not_shared_is_named(
    hosted: MakeEngine, postgres_url: str, tmp_path: Path, content: str | None, words: str
) -> None:
    hosted()
    (token,) = (tmp_path / "study" / "workers").glob("*.token")
    token.unlink() if content is None else token.write_text(content)
    done = worker(f"{postgres_url}#study")
    assert done.returncode == 2
    assert f"runs_dir: {tmp_path}" in done.stderr
    assert words in done.stderr
    assert "Mount it here under the same path" in done.stderr


def test_another_version_is_refused(hosted: MakeEngine, postgres_url: str) -> None:
    hosted()
    program = "import idealfit._version as v; mine, v.__version__ = v.__version__, '99.0'"
    done = worker(f"{postgres_url}#study", program=program)
    assert done.returncode == 2
    assert "99.0 is installed here. Install the same." in done.stderr


# The tables


def test_a_letter_that_is_sent_twice_is_there_once(hosted: MakeEngine, postgres_url: str) -> None:
    engine = hosted()
    tables = Tables(postgres_url)
    (session,) = tables.sessions("study")
    tables.join(session.id, ["a"], "here")
    for number in (0, 1, 1, 0):
        tables.send("a", number, {"event": "hello", "number": number}, is_order=False)
    assert [number for _, number, _ in tables.letters({"a": 0}, are_orders=False)] == [0, 1]
    assert [number for _, number, _ in tables.letters({"a": 1}, are_orders=False)] == [1]
    assert tables.letters({"a": 0}, are_orders=True) == []
    tables.close()
    engine.close()


def test_nothing_is_left_in_the_tables_when_a_session_ends(hosted: MakeEngine, postgres_url: str) -> None:
    engine = hosted()
    tables = Tables(postgres_url)
    (session,) = tables.sessions("study")
    tables.join(session.id, ["b"], "here")
    tables.send("b", 0, {"event": "hello"}, is_order=False)
    tables.leave(["b"])
    engine.close()
    assert tables.sessions("study") == []
    assert tables.letters({"b": 0}, are_orders=False) == []
    tables.close()


def test_a_database_that_is_gone_is_an_error_that_may_pass(hosted: MakeEngine, postgres_url: str) -> None:
    with Proxy(postgres_url) as proxy:
        tables = Tables(proxy.url)
        assert isinstance(tables.studies(), list)
        proxy.cut()
        with pytest.raises(ConnectionError, match="cannot be used"):
            tables.studies()
        with pytest.raises(StudyError, match="cannot be used"):
            tables.create()
        proxy.restore()
        assert isinstance(tables.studies(), list)
        tables.close()
