"""What the fused engine does beside what every engine does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine_works as works
import pytest

from idealfit.engines import FusedEngine
from idealfit.engines.shapes import shape_of
from idealfit.spec import FailureKind, TrialSpec, TrialState

MakeEngine = Callable[..., FusedEngine]
MakeSpec = Callable[..., TrialSpec]


def by(group_work: str, *works: str) -> dict[str, Any]:
    """Options of an engine in which `group_work` does the works of a group."""
    # Long enough that a busy machine does not make two groups of one.
    return {"fuses": {f"engine_works:{work}": f"engine_works:{group_work}" for work in works}, "linger_s": 2.0}


@pytest.fixture
def said() -> list[str]:
    return []


def test_trials_of_one_shape_share_a_process(fused: MakeEngine, make_spec: MakeSpec) -> None:
    engine = fused(slots=3, **by("tell_size", "echo"))
    futures = [engine.submit(works.echo, make_spec(number, config={"seed": number})) for number in range(3)]
    results = [future.result(timeout=120) for future in futures]
    assert [(result.value, result.facts["size"]) for result in results] == [(0, 3), (1, 3), (2, 3)]
    assert len({result.facts["pid"] for result in results}) == 1


def test_trials_of_another_shape_do_not(fused: MakeEngine, make_spec: MakeSpec) -> None:
    engine = fused(slots=3, **by("tell_size", "echo"))
    configs = [{"model": {"depth": depth}} for depth in (1, 2, 1)]
    futures = [engine.submit(works.echo, make_spec(number, config=config)) for number, config in enumerate(configs)]
    assert [future.result(timeout=120).facts["size"] for future in futures] == [2, 1, 2]


def test_a_trial_joins_a_group_that_runs(grouped: MakeEngine, make_spec: MakeSpec) -> None:
    engine = grouped(slots=2)
    first = engine.submit(works.until_stopped, make_spec(0))
    works.wait_for(Path(make_spec(0).record_dir) / "started")
    second = engine.submit(works.until_stopped, make_spec(1))
    works.wait_for(Path(make_spec(1).record_dir) / "started")
    engine.stop()
    assert [future.result(timeout=120).state for future in (first, second)] == [TrialState.INTERRUPTED] * 2
    assert "Trained in a group" in (Path(make_spec(1).record_dir) / "attempts" / "0.log").read_text()


def test_what_cannot_be_fused_runs_alone_and_is_said_once(
    fused: MakeEngine, make_spec: MakeSpec, said: list[str]
) -> None:
    engine = fused(slots=4, say=said.append, **by("refuse_all", "echo"))
    futures = [engine.submit(works.echo, make_spec(number)) for number in range(4)]
    assert [future.result(timeout=120).value for future in futures] == [0, 1, 2, 3]
    assert engine.submit(works.echo, make_spec(4)).result(timeout=120).value == 4
    assert said == ["engine=fused cannot train the layer GRU with others: such trials run alone, as with engine=local"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_ranks": 2}, "trainer.devices"),
        ({"config": {"protocol": {"name": "seeds", "seeds": 2}}}, "protocol=seeds"),
    ],
)
def test_a_trial_of_several_processes_or_rounds_trains_in_no_group(
    fused: MakeEngine, make_spec: MakeSpec, said: list[str], changes: dict[str, Any], reason: str
) -> None:
    engine = fused(slots=1, say=said.append, **by("refuse_all", "echo"))
    assert engine.submit(works.echo, make_spec(**changes)).result(timeout=120).state is TrialState.COMPLETE
    assert said == [f"engine=fused cannot train {reason} with others: such trials run alone, as with engine=local"]


def test_trials_of_a_group_that_fails_run_alone(fused: MakeEngine, make_spec: MakeSpec, said: list[str]) -> None:
    engine = fused(slots=2, say=said.append, **by("fail_as_a_group", "echo"))
    futures = [engine.submit(works.echo, make_spec(number)) for number in range(2)]
    assert [future.result(timeout=120).value for future in futures] == [0, 1]
    assert len(said) == 1
    assert "ValueError: a bug in a group" in said[0]


def test_a_trial_whose_group_died_goes_on_alone(fused: MakeEngine, make_spec: MakeSpec) -> None:
    engine = fused(slots=2, **by("die_as_a_group", "echo"))
    specs = [make_spec(number) for number in range(2)]
    results = [future.result(timeout=120) for future in [engine.submit(works.echo, spec) for spec in specs]]
    assert [result.failure for result in results] == [FailureKind.KILLED] * 2
    again = [engine.submit(works.echo, spec.with_(attempt=1)) for spec in specs]
    assert [future.result(timeout=120).state for future in again] == [TrialState.COMPLETE] * 2


def test_where_the_memory_holds_fewer_groups_are_smaller(fused: MakeEngine, make_spec: MakeSpec) -> None:
    engine = fused(slots=3, **by("one_at_a_time", "echo"))
    assert engine.num_slots == 3
    futures = [engine.submit(works.echo, make_spec(number)) for number in range(3)]
    results = [future.result(timeout=120) for future in futures]
    assert [(result.value, result.facts["size"]) for result in results] == [(0, 1), (1, 1), (2, 1)]
    assert engine.num_slots == 1


def test_the_timeout_of_one_trial_leaves_the_others_alone(grouped: MakeEngine, make_spec: MakeSpec) -> None:
    engine = grouped(slots=2)
    late = engine.submit(works.until_stopped, make_spec(0), timeout_s=0.3)
    other = engine.submit(works.until_stopped, make_spec(1))
    assert late.result(timeout=120).failure is FailureKind.TIMEOUT
    assert not other.done()
    engine.stop()
    assert other.result(timeout=120).state is TrialState.INTERRUPTED


def test_a_killed_group_leaves_no_process(grouped: MakeEngine, make_spec: MakeSpec) -> None:
    engine = grouped(slots=2)
    specs = [make_spec(number, config={"wait": True, "seed": number}) for number in range(2)]
    futures = [engine.submit(works.with_helper, spec) for spec in specs]
    pids = [pid for spec in specs for pid in works.pids_of(spec)]
    engine.kill()
    assert [future.result(timeout=120).state for future in futures] == [TrialState.INTERRUPTED] * 2
    engine.close()
    works.assert_gone(pids)


@pytest.mark.parametrize(
    ("key", "value", "is_same"),
    [
        ("optimizer.lr", 0.5, True),
        ("optimizer.betas", [0.5, 0.9], True),
        ("optimizer.momentum", 0.5, True),
        ("optimizer.momentum", 0.0, False),
        ("optimizer.nesterov", True, False),
        ("model.dropout", 0.5, True),
        ("model.dropout", 0.0, False),
        ("model.depth", 3, False),
        ("loss.label_smoothing", 0.0, True),
        ("loss._target_", "torch.nn.MSELoss", False),
        ("data.split_seed", 5, True),
        ("data.batch_size", 5, False),
        ("augment.flip_p", 0.5, True),
        ("trainer.max_epochs", 5, False),
    ],
)
def test_what_trials_of_one_shape_may_differ_in(make_spec: MakeSpec, key: str, value: object, is_same: bool) -> None:
    def config() -> dict[str, Any]:
        return {
            "seed": 0,
            "data": {"batch_size": 64, "split_seed": 0},
            "model": {"depth": 2, "dropout": 0.2},
            "optimizer": {"lr": 0.1, "betas": [0.9, 0.99], "momentum": 0.9, "nesterov": False},
            "loss": {"_target_": "torch.nn.CrossEntropyLoss", "label_smoothing": 0.1},
            "augment": None,
            "trainer": {"max_epochs": 3},
        }

    other = config()
    group, name = key.split(".")
    other[group] = (other[group] or {}) | {name: value}
    assert (shape_of(make_spec(config=config())) == shape_of(make_spec(config=other))) is is_same
