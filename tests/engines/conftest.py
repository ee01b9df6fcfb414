"""Engines, specs and works to give them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idealfit.engines import FusedEngine, InlineEngine, LocalEngine, RayEngine, SlurmEngine, WorkersEngine
from idealfit.spec import Engine, TrialSpec
from joined_workers import JoinedWorker, joined_worker
from private_ray import PrivateRay
from private_slurm import PrivateSlurm

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for `engine_works`, which workers find by the working directory of their spec
import engine_works  # noqa: E402


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., TrialSpec]:
    def make(number: int = 0, **changes: Any) -> TrialSpec:
        record_dir = tmp_path / "runs" / str(number)
        record_dir.mkdir(parents=True, exist_ok=True)
        base = {"study": "s", "config": {}, "record_dir": str(record_dir), "working_dir": str(HERE)}
        return TrialSpec(number=number, **(base | changes))

    return make


@pytest.fixture
def opened() -> Iterator[Callable[[Engine], Engine]]:
    """Closes what a test opens."""
    engines: list[Engine] = []

    def keep(engine: Engine) -> Engine:
        engines.append(engine)
        return engine

    yield keep
    for engine in engines:
        engine.close()


@pytest.fixture
def local(opened: Callable[[Engine], Engine]) -> Callable[..., Engine]:
    """Makes local engines that import nothing heavy."""
    return lambda **options: opened(LocalEngine(preload=("idealfit.spec",), **({"slots": 1} | options)))


@pytest.fixture
def fused(opened: Callable[[Engine], Engine]) -> Callable[..., Engine]:
    """Makes fused engines that fuse none of the tests' works."""
    return lambda **options: opened(FusedEngine(preload=("idealfit.spec",), **({"slots": 1, "fuses": {}} | options)))


@pytest.fixture
def grouped(fused: Callable[..., Engine]) -> Callable[..., Engine]:
    """Makes fused engines for which each of the tests' works is one for groups."""
    names = [name for name, work in vars(engine_works).items() if getattr(work, "__module__", "") == "engine_works"]
    return lambda **options: fused(
        **({"fuses": {f"engine_works:{name}": "engine_works:in_threads" for name in names}} | options)
    )


@pytest.fixture
def inline(opened: Callable[[Engine], Engine]) -> Callable[..., Engine]:
    return lambda **options: opened(InlineEngine(**options))


@pytest.fixture
def slurm(slurm_cluster: PrivateSlurm, opened: Callable[[Engine], Engine], tmp_path: Path) -> Callable[..., Engine]:
    """Makes Slurm engines that import nothing heavy and look often."""
    quick = {"slots": 1, "preload": ("idealfit.spec",), "poll_s": 0.02, "state_s": 0.3, "folder": tmp_path}
    return lambda **options: opened(SlurmEngine(**(quick | options)))


@pytest.fixture(scope="session")
def joined_ray(ray_cluster: PrivateRay) -> Iterator[PrivateRay]:
    """This process belongs to the cluster, so that engines need not join it one by one."""
    import ray

    ray.init(address=ray_cluster.address, log_to_driver=False)
    yield ray_cluster
    ray.shutdown()


@pytest.fixture
def ray(joined_ray: PrivateRay, opened: Callable[[Engine], Engine], tmp_path: Path) -> Callable[..., Engine]:
    """Makes Ray engines that import nothing heavy and look often."""
    quick = {"slots": 1, "preload": ("idealfit.spec",), "poll_s": 0.02, "folder": tmp_path}
    quick["address"] = joined_ray.address
    return lambda **options: opened(RayEngine(**(quick | options)))


@pytest.fixture
def hosted(postgres_url: str, opened: Callable[[Engine], Engine], tmp_path: Path) -> Callable[..., Engine]:
    """Makes engines for workers to join, whose attempts import nothing heavy."""
    base = {"preload": ("idealfit.spec",), "folder": tmp_path / "study", "storage": postgres_url}
    return lambda **options: opened(WorkersEngine(**(base | options)))


@pytest.fixture(scope="module")
def staying_worker(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JoinedWorker]:
    """A worker with one slot that serves one session after the other."""
    log = tmp_path_factory.mktemp("worker") / "log"
    with joined_worker(postgres_url, "--slots=1", "--stay", log=log) as worker:
        yield worker


@pytest.fixture
def workers(staying_worker: JoinedWorker, hosted: Callable[..., Engine]) -> Callable[..., Engine]:
    """Makes engines that have a worker."""
    return hosted
