"""Time to a good score with hyperband and asha against no pruning: really trained curves, replayed on two slots.

One random study without pruning trains every trial to its end. Then, for each of forty seeds, the same trials are drawn
in another order and replayed: each epoch takes the seconds that it took and reports the score that it had, to the
pruner as idealfit sets it up, and a pruned trial's slot goes to the next one at once. So all pruners see the same
trials, and no chance of training or of a busy machine tells them apart.

Pruning finds a good trial earlier where good ones are rare, and the more of a trial is left to be saved. So there are
two spaces, that of the shipped MNIST study, whose first trials are good ones, and one as of somebody who does not know
yet where to look; and the latter is trained for twice as many epochs too.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.distributions import FloatDistribution

from benchmarks.common import completed, median, store
from idealfit.pruning.pruners import FIRST_STEP, make_pruner
from idealfit.record import iter_records

PRUNERS = ("none", "hyperband", "asha")
NUM_SLOTS = 2
NUM_SEEDS = 40  # replaying is cheap, and where three of a hundred trials are good, five orders tell little
SHARE = 0.99  # of the best score of the unpruned study
STUDY = ["lr_dropout_depth_mnist", "study.sampler=random", "study.pruner=none", "data.limit=6000"]
WIDE = [
    "optimizer.lr=tag(log,interval(1e-6,1))",
    "model.dropout=interval(0,0.8)",
    "model.depth=range(1,7)",
    "model.width=8,16,32,64,128",
]
SPACES: dict[str, tuple[list[str], int]] = {"shipped": ([], 15), "wide": (WIDE, 15), "wide-long": (WIDE, 30)}
"""What is searched, and the epochs of a trial."""


class Curve(NamedTuple):
    """One trial: the score after each epoch, and how long that took."""

    scores: list[float]
    seconds: list[float]


class Outcome(NamedTuple):
    """A replayed study."""

    reached_s: float  # when the first trial had the score that was asked; infinite where none had
    span_s: float  # until the last trial ended
    best: float


def trained(space: str, num_trials: int) -> list[Curve]:
    """Train them all."""
    overrides, num_epochs = SPACES[space]
    with tempfile.TemporaryDirectory() as directory:
        budget = [f"study.budget.trials={num_trials}", f"trainer.max_epochs={num_epochs}"]
        completed([sys.executable, "-m", "idealfit", "sweep", *STUDY, *overrides, *budget, "tracking=none"], directory)
        records = list(iter_records(Path(directory) / "runs", "lr_dropout_depth_mnist"))
        curves = [record.curves() for record in records]
    whole = [Curve(each["val/accuracy"], each["epoch_seconds"]) for each in curves]
    return [curve for curve in whole if len(curve.scores) == num_epochs]


def replay(curves: Sequence[Curve], pruner: str, target: float) -> Outcome:
    """Run `curves` in order through a study with `pruner`."""
    num_epochs = len(curves[0].scores)
    study = optuna.create_study(direction="maximize", pruner=make_pruner(pruner, {}, num_epochs))
    waiting = iter(curves)
    running: list[tuple[float, int, int, Curve, optuna.Trial]] = []  # when its epoch ends, number, epoch

    def start(now: float) -> None:
        if curve := next(waiting, None):
            trial = study.ask({"place": FloatDistribution(0.0, 1.0)})
            heapq.heappush(running, (now + curve.seconds[0], trial.number, 0, curve, trial))

    reached, now, best = float("inf"), 0.0, 0.0
    for _ in range(NUM_SLOTS):
        start(0.0)
    while running:
        now, number, epoch, curve, trial = heapq.heappop(running)
        score = curve.scores[epoch]
        best = max(best, score)
        reached = min(reached, now) if score >= target else reached
        trial.report(score, epoch + FIRST_STEP)
        is_last = epoch + 1 == num_epochs
        if not is_last and not trial.should_prune():
            heapq.heappush(running, (now + curve.seconds[epoch + 1], number, epoch + 1, curve, trial))
            continue
        if is_last:
            study.tell(trial, max(curve.scores))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        start(now)
    return Outcome(reached, now, best)


def target_of(curves: Sequence[Curve]) -> float:
    """The score that is asked for."""
    return SHARE * max(max(curve.scores) for curve in curves)


def num_good(curves: Sequence[Curve]) -> int:
    """How many reach it if they are let."""
    target = target_of(curves)
    return sum(max(curve.scores) >= target for curve in curves)


def measure(curves: list[Curve]) -> dict[str, dict[str, object]]:
    """All pruners on all seeds; ratios to no pruning, seed by seed."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in PRUNERS}
    target = target_of(curves)
    for seed in range(NUM_SEEDS):
        order = random.Random(seed).sample(curves, len(curves))
        for name in PRUNERS:
            outcomes[name].append(replay(order, name, target))
    rows: dict[str, dict[str, object]] = {}
    for name, each in outcomes.items():
        pairs = list(zip(each, outcomes["none"], strict=True))
        rows[name] = {
            "reached_s": median([one.reached_s for one in each]),
            "reached_over_none": median([one.reached_s / none.reached_s for one, none in pairs]),
            "all_reached_over_none": [one.reached_s / none.reached_s for one, none in pairs],
            "span_over_none": median([one.span_s / none.span_s for one, none in pairs]),
            "best": median([one.best for one in each]),
        }
    return rows


def main(words: Sequence[str] = ()) -> None:
    """Train, replay, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--trials", type=int, default=100)
    arguments = parser.parse_args(list(words))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    figures: dict[str, Any] = {"seeds": NUM_SEEDS, "spaces": {}}
    for space in arguments.spaces:
        curves = trained(space, arguments.trials)
        told = {"num_trials": len(curves), "num_epochs": len(curves[0].scores), "good_trials": num_good(curves)}
        figures["spaces"][space] = {**told, **measure(curves)}
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('pruning', figures, repeats=f'{NUM_SEEDS} orders of one study in each space')}")


if __name__ == "__main__":
    main(sys.argv[1:])
