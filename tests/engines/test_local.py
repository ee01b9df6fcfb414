"""What only processes can promise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path

import engine_works as works
import pytest

from idealfit.engines import LocalEngine
from idealfit.spec import FailureKind, TrialSpec, TrialState, attempt_log_path

HERE = Path(__file__).parent
MakeEngine = Callable[..., LocalEngine]
MakeSpec = Callable[..., TrialSpec]


def test_each_attempt_gets_a_fresh_process(local: MakeEngine, make_spec: MakeSpec) -> None:
    engine = local()
    results = [engine.submit(works.is_fresh, make_spec(number)).result() for number in range(3)]
    assert all(result.facts["fresh"] for result in results)


def test_slots_run_side_by_side(local: MakeEngine, make_spec: MakeSpec, tmp_path: Path) -> None:
    engine = local(slots=3)
    specs = [make_spec(number, config={"folder": str(tmp_path), "num": 3}) for number in range(3)]
    results = [future.result(timeout=works.LONG_S) for future in [engine.submit(works.meet, spec) for spec in specs]]
    assert {result.state for result in results} == {TrialState.COMPLETE}


def test_a_killed_worker_costs_its_own_trial_only(local: MakeEngine, make_spec: MakeSpec) -> None:
    engine = local(slots=2)
    spec = make_spec(0, config={"signal": "SIGKILL"}, attempt=1)
    bad, good = engine.submit(works.die_by_signal, spec), engine.submit(works.echo, make_spec(1))
    result = bad.result()
    assert (result.state, result.failure, result.attempt) == (TrialState.FAILED, FailureKind.KILLED, 1)
    assert "SIGKILL" in result.message
    assert "last words" in result.message
    assert str(attempt_log_path(spec.record_dir, 1)) in result.message
    assert good.result().state is TrialState.COMPLETE


def test_a_process_that_leaves_without_a_result_is_killed_too(local: MakeEngine, make_spec: MakeSpec) -> None:
    result = local().submit(works.quit_at_once, make_spec()).result()
    assert result.failure is FailureKind.KILLED
    assert "exit code 3" in result.message
    assert "last words" in result.message


def test_a_crash_in_native_code_leaves_a_python_traceback(local: MakeEngine, make_spec: MakeSpec) -> None:
    result = local().submit(works.touch_null, make_spec()).result()
    assert "SIGSEGV" in result.message
    assert "in touch_null" in result.message


def test_a_hung_attempt_is_killed_and_says_where_it_hung(local: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec()
    result = local(timeout_s=3).submit(works.deaf, spec).result(timeout=works.LONG_S)
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.TIMEOUT)
    assert "in deaf" in result.message
    works.assert_gone(works.pids_of(spec)[:1])


def test_a_stopped_attempt_that_does_not_hear_is_killed_after_a_grace(local: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec()
    engine = local(stop_grace_s=0.2)
    future = engine.submit(works.deaf, spec)
    worker = works.pids_of(spec)[0]
    engine.stop()
    assert future.result(timeout=works.LONG_S).state is TrialState.INTERRUPTED
    works.assert_gone([worker])


def test_kill_ends_the_worker_and_what_it_started(local: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec(config={"wait": True})
    engine = local()
    future = engine.submit(works.with_helper, spec)
    worker, _, helper = works.pids_of(spec)
    engine.kill()
    assert future.result(timeout=works.LONG_S).state is TrialState.INTERRUPTED
    works.assert_gone([worker, helper])


def test_what_a_worker_leaves_behind_ends_with_it(local: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec()
    assert local().submit(works.with_helper, spec).result().state is TrialState.COMPLETE
    works.assert_gone([works.pids_of(spec)[2]])


def test_close_leaves_no_process(local: MakeEngine, make_spec: MakeSpec) -> None:
    specs = [make_spec(number) for number in range(2)]
    engine = local(slots=2)
    futures = [engine.submit(works.deaf, spec) for spec in specs]
    pids = [pid for spec in specs for pid in works.pids_of(spec)]
    engine.close()
    assert not any(works.is_alive(pid) for pid in pids)
    assert {future.result().state for future in futures} == {TrialState.INTERRUPTED}


def test_close_does_not_wait_for_the_imports(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_import.py").write_text("import time; time.sleep(600)")
    monkeypatch.syspath_prepend(tmp_path)
    engine = LocalEngine(slots=1, preload=["slow_import"])
    future = engine.submit(works.echo, make_spec())
    engine.close()
    assert future.cancelled() or future.result().state is TrialState.INTERRUPTED


def test_a_broken_preload_is_told_by_the_trial_that_needs_it(local: MakeEngine, make_spec: MakeSpec) -> None:
    engine = LocalEngine(slots=1, preload=["no_such_module"])
    assert engine.submit(works.echo, make_spec()).result().state is TrialState.COMPLETE
    engine.close()


def test_when_the_server_dies_attempts_fail_and_no_worker_stays(local: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec()
    engine = local()
    running = engine.submit(works.until_stopped, spec)
    works.wait_for(Path(spec.record_dir) / "started")
    helper = engine.submit(works.echo, make_spec(1))
    os.kill(engine._server._process.pid, signal.SIGKILL)
    for future in (running, helper):
        result = future.result(timeout=works.LONG_S)
        assert result.failure is FailureKind.KILLED
        assert "server of workers" in result.message


CONTROLLER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
sys.path.insert(0, {here!r})
import engine_works as works
from idealfit.engines import LocalEngine
from idealfit.spec import TrialSpec
engine = LocalEngine(slots=2, preload=())
for number, work in enumerate([works.deaf, works.with_helper]):
    place = {{"record_dir": {folder!r} + f"/{{number}}", "working_dir": {here!r}}}
    engine.submit(work, TrialSpec(study="s", number=number, config={{"wait": True}}, **place))
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_its_controller(tmp_path: Path, how: signal.Signals, make_spec: MakeSpec) -> None:
    code = CONTROLLER.format(here=str(HERE), folder=str(tmp_path / "runs"))
    specs = [make_spec(number) for number in (0, 1)]
    controller = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    pids = [pid for spec in specs for pid in works.pids_of(spec)]
    assert len(set(pids)) == 4  # two workers, their server, a helper
    controller.send_signal(how)
    controller.wait()
    works.assert_gone(pids)


SCRIPT = """
import sys
from idealfit.engines import LocalEngine
from idealfit.spec import TrialSpec
print("script runs")
sys.path.insert(0, {here!r})
import engine_works
engine = LocalEngine(slots=1, preload=())
spec = TrialSpec(study="s", number=0, config={{}}, record_dir={folder!r}, working_dir={here!r})
facts = engine.submit(engine_works.look_around, spec).result().facts
print("main is", facts["main_file"])
engine.close()
"""


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "my script.py"
    script.write_text(SCRIPT.format(here=str(HERE), folder=str(tmp_path / "record")))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "script runs\nmain is None\n"
    assert done.stderr == ""


def test_work_that_a_worker_cannot_import_is_refused(local: MakeEngine, make_spec: MakeSpec) -> None:
    with pytest.raises(TypeError, match="top level of a module"):
        local().submit(lambda spec, stop: works.echo(spec, stop), make_spec())


def test_specs_and_results_may_be_large(local: MakeEngine, make_spec: MakeSpec) -> None:
    config = {"class_names": [f"class {number}" for number in range(100_000)]}
    assert local().submit(works.echo, make_spec(config=config)).result().facts["config"] == config


def test_many_attempts_leak_nothing(local: MakeEngine, make_spec: MakeSpec) -> None:
    engine = local(slots=2)
    wait([engine.submit(works.echo, make_spec()) for _ in range(2)])
    before = works.num_open_files()
    results = [future.result() for future in [engine.submit(works.look_around, make_spec()) for _ in range(100)]]
    assert works.num_open_files() == before
    assert len({result.facts["num_fds"] for result in results}) == 1
    assert not [pid for pid in (result.facts["pid"] for result in results) if works.is_alive(pid)]


def test_workers_know_of_no_other_worker_s_files(local: MakeEngine, make_spec: MakeSpec) -> None:
    engine = local(slots=2)
    alone = engine.submit(works.look_around, make_spec(0)).result().facts["num_fds"]
    running = engine.submit(works.until_stopped, make_spec(1))
    works.wait_for(Path(make_spec(1).record_dir) / "started")
    assert engine.submit(works.look_around, make_spec(2)).result().facts["num_fds"] == alone
    engine.stop()
    running.result()


def test_ctrl_c_reaches_the_controller_only(local: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec()
    engine = local()
    future = engine.submit(works.with_helper, make_spec(config={"wait": True}))
    worker, server, _ = works.pids_of(spec)
    os.kill(worker, signal.SIGINT)
    assert os.getsid(server) != os.getsid(0)
    time.sleep(0.1)
    assert not future.done()


def test_threads_are_set_before_libraries_are_loaded(
    local: MakeEngine, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    engine = local(slots=1)
    env = engine.submit(works.look_around, make_spec()).result().facts["env"]
    assert (env["OMP_NUM_THREADS"], env["OMP_WAIT_POLICY"]) == (str(engine.num_threads), "passive")


def test_devices_are_dealt_before_cuda_starts(
    local: MakeEngine, make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    engine = local(slots=0)
    assert engine.num_slots == 2
    specs = [make_spec(number, config={"folder": str(tmp_path)}) for number in range(2)]
    busy = [engine.submit(works.until_stopped, spec) for spec in specs]
    for spec in specs:
        works.wait_for(Path(spec.record_dir) / "started")
    engine.stop()
    wait(busy)
    results = [engine.submit(works.look_around, spec).result() for spec in specs]
    assert {result.facts["env"]["CUDA_VISIBLE_DEVICES"] for result in results} <= {"4", "GPU-7"}
    facts = engine.submit(works.look_around, make_spec(3, device_indices=[0, 1])).result().facts
    assert facts["env"]["CUDA_VISIBLE_DEVICES"] == "4,GPU-7"


def test_the_default_preload_is_safe_to_fork(make_spec: MakeSpec, opened: Callable[[LocalEngine], LocalEngine]) -> None:
    facts = opened(LocalEngine(slots=1)).submit(works.look_around, make_spec()).result().facts
    assert {"torch", "lightning.pytorch", "optuna", "idealfit.trial", "idealfit.train"} <= set(facts["modules"])
    assert "mlflow" not in facts["modules"]
    assert facts["num_threads"] == 2  # the work, and the one that listens to the controller
    assert not facts["cuda_started"]
