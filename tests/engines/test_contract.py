"""What every engine promises."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path

import engine_works as works
import pytest

from idealfit.spec import ConfigError, Engine, FailureKind, TrialSpec, TrialState, attempt_log_path

MakeEngine = Callable[..., Engine]
MakeSpec = Callable[..., TrialSpec]

ONE_PROCESS = ("inline",)  # engines that give a trial no more


@pytest.fixture(params=["inline", "local", "fused", "grouped", "ray", "slurm", "workers"])
def make_engine(request: pytest.FixtureRequest) -> MakeEngine:
    make: MakeEngine = request.getfixturevalue(request.param)
    return make


def test_returns_what_the_work_returns(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    result = make_engine().submit(works.echo, make_spec(7, attempt=2, config={"model": {"depth": 3}})).result()
    assert (result.state, result.value, result.attempt) == (TrialState.COMPLETE, 7.0, 2)
    assert result.facts["config"] == {"model": {"depth": 3}}


def test_work_that_raises_is_a_bug_with_the_end_of_its_traceback(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec(attempt=1)
    result = make_engine().submit(works.fail, spec).result()
    assert (result.state, result.failure, result.attempt) == (TrialState.FAILED, FailureKind.BUG, 1)
    assert result.message.startswith("ValueError: a bug in a net\n")
    assert "in fail" in result.message
    assert "ValueError: a bug in a net" in attempt_log_path(spec.record_dir, 1).read_text()


def test_work_that_calls_sys_exit_is_a_bug(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    result = make_engine().submit(works.leave, make_spec()).result()
    assert result.failure is FailureKind.BUG
    assert "SystemExit" in result.message


def test_goes_on_after_a_failure(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine()
    states = [engine.submit(work, make_spec()).result().state for work in (works.fail, works.echo)]
    assert states == [TrialState.FAILED, TrialState.COMPLETE]


@pytest.mark.parametrize("make_engine", ["inline", "local", "fused"], indirect=True)  # a group has one output
def test_output_goes_to_the_log_of_the_attempt(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine()
    specs = [make_spec(0, attempt=attempt) for attempt in (0, 1)]
    wait([engine.submit(works.talk, spec) for spec in specs])
    for spec in specs:
        log = attempt_log_path(spec.record_dir, spec.attempt).read_text(encoding="utf-8")
        assert log.splitlines() == ["said on stdout: é", "said on stderr"]


@pytest.mark.parametrize("name", ["two words", "a'quote\"", "zwei\nZeilen", "größe-数", "back\\slash"])
def test_records_may_have_odd_paths(make_engine: MakeEngine, make_spec: MakeSpec, tmp_path: Path, name: str) -> None:
    spec = make_spec(record_dir=str(tmp_path / name))
    make_engine().submit(works.talk, spec).result()
    assert "stdout" in attempt_log_path(spec.record_dir, 0).read_text(encoding="utf-8")


def test_a_log_that_cannot_be_written_is_a_failure(
    make_engine: MakeEngine, make_spec: MakeSpec, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = make_engine().submit(works.talk, make_spec(record_dir=str(tmp_path / "file" / "0"))).result()
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.BUG)
    assert "NotADirectoryError" in result.message


def test_more_trials_than_slots_wait_in_order(make_engine: MakeEngine, make_spec: MakeSpec, tmp_path: Path) -> None:
    engine = make_engine()
    specs = [make_spec(number, config={"folder": str(tmp_path)}) for number in range(5)]
    results = [future.result() for future in [engine.submit(works.count_at_once, spec) for spec in specs]]
    assert [result.value for result in results] == [0, 1, 2, 3, 4]
    assert max(result.facts["num_running"] for result in results) <= engine.num_slots


def test_stop_ends_the_running_politely_and_forgets_the_waiting(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine()
    running, waiting = (engine.submit(works.until_stopped, make_spec(number)) for number in (0, 1))
    works.wait_for(Path(make_spec(0).record_dir) / "started")
    engine.stop()
    assert not wait([running, waiting], timeout=works.LONG_S).not_done
    assert (running.result().state, running.result().message) == (TrialState.INTERRUPTED, "stopped politely")
    assert waiting.cancelled()


def test_runs_again_after_a_stop(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine()
    engine.stop()
    assert engine.submit(works.echo, make_spec()).result().state is TrialState.COMPLETE


def test_stop_and_kill_come_at_any_moment(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine()
    for number in range(20):
        future = engine.submit(works.until_stopped, make_spec(number))
        engine.stop() if number % 2 else engine.kill()
        assert not wait([future], timeout=works.LONG_S).not_done
        assert future.cancelled() or future.result().state is TrialState.INTERRUPTED


def test_a_timeout_ends_an_attempt(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine(timeout_s=100)
    result = engine.submit(works.until_stopped, make_spec(), timeout_s=0.2).result(timeout=works.LONG_S)
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.TIMEOUT)
    assert "0.2 s" in result.message


def test_an_attempt_within_its_timeout_is_left_alone(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    assert make_engine(timeout_s=works.LONG_S).submit(works.echo, make_spec()).result().state is TrialState.COMPLETE


def test_no_slots_leave_the_choice_to_the_engine(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine(slots=0)
    assert engine.num_slots >= 1
    assert engine.submit(works.echo, make_spec()).result().state is TrialState.COMPLETE


@pytest.mark.parametrize("slots", [-1, 1.5, True, "2"])
def test_a_number_of_slots_that_is_none_is_refused(make_engine: MakeEngine, slots: object) -> None:
    with pytest.raises(ConfigError, match=r"engine\.slots="):
        make_engine(slots=slots)


@pytest.mark.parametrize("timeout_s", [0, -5.0, float("nan")])
def test_a_timeout_that_is_none_is_refused(make_engine: MakeEngine, timeout_s: float) -> None:
    with pytest.raises(ConfigError, match=r"engine\.timeout_s="):
        make_engine(timeout_s=timeout_s)


def test_work_knows_how_many_threads_it_may_use(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine()
    assert engine.submit(works.echo, make_spec()).result().facts["num_threads"] >= 1
    assert engine.submit(works.echo, make_spec(num_threads=3)).result().facts["num_threads"] == 3


def test_a_trial_on_two_devices_has_two_processes_or_is_refused(
    request: pytest.FixtureRequest, make_engine: MakeEngine, make_spec: MakeSpec
) -> None:
    if request.node.callspec.params["make_engine"] in ONE_PROCESS:
        with pytest.raises(ConfigError, match=r"trainer\.devices=2: .*engine=local"):
            make_engine(devices_per_trial=2)
        return
    spec = make_spec(3, num_ranks=2)
    result = make_engine(devices_per_trial=2).submit(works.as_rank, spec).result()
    assert (result.state, result.value, result.facts["rank"]) == (TrialState.COMPLETE, 3.0, "0"), result.message
    files = {path.name: path.read_text() for path in Path(spec.record_dir).glob("rank*")}
    assert files.keys() == {"rank0of2", "rank1of2"}
    assert len(set(files.values())) == 2


def test_a_closed_engine_takes_no_work(make_engine: MakeEngine, make_spec: MakeSpec) -> None:
    engine = make_engine()
    engine.submit(works.echo, make_spec()).result()
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.submit(works.echo, make_spec())
