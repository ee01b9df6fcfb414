"""A trial on two ranks: the same training as on one, and one fate for all of its processes."""

from __future__ import annotations

import copy
import hashlib
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))
from engine_works import LONG_S, assert_gone, wait_for

from idealfit.engines import LocalEngine
from idealfit.record import Record
from idealfit.spec import JSON, FailureKind, TrialResult, TrialSpec, TrialState
from idealfit.trial import run_trial

HERE = Path(__file__).parent
TIMES = ("epoch_seconds", "samples_per_second")
TOLERANCE = 1e-5  # float32 sums in another order, over some dozens of steps


class Start(Protocol):
    """Starts a trial."""

    def __call__(self, config: JSON, name: str, *, num_ranks: int = 2, **fields: Any) -> Future[TrialResult]: ...


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    made = LocalEngine(slots=1, devices_per_trial=2)
    yield made
    made.close()


@pytest.fixture
def start(engine: LocalEngine, tmp_path: Path) -> Start:
    def submit(config: JSON, name: str, *, num_ranks: int = 2, **fields: Any) -> Future[TrialResult]:
        config = copy.deepcopy(config)
        config["trainer"]["devices"] = num_ranks
        given = {"working_dir": str(HERE), "trusted_packages": ["rank_nets"], "num_threads": 1}
        spec = TrialSpec(
            study="s", number=0, config=config, record_dir=str(tmp_path / name), num_ranks=num_ranks, **given | fields
        )
        return engine.submit(run_trial, spec)

    return submit


@pytest.fixture
def curves(start: Start, tmp_path: Path) -> Any:
    def of(config: JSON, name: str, **fields: Any) -> dict[str, list[float]]:
        result = start(config, name, **fields).result(timeout=LONG_S)
        assert result.state is TrialState.COMPLETE, result.message
        return {key: curve for key, curve in Record(tmp_path / name).curves().items() if key not in TIMES}

    return of


