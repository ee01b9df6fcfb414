"""The same sweep, unchanged, on every engine that runs elsewhere."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import idealfit
from idealfit.engines.hardware import usable_cores
from joined_workers import joined_worker, wait_until
from private_ray import PrivateRay

Leaderboard = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def leaderboard(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Leaderboard]:
    """Runs the shipped sweep, shortened, with what else is said."""

    def run(*overrides: str) -> Leaderboard:
        folder = tmp_path_factory.mktemp("study")
        study = idealfit.sweep(
            *("lr_dropout_depth", "study.budget.trials=3", "trainer.max_epochs=4", "study.deterministic=true"),
            *("tracking=none", "data.cache_dir=" + str(folder / "cache"), f"runs_dir={folder}", *overrides),
            quiet=True,
        )
        return [(row.number, row.state, row.value, row.num_epochs, row.params) for row in study.rows]

    return run


@pytest.fixture(scope="module")
def local(leaderboard: Callable[..., Leaderboard]) -> Leaderboard:
    return leaderboard("engine=local")


def test_on_ray(ray_cluster: PrivateRay, local: Leaderboard, leaderboard: Callable[..., Leaderboard]) -> None:
    assert len(local) == 3
    assert leaderboard("engine=ray", f"engine.address={ray_cluster.address}", f"engine.cpus={usable_cores()}") == local


@pytest.mark.usefixtures("slurm_cluster")
def test_on_slurm(local: Leaderboard, leaderboard: Callable[..., Leaderboard]) -> None:
    assert leaderboard("engine=slurm", f"engine.cpus={usable_cores()}") == local


def test_on_two_devices(leaderboard: Callable[..., Leaderboard]) -> None:
    """Where no rank draws random numbers, and what sums in another order round differently decides nothing."""
    one, two = (
        leaderboard(f"trainer={trainer}", "trainer.accelerator=cpu", "trainer.precision=64-true", "model.dropout=0")
        for trainer in ("default", "ddp")
    )
    assert two == one


def test_on_workers_of_which_one_is_killed(
    postgres_url: str, local: Leaderboard, leaderboard: Callable[..., Leaderboard], tmp_path: Path
) -> None:
    name = f"workers-{uuid.uuid4()}"
    options = (f"{postgres_url}#{name}", "--slots=1", "--stay")
    runs = tmp_path / "runs" / name

    with joined_worker(*options, log=tmp_path / "first.log") as first, ExitStack() as stack:

        def replace_worker() -> None:
            wait_until(lambda: (runs / "1" / "metrics.jsonl").exists(), lambda: first.said)
            first.end(signal.SIGKILL)
            stack.enter_context(joined_worker(*options, log=tmp_path / "second.log"))

        replacing = threading.Thread(target=replace_worker)
        replacing.start()
        where = (f"study.storage={postgres_url}", f"study.name={name}", f"runs_dir={runs.parent}")
        assert leaderboard("engine=workers", "engine.lease_s=5", *where) == local
        replacing.join()
    attempts = sorted(path.name for path in (runs / "1" / "attempts").glob("*.log"))
    assert attempts == ["0.log", "1.log"]
