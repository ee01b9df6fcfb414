"""Short forms of the fault scripts; `make faults` runs them in full."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.faults import kills, outage


@pytest.mark.timeout(600)
def test_killed_workers_and_controllers_lose_nothing(tmp_path: Path) -> None:
    plan = kills.KillPlan(directory=tmp_path, num_trials=40, num_kills=5, controller_share=0.4, seed=2)
    report = kills.run(plan)
    assert report.workers_killed + report.controllers_killed == plan.num_kills
    assert not report.wrong


@pytest.mark.timeout(600)
def test_killed_groups_lose_no_trial(tmp_path: Path) -> None:
    overrides = ["engine=fused", "engine.slots=8", "model.depth=1", "study.pruner=none"]
    plan = kills.KillPlan(
        directory=tmp_path, num_trials=24, num_kills=3, controller_share=0.3, seed=4, overrides=overrides
    )
    report = kills.run(plan)
    assert report.workers_killed + report.controllers_killed == plan.num_kills
    assert not report.wrong


@pytest.mark.timeout(600)
def test_a_tracking_server_that_dies_ends_up_with_what_the_records_hold(tmp_path: Path) -> None:
    report = outage.run(tmp_path, num_outages=2, num_trials=6)
    assert report.num_outages == 2
    assert not report.wrong
