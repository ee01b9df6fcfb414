"""Fixtures that every part's tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks is no installed package
sys.path.insert(0, str(Path(__file__).parent))
from private_postgres import NoPostgresError, some_postgres
from private_ray import NoRayError, PrivateRay, private_ray
from private_slurm import NoSlurmError, PrivateSlurm, private_slurm

REPOSITORY = Path(__file__).parents[1]
SERVERS = {
    "slurm",
    "slurm_cluster",
    "ray",
    "ray_cluster",
    "postgres_url",
    "workers",
    "server",
}  # parameters and fixtures


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real clusters, servers and browsers get a second try: these wait on clocks that are not ours.

    A first failure shows as `R` and is counted in the last line.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        uses = {*getattr(item, "fixturenames", ()), *(map(str, callspec.params.values()) if callspec else ())}
        if uses & SERVERS or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real MNIST and Quick, Draw! files."""
    for candidate in (os.environ.get("IDEALFIT_DATA"), REPOSITORY.parent / "shared" / "data"):
        if candidate and (Path(candidate) / "mnist").is_dir():
            return Path(candidate).resolve()
    pytest.skip("no real data at hand: set IDEALFIT_DATA to a folder with mnist/ and quickdraw/")


@pytest.fixture
def in_tmp_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, as a user outside a checkout does."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL: the one that IDEALFIT_POSTGRES_URL names, or else one of our own, started once."""
    try:
        with some_postgres() as url:
            yield url
    except NoPostgresError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[PrivateSlurm]:
    """A real Slurm with two nodes, started once."""
    pytest.importorskip("submitit", reason="no submitit here: pip install 'idealfit[slurm]'")
    try:
        with private_slurm() as cluster:
            yield cluster
    except NoSlurmError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[PrivateRay]:
    """A real Ray with two nodes beside the controller's, and one that shares no folder with it, started once."""
    try:
        with private_ray("n1", "n2", is_apart=True) as cluster:
            yield cluster
    except NoRayError as error:
        pytest.skip(str(error))
