"""What the Ray engine promises beyond the contract, on a real Ray of several nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import engine_works as works
import pytest

from idealfit.spec import ConfigError, Engine, FailureKind, TrialSpec, TrialState
from private_postgres import free_port
from private_ray import PrivateRay

MakeEngine = Callable[..., Engine]
MakeSpec = Callable[..., TrialSpec]


def starts_of(spec: TrialSpec) -> list[int]:
    """The processes in which `count_up` began."""
    return [int(pid) for pid in works.wait_for(Path(spec.record_dir) / "starts", 60).read_text().split()]


def counted(spec: TrialSpec) -> int:
    return int(works.wait_for(Path(spec.record_dir) / "count").read_text())


@pytest.mark.parametrize(("address", "words"), [("127.0.0.1:{port}", "nobody answers"), ("head", "expected HOST:PORT")])
def test_an_address_where_nobody_answers_is_refused(ray: MakeEngine, address: str, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"engine\.address=.*{words}"):
        ray(address=address.format(port=free_port()))


def test_another_version_of_ray_is_refused(ray_cluster: PrivateRay, tmp_path: Path) -> None:
    program = "import ray, sys; ray.__version__ = '2.1.0'; from idealfit.cli import main; sys.exit(main())"
    sweep = ["sweep", "lr_dropout_depth", "engine=ray", f"engine.address={ray_cluster.address}"]
    done = subprocess.run([sys.executable, "-c", program, *sweep], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Version mismatch" in done.stderr
    assert "2.1.0" in done.stderr


@pytest.mark.parametrize(("asked", "cpus"), [({"gpus": 3}, 1), ({"gpus": 1, "devices_per_trial": 3}, 3)])
def test_more_devices_than_any_machine_has_are_refused(ray: MakeEngine, asked: dict[str, int], cpus: int) -> None:
    with pytest.raises(ConfigError, match=rf"no machine of the cluster has CPU {cpus}, GPU 3 .*GPU 2"):
        ray(**asked)


def test_sqlite_on_several_hosts_is_refused_with_the_reason(ray: MakeEngine) -> None:
    with pytest.raises(ConfigError, match="locks do not hold between hosts"):
        ray(storage="sqlite:///study.db")


def test_each_sees_its_own_devices(ray: MakeEngine, make_spec: MakeSpec) -> None:
    engine = ray(slots=2, gpus=1, resources={"n1": 1})
    specs = [make_spec(number) for number in (0, 1)]
    running = [engine.submit(works.until_stopped, spec) for spec in specs]
    for spec in specs:  # both actors are there
        works.wait_for(Path(spec.record_dir) / "started")
    engine.stop()
    assert [future.result().state for future in running] == [TrialState.INTERRUPTED] * 2
    folders = [make_spec(number, config={"seconds": 1}) for number in (2, 3)]
    looks = [engine.submit(works.look_around_slowly, spec) for spec in folders]
    assert {look.result().facts["env"]["CUDA_VISIBLE_DEVICES"] for look in looks} == {"0", "1"}


def test_a_trial_on_two_devices_sees_both(ray: MakeEngine, make_spec: MakeSpec) -> None:
    look = ray(gpus=1, devices_per_trial=2).submit(works.look_around, make_spec()).result()
    assert sorted(look.facts["env"]["CUDA_VISIBLE_DEVICES"].split(",")) == ["0", "1"]


def test_without_granted_devices_none_is_visible(ray: MakeEngine, make_spec: MakeSpec) -> None:
    assert ray().submit(works.look_around, make_spec()).result().facts["env"]["CUDA_VISIBLE_DEVICES"] == ""


def test_a_lost_node_is_a_preemption(joined_ray: PrivateRay, ray: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec(config={"until": 10**6})
    future = ray(resources={"n2": 1}).submit(works.count_up, spec)
    pids = starts_of(spec)
    joined_ray.kill_node("n2")
    try:
        result = future.result(timeout=works.LONG_S)
        assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.PREEMPTED), result.message
        works.assert_gone(pids)
    finally:
        joined_ray.start_node("n2")


def test_a_killed_actor_is_a_killed_attempt(ray: MakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec()
    engine = ray()
    future = engine.submit(works.deaf, spec)
    worker, server = works.pids_of(spec)
    actor = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(actor, signal.SIGKILL)
    result = future.result(timeout=works.LONG_S)
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.KILLED), result.message
    works.assert_gone([worker, server])
    assert engine.submit(works.echo, make_spec(1)).result(timeout=works.LONG_S).state is TrialState.COMPLETE


def test_records_come_back_from_a_machine_that_shares_no_folder_and_go_on_there(
    joined_ray: PrivateRay, ray: MakeEngine, make_spec: MakeSpec
) -> None:
    spec = make_spec(record_dir=str(joined_ray.hidden / "0"), config={"until": 10**6})
    engine = ray(folder=joined_ray.hidden, resources={"apart": 1})
    future = engine.submit(works.count_up, spec)
    first = counted(spec)
    deadline = time.monotonic() + works.LONG_S
    while counted(spec) == first:
        assert time.monotonic() < deadline, "the record does not grow while the attempt runs"
    engine.stop()
    assert future.result(timeout=works.LONG_S).num_epochs == counted(spec)
    again = spec.with_(attempt=1, config={"until": counted(spec) + 3})
    result = engine.submit(works.count_up, again).result(timeout=works.LONG_S)
    assert result.facts["count"] == again.config["until"] == counted(spec)
    assert len(starts_of(spec)) == 2


def test_a_journal_out_of_reach_is_refused_with_ways_out(
    joined_ray: PrivateRay, ray: MakeEngine, make_spec: MakeSpec
) -> None:
    engine = ray(folder=joined_ray.hidden, resources={"apart": 1})
    spec = make_spec(
        record_dir=str(joined_ray.hidden / "1"), storage=str(joined_ray.hidden / "journal"), pruner={"name": "asha"}
    )
    result = engine.submit(works.echo, spec).result(timeout=works.LONG_S)
    assert result.failure is FailureKind.INPUT
    assert "study.pruner=none" in result.message
    assert engine.submit(works.echo, spec.with_(pruner={"name": "none"})).result().state is TrialState.COMPLETE
