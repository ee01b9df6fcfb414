"""Checks before training: numbered, made again where a process was killed, refused by name, and nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealfit.engines import InlineEngine
from idealfit.spec import (
    FailureKind,
    Objective,
    StopSignal,
    StudyError,
    TrialResult,
    TrialSpec,
    TrialState,
)
from idealfit.study.preflight import Preflight, raise_first_failure


def check(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Killed once where the width is 2; wrong input where it is 3."""
    width = spec.params["model.width"]
    if width == 3:
        return TrialResult(state=TrialState.FAILED, failure=FailureKind.INPUT, message="too wide")
    if width == 2 and spec.attempt == 0:
        return TrialResult(state=TrialState.FAILED, failure=FailureKind.KILLED)
    return TrialResult(state=TrialState.COMPLETE, facts={"number": spec.number, "num_ranks": spec.num_ranks})


def specs(*widths: int) -> list[TrialSpec]:
    return [
        TrialSpec(
            study="s",
            number=7,
            config={},
            record_dir="",
            seed=0,
            objective=Objective(),
            params={"model.width": each},
            num_ranks=2,
        )
        for each in widths
    ]


def test_each_is_checked_alone_and_again_where_it_was_killed(tmp_path: Path) -> None:
    preflight = Preflight(specs(1, 2), InlineEngine(), check, folder=tmp_path, max_restarts=1)
    results = preflight.results(lambda: False)
    assert results is not None
    assert [result.facts for result in results] == [{"number": 0, "num_ranks": 1}, {"number": 1, "num_ranks": 1}]
    assert not list(tmp_path.iterdir())


def test_one_that_stays_killed_or_is_wrong_is_named(tmp_path: Path) -> None:
    for widths, said in (((1, 2), "can't start .*model.width=2.*killed"), ((3,), "too wide .*model.width=3")):
        asked = specs(*widths)
        results = Preflight(asked, InlineEngine(), check, folder=tmp_path, max_restarts=0).results(lambda: False)
        assert results is not None
        with pytest.raises(StudyError, match=said):
            raise_first_failure(asked, results)
