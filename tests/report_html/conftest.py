"""A finished study of 40 trials, and others, made by hand once for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `studies`

from studies import ACCURACY, QUESTION, SPACE, Plan, sample, write_study

from idealfit.report.html import StudyData, read_study
from idealfit.spec import Objective


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """These records need not survive a power cut."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda file: None)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def finished_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of a finished study of 40 trials."""
    return write_study(tmp_path_factory.mktemp("runs") / "finished", [sample(number) for number in range(40)])


@pytest.fixture(scope="session")
def finished(finished_dir: Path) -> StudyData:
    """The study of 40 trials, read."""
    return read_study(finished_dir, question=QUESTION, space=SPACE)


@pytest.fixture
def study_of(tmp_path: Path) -> Callable[..., StudyData]:
    """Write the given trials and read them back as a study of `SPACE`."""

    def make(*plans: Plan, objective: Objective = ACCURACY) -> StudyData:
        study_dir = tmp_path / f"made{len(list(tmp_path.iterdir()))}"
        return read_study(write_study(study_dir, list(plans), objective=objective), question=QUESTION, space=SPACE)

    return make
