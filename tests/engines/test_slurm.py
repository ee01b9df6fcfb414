"""What the Slurm engine promises beyond the contract, on a real Slurm."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path

import engine_works as works
import pytest

from idealfit.engines import end_leftovers
from idealfit.engines.slurm_commands import remembered_state
from idealfit.spec import ConfigError, Engine, FailureKind, StudyError, TrialResult, TrialSpec, TrialState
from private_slurm import PrivateSlurm

MakeEngine = Callable[..., Engine]
MakeSpec = Callable[..., TrialSpec]


def the_job(folder: Path, seconds: float = works.LONG_S) -> str:
    """The id of the one job of the session in `folder`, once it runs."""
    name = f"--name=idealfit-{next((folder / 'slurm').iterdir()).name}"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = subprocess.check_output(["squeue", "-h", "-t", "RUNNING", name, "-o", "%i"], text=True).split()
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("no job runs")


def begun(future: Future[TrialResult], spec: TrialSpec) -> None:
    """Wait until `count_up` counts."""
    path = Path(spec.record_dir) / "count"
    while not path.exists():
        assert not future.done(), future.result()
        time.sleep(0.02)


def scancel(*options: str) -> None:
    subprocess.run(["scancel", *options], check=True)


def test_without_slurm_it_is_refused(monkeypatch: pytest.MonkeyPatch, slurm: MakeEngine, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no command `sbatch` here.*engine=local"):
        slurm()


def test_a_partition_that_does_not_exist_is_refused_with_the_nearest(slurm: MakeEngine) -> None:
    with pytest.raises(ConfigError, match=r"engine\.partition=mian: .*main"):
        slurm(partition="mian")


@pytest.mark.parametrize("asked", [{"gpus": 3}, {"gpus": 1, "devices_per_trial": 3}])
def test_more_devices_than_there_are_are_refused(slurm: MakeEngine, asked: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="--gpus-per-node=3"):
        slurm(**asked)


def test_a_time_limit_beyond_the_partitions_is_refused(slurm: MakeEngine) -> None:
    with pytest.raises(ConfigError, match="time limit"):
        slurm(partition="low", time_min=61)


def test_sqlite_is_refused_with_the_reason(slurm: MakeEngine) -> None:
    with pytest.raises(ConfigError, match="locks do not hold between hosts"):
        slurm(storage="sqlite:///study.db")


def test_several_jobs_are_one_array_and_each_sees_its_own_devices(slurm: MakeEngine, make_spec: MakeSpec) -> None:
    engine = slurm(slots=2, gpus=1)
    futures = [engine.submit(works.until_stopped, make_spec(number)) for number in (0, 1)]
    for number in (0, 1):
        works.wait_for(Path(make_spec(number).record_dir) / "started")
    engine.stop()
    wait(futures)
    arrays = {future.result().facts["slurm_job"].split("_")[0] for future in futures}
    assert len(arrays) == 1
    looks = [engine.submit(works.look_around, make_spec(number)) for number in (2, 3)]
    seen = {(look.result().facts["slurm_node"], look.result().facts["env"]["CUDA_VISIBLE_DEVICES"]) for look in looks}
    assert {device for _, device in seen} <= {"0", "1"}
    jobs = {look.result().facts["slurm_job"] for look in looks}
    assert len(seen) == len(jobs)


def test_without_granted_devices_none_is_visible(slurm: MakeEngine, make_spec: MakeSpec) -> None:
    assert slurm().submit(works.look_around, make_spec()).result().facts["env"]["CUDA_VISIBLE_DEVICES"] == ""


def test_a_job_takes_as_many_trials_as_told(slurm: MakeEngine, make_spec: MakeSpec) -> None:
    engine = slurm(trials_per_job=2)
    results = [future.result() for future in [engine.submit(works.echo, make_spec(number)) for number in range(3)]]
    jobs = [result.facts["slurm_job"] for result in results]
    assert jobs[0] == jobs[1] != jobs[2]
    assert Path(results[0].facts["slurm_log"]).exists()


def test_a_stop_before_slurm_was_asked_again_is_polite(slurm: MakeEngine, make_spec: MakeSpec, tmp_path: Path) -> None:
    engine = slurm(state_s=600)
    running = engine.submit(works.until_stopped, make_spec())
    works.wait_for(tmp_path / "runs/0/started")
    engine.stop()
    assert running.result(timeout=works.LONG_S).message == "stopped politely"


def test_an_announced_end_is_a_pause(slurm: MakeEngine, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(config={"until": 0, "starts": 2})
    engine = slurm()
    future = engine.submit(works.count_up, spec)
    begun(future, spec)
    scancel("--signal=USR2", the_job(tmp_path))
    result = future.result(timeout=works.LONG_S)
    assert (result.state, result.attempt) == (TrialState.COMPLETE, 0)
    assert len((Path(spec.record_dir) / "starts").read_text().split()) == 2
    assert engine.submit(works.echo, make_spec(1)).result().facts["slurm_job"] == result.facts["slurm_job"]


def test_a_node_that_is_cut_off_is_a_preemption_and_what_runs_there_ends(
    slurm_cluster: PrivateSlurm, slurm: MakeEngine, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(config={"until": 10**6})
    future = slurm().submit(works.count_up, spec)
    begun(future, spec)
    node = subprocess.check_output(["squeue", "-h", "-j", the_job(tmp_path), "-o", "%N"], text=True).strip()
    slurm_cluster.kill_node(node, cut_off=True)
    try:
        result = future.result(timeout=works.LONG_S)
        assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.PREEMPTED)
        works.assert_gone([int(pid) for pid in (Path(spec.record_dir) / "starts").read_text().split()])
    finally:
        slurm_cluster.revive_node(node)


def test_a_job_that_a_person_cancels_is_killed(slurm: MakeEngine, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(config={"until": 10**6})
    future = slurm().submit(works.count_up, spec)
    begun(future, spec)
    scancel(the_job(tmp_path))
    result = future.result(timeout=works.LONG_S)
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.KILLED)
    assert "CANCELLED" in result.message


def test_a_folder_that_is_not_shared_is_named(
    slurm_cluster: PrivateSlurm, slurm: MakeEngine, make_spec: MakeSpec
) -> None:
    if not slurm_cluster.has_lonely_node:
        pytest.skip("no mount namespace of one's own here")
    engine = slurm(partition="lonely", folder=slurm_cluster.hidden)
    result = engine.submit(works.echo, make_spec()).result(timeout=works.LONG_S)
    assert result.failure is FailureKind.INPUT
    assert f"{slurm_cluster.hidden}/slurm/" in result.message
    assert "on node lonely" in result.message
    assert "runs_dir" in result.message


def test_jobs_of_a_dead_controller_are_ended_before_a_study_goes_on(
    slurm: MakeEngine, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(config={"until": 10**6})
    future = slurm().submit(works.count_up, spec)
    begun(future, spec)
    job, said = the_job(tmp_path), []
    end_leftovers(tmp_path, grace_s=works.LONG_S, say=said.append)
    assert subprocess.check_output(["squeue", "-h", "-j", job, "-o", "%T"], text=True).split() == []
    works.assert_gone([int(pid) for pid in (Path(spec.record_dir) / "starts").read_text().split()])
    assert len(said) == 1
    end_leftovers(tmp_path, grace_s=works.LONG_S, say=said.append)
    assert len(said) == 1


def test_jobs_that_cannot_be_looked_for_stop_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slurm" / "abc" / "seats").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match="idealfit-abc"):
        end_leftovers(tmp_path, grace_s=0, say=print)


def test_without_accounting_a_forgotten_job_is_gone(slurm_cluster: PrivateSlurm) -> None:
    assert remembered_state("1").state == "GONE"
