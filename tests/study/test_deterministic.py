"""A deterministic study is the same trials each time, whether it ran through or was stopped and went on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from idealfit.record import iter_records
from idealfit.study.running import make_engine

sys.path.insert(0, str(Path(__file__).parent))
import toys
from test_loop import drive

CONTINUOUS = ("optimizer.lr=tag(log,interval(0.001,0.1))", "model.depth=2", "model.dropout=interval(0,0.5)")
FINITE = ("optimizer.lr=0.001,0.01,0.1", "model.depth=1,2,3", "model.dropout=0")
SAMPLERS = ("tpe", "random", "qmc", "grid", "gp", "cmaes")
NUM_TRIALS = 7


def trials(sampler: str, *sessions: int, seed: int = 0) -> list[str]:
    """The parameters of all trials after sessions with these budgets, in a fresh folder."""
    where = Path("-".join(map(str, (sampler, *sessions, seed))))
    options = ["+study.sampler_options.n_startup_trials=3"] if sampler in ("tpe", "gp", "cmaes") else []
    for budget in sessions:
        driven = drive(
            toys.score,
            f"study.sampler={sampler}",
            *options,
            f"study.seed={seed}",
            "study.deterministic=true",
            "study.pruner=none",
            f"study.budget.trials={budget}",
            f"runs_dir={where}",
            space=FINITE if sampler == "grid" else CONTINUOUS,
        )
        assert driven.ending == "done"
    return [json.dumps(record.read_spec().params, sort_keys=True) for record in iter_records(where, driven.plan.name)]


@pytest.mark.usefixtures("in_tmp_dir")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_two_runs_give_the_same_trials(sampler: str) -> None:
    once = trials(sampler, NUM_TRIALS)
    assert len(set(once)) == NUM_TRIALS
    assert trials(sampler, 4, NUM_TRIALS) == once
    assert trials(sampler, NUM_TRIALS, seed=1) != once


def test_it_runs_one_trial_at_a_time() -> None:
    engine = {"_target_": "idealfit.engines.LocalEngine", "slots": 4, "timeout_s": None}
    root = {"engine": engine, "trainer": {"devices": 1}, "study": {"deterministic": True}, "trusted_packages": []}
    made = make_engine(root, say=print)
    try:
        assert made.num_slots == 1
    finally:
        made.close()