def bits(path: Path) -> tuple[Any, ...]:
    """Weights, best weights and curves of a record."""
    digests = []
    for name in ("last.ckpt", "best.pt"):
        state = torch.load(path / "checkpoints" / name, weights_only=True)
        tensors = state.get("state_dict", state).values()
        digests.append(hashlib.sha256(b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)).digest())
    return *digests, {key: curve for key, curve in Record(path).curves().items() if key not in TIMES}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_two_ranks_train_as_one_does(config: Any, curves: Any, reduction: str) -> None:
    config["model"]["dropout"] = 0.0  # each rank draws its own
    config["data"] |= {"batch_size": 63, "limit": 460}  # neither batches nor the last of them go round: 7 x 63, 19
    config["loss"]["reduction"] = reduction
    config["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 0.05 if reduction == "mean" else 0.001, "momentum": 0.9}
    config["trainer"] |= {"gradient_clip_val": 5.0, "accumulate_grad_batches": 2}
    alone, together = (curves(config, f"on{count}", num_ranks=count) for count in (1, 2))
    assert together.keys() == alone.keys()
    for name, curve in alone.items():
        assert together[name] == pytest.approx(curve, rel=TOLERANCE), name


def test_two_ranks_train_every_round(config: Any, curves: Any, tmp_path: Path) -> None:
    config["model"]["dropout"] = 0.0
    config["protocol"] = {"name": "kfold", "folds": 3}
    alone, together = (curves(config, f"on{count}", num_ranks=count) for count in (1, 2))
    result = Record(tmp_path / "on2").read_result()
    assert result
    assert len(result.scores) == 3
    for name, curve in alone.items():
        assert together[name] == pytest.approx(curve, rel=TOLERANCE), name


def test_a_stopped_trial_goes_on_with_the_same_bits(
    config: Any, start: Start, engine: LocalEngine, tmp_path: Path
) -> None:
    config["augment"] = {"_target_": "idealfit.data.Augment", "rotate_degrees": 10.0}
    config["model"]["batch_norm"] = True
    config["trainer"] |= {"max_epochs": 40, "checkpoint_every_s": 0.0}
    assert start(config, "whole").result(timeout=LONG_S).state is TrialState.COMPLETE
    first = start(config, "parts")
    wait_for(tmp_path / "parts" / "checkpoints" / "last.ckpt")
    engine.stop()
    assert first.result(timeout=LONG_S).state is TrialState.INTERRUPTED
    assert 0 < first.result().num_epochs < 40
    assert start(config, "parts", attempt=1).result(timeout=LONG_S).state is TrialState.COMPLETE
    assert bits(tmp_path / "parts") == bits(tmp_path / "whole")


def test_both_ranks_stop_where_rank_0_prunes(config: Any, start: Start, tmp_path: Path) -> None:
    result = start(config, "pruned", stop_after=2).result(timeout=LONG_S)
    assert (result.state, result.num_epochs) == (TrialState.PRUNED, 2)
    rows = (tmp_path / "pruned" / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 2  # rank 0 alone records


def misbehaving(config: Any, tmp_path: Path, **how: Any) -> Any:
    config["model"] = {"_target_": "rank_nets.Linear", "folder": str(tmp_path), **how}
    return config


def pids(tmp_path: Path) -> list[int]:
    return [int(wait_for(tmp_path / f"rank{rank}.pid").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_takes_its_trial_down(config: Any, start: Start, tmp_path: Path, rank: int) -> None:
    config["trainer"]["rank_timeout_s"] = 3600.0  # it is not this that ends the other rank
    result = start(misbehaving(config, tmp_path, rank=rank, after=12, what="kill"), "killed").result(timeout=LONG_S)
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.KILLED)
    assert "SIGKILL" in result.message
    assert_gone(pids(tmp_path))


def test_the_failure_is_that_of_the_rank_that_failed(config: Any, start: Start, tmp_path: Path) -> None:
    result = start(misbehaving(config, tmp_path, rank=1, after=5, what="raise"), "raised").result(timeout=LONG_S)
    assert (result.failure, result.message) == (FailureKind.OOM, "MemoryError: on rank 1")
    assert_gone(pids(tmp_path))


def test_a_loss_that_is_not_finite_on_one_rank_ends_all(config: Any, start: Start, tmp_path: Path) -> None:
    result = start(misbehaving(config, tmp_path, rank=1, after=3, what="nan"), "nan").result(timeout=LONG_S)
    assert result.failure is FailureKind.NAN
    assert Record(tmp_path / "nan").read_result() == result


def test_a_hung_rank_is_not_waited_for_longer_than_the_config_says(config: Any, start: Start, tmp_path: Path) -> None:
    config["trainer"]["rank_timeout_s"] = 6.0
    result = start(misbehaving(config, tmp_path, rank=0, after=5, what="hang"), "hung").result(timeout=LONG_S)
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.TIMEOUT), result.message
    assert "longer than 6 s (trainer.rank_timeout_s)" in result.message
    assert "in _misbehave" in Record(tmp_path / "hung").log_path(0).read_text()
    assert_gone(pids(tmp_path))


def test_a_trial_of_two_ranks_ends_at_the_engine_s_timeout(config: Any, engine: LocalEngine, tmp_path: Path) -> None:
    config = misbehaving(config, tmp_path, rank=1, after=5, what="hang")
    config["trainer"]["devices"] = 2
    spec = TrialSpec(
        study="s",
        number=0,
        config=config,
        record_dir=str(tmp_path / "late"),
        num_ranks=2,
        working_dir=str(HERE),
        trusted_packages=["rank_nets"],
    )
    result = engine.submit(run_trial, spec, timeout_s=8.0).result(timeout=LONG_S)
    assert result.failure is FailureKind.TIMEOUT
    _, of_rank_0, of_rank_1 = re.split(r"^Rank \d:$", Record(spec.record_dir).log_path(0).read_text(), flags=re.M)
    assert "most recent call first" in of_rank_0  # it waits for the other
    assert "in _misbehave" in of_rank_1
    assert "in _misbehave" not in of_rank_0
    assert_gone(pids(tmp_path))
