r"""The same MNIST study with idealfit and with each peer: wall-clock, CPU, memory, best score, time to a given score.

    python -m benchmarks peers                  # none pruned: all of MNIST, 20 trials of 2 epochs
    python -m benchmarks.peers --modes pruned --images 30000 --epochs 6 --name peers_pruned
    python -m benchmarks.peers --modes pruned --images 30000 --epochs 6 --name peers_grid \
        --rounds 3 --only idealfit "idealfit, grid" "hydra multirun"

In a round, idealfit runs before each peer and after the last one, and a peer's time is divided by the mean of the two
runs around it: a peer takes minutes, and a shared machine does not stay as fast as it was.

Search space (learning rate, dropout, depth of a perceptron), seed (one higher in each further round), the images to
train on and those to validate, batches, epochs and number of trials are the same; idealfit also measures training
images after each epoch. A plain Hydra multirun cannot sample, so it gets as many points of a grid, and so does
"idealfit, grid". Pruned is by what each tool does best on a short study: idealfit and Ray by successive halving, Optuna
by the median; what cannot prune runs as it is. Peers leave at their defaults whatever their documentation does not
mention. Times are those of the whole command, start and report included. The score of a peer's trial is its last
validation accuracy, as its example returns it; idealfit's is that of the best epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torchvision import datasets

from benchmarks.common import REPOSITORY, data_root, median, store
from benchmarks.peers.venvs import python_of
from benchmarks.peers.watched import Cost, watched
from idealfit.data.split import make_split

ALL_IMAGES = 60_000  # that MNIST has for training and validation
SPACE = ["lr=tag(log, interval(0.0001, 0.1))", "dropout=interval(0, 0.6)", "depth=range(1, 5)"]


PEER_KEYS = ("lr", "dropout", "depth")
OWN_KEYS = ("optimizer.lr", "model.dropout", "model.depth")


def points(settings: argparse.Namespace, keys: Sequence[str]) -> list[str]:
    """A grid of as many points as trials, in Hydra's sweep grammar, where nothing samples."""
    num_rates = max(1, settings.trials // 4)
    rates = ",".join(f"{10 ** (-4 + 3 * (index + 0.5) / num_rates):.6f}" for index in range(num_rates))
    return [f"{key}={values}" for key, values in zip(keys, (rates, "0.1,0.4", "1,3"), strict=True)]


def idealfit(engine: str, *, of_grid: bool = False) -> Callable[[argparse.Namespace], list[str]]:
    """The command of a study with `engine`."""

    def command(settings: argparse.Namespace) -> list[str]:
        return [
            *(sys.executable, "-m", "idealfit", "sweep", "lr_dropout_depth_mnist", f"engine={engine}"),
            *(f"study.budget.trials={settings.trials}", f"trainer.max_epochs={settings.epochs}"),
            *(f"data.{key}={value}" for key, value in sizes(settings).items()),
            *("data.batch_size=128", f"seed={settings.seed}"),
            f"study.pruner={'asha' if settings.pruned else 'none'}",
            *(["study.sampler=grid", *points(settings, OWN_KEYS)] if of_grid else []),
        ]

    return command


def optuna_lightning(settings: argparse.Namespace) -> list[str]:
    """Optuna's example."""
    return [python_of("current"), "-m", "benchmarks.peers.optuna_lightning"]


def ray_lightning(settings: argparse.Namespace) -> list[str]:
    """Ray Tune's page."""
    return [python_of("current"), "-m", "benchmarks.peers.ray_lightning"]


def hydra_sweeper(settings: argparse.Namespace) -> list[str]:
    """The Optuna sweeper of Hydra."""
    return [
        *(python_of("sweeper"), "-m", "benchmarks.peers.hydra_app", "--multirun", "hydra/sweeper=optuna"),
        *("hydra.sweeper.direction=maximize", f"hydra.sweeper.n_trials={settings.trials}"),
        f"hydra.sweeper.sampler.seed={settings.seed}",
        *SPACE,
    ]


def hydra_multirun(settings: argparse.Namespace) -> list[str]:
    """A grid, with the logger and the checkpoints that Lightning takes by itself."""
    words = [sys.executable, "-m", "benchmarks.peers.hydra_app", "--multirun", "default_logging=true"]
    return [*words, *points(settings, PEER_KEYS)]


OWN = {"idealfit": "idealfit", "idealfit, fused": "fused", "idealfit, grid": "grid"}
"""Those of idealfit, and what they are called in figures."""

VARIANTS: dict[str, Callable[[argparse.Namespace], list[str]]] = {
    "idealfit": idealfit("local"),
    "idealfit, fused": idealfit("fused"),
    "idealfit, grid": idealfit("local", of_grid=True),
    "optuna, lightning": optuna_lightning,
    "ray tune, lightning": ray_lightning,
    "hydra-optuna-sweeper": hydra_sweeper,
    "hydra multirun": hydra_multirun,
}


def sizes(settings: argparse.Namespace) -> dict[str, Any]:
    """How many images of MNIST train and validate: all, or those that are asked for, a fifth of them for validation."""
    return {"limit": settings.images * 4 // 5, "val_fraction": settings.images / 5 / ALL_IMAGES}


def write_split(settings: argparse.Namespace, path: Path) -> None:
    """Write down the images that idealfit trains on and validates with this seed, for the peers to take the same."""
    mnist = datasets.MNIST(str(data_root() / "mnist"), train=True)
    split = make_split(mnist.targets.numpy(), mnist.classes, test_fraction=0, seed=settings.seed, **sizes(settings))
    np.savez(path, train=split.train, val=split.val)


def environment_of(settings: argparse.Namespace, place: Path) -> dict[str, str]:
    """What a peer's code is told."""
    return {
        **os.environ,
        "IDEALFIT_DATA": str(data_root()),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "src")]),
        "PEER_DATA": str(data_root() / "mnist"),
        "PEER_SPLIT": str(place / "split.npz"),
        "PEER_TRIALS": str(settings.trials),
        "PEER_EPOCHS": str(settings.epochs),
        "PEER_SEED": str(settings.seed),
        "PEER_PRUNED": "1" if settings.pruned else "",
        "RAY_AIR_NEW_OUTPUT": "0",
    }


def run(name: str, settings: argparse.Namespace) -> Cost:
    """Run one variant in an empty directory."""
    command = VARIANTS[name](settings)
    with tempfile.TemporaryDirectory(prefix="peer") as place, tempfile.TemporaryDirectory() as aside:
        write_split(settings, Path(aside) / "split.npz")
        cost = watched(command, Path(place), environment_of(settings, Path(aside)))
        if name.startswith("idealfit"):
            cost.scores = scores_of_records(Path(place), cost.started_at)
    if len(cost.scores) > settings.trials:
        raise SystemExit(f"{name} ended {len(cost.scores)} trials")
    return cost


def scores_of_records(place: Path, started_at: float) -> list[tuple[float, float]]:
    """When each trial of idealfit ended, by its record, and its score."""
    results = [(path.stat().st_mtime, json.loads(path.read_text())) for path in place.glob("runs/*/[0-9]*/result.json")]
    return sorted((ended - started_at, result["value"]) for ended, result in results if result["value"] is not None)


def time_to(target: float, cost: Cost) -> float | None:
    """Seconds until a trial had ended with at least `target`."""
    return next((seconds for seconds, score in cost.scores if score >= target), None)


Round = list[tuple[str, Cost]]
"""What ran in one round, in order."""


def in_turn(names: Sequence[str]) -> list[str]:
    """The order of a round: idealfit's own variants, and again after each peer."""
    own, peers = [name for name in names if name in OWN], [name for name in names if name not in OWN]
    return [*own, *(name for peer in peers for name in (peer, *own))]


def beside(one: Round, index: int, own: str) -> list[Cost]:
    """The runs of `own` nearest to the run at `index`, one on each side where there is one."""
    before = [cost for name, cost in one[:index] if name == own]
    after = [cost for name, cost in one[index + 1 :] if name == own]
    return [*before[-1:], *after[:1]]


def times(rounds: Sequence[Round], name: str, own: str, what: Callable[[Cost], float]) -> list[float]:
    """How many times as much as `own` beside it each run of `name` took."""
    return [
        what(cost) / statistics.mean(map(what, nearest))
        for one in rounds
        for index, (each, cost) in enumerate(one)
        if each == name and (nearest := beside(one, index, own))
    ]


def summary(rounds: Sequence[Round], num_trials: int) -> dict[str, Any]:
    """By variant the medians over its runs, and how many times as long as idealfit's it took, run by run."""
    costs: dict[str, list[Cost]] = {}
    for name, cost in (run for one in rounds for run in one):
        costs.setdefault(name, []).append(cost)
    target = min(max(score for _, score in cost.scores) for each in costs.values() for cost in each)
    rows: dict[str, Any] = {"target_score": target}
    for name, each in costs.items():
        reached = [seconds for cost in each if (seconds := time_to(target, cost)) is not None]
        rows[name] = {
            "wall_s": median([cost.wall_s for cost in each]),
            "all_wall_s": [cost.wall_s for cost in each],
            "cpu_s": median([cost.cpu_s for cost in each]),
            "peak_mib": median([cost.peak_mib for cost in each]),
            "best_score": median([max(score for _, score in cost.scores) for cost in each]),
            "trials_per_minute": 60 * num_trials / median([cost.wall_s for cost in each]),
            "seconds_to_target": median(reached),
        }
        for own, short in OWN.items():
            if own in costs and name not in OWN:
                rows[name][f"times_{short}_wall"] = median(times(rounds, name, own, lambda cost: cost.wall_s))
                rows[name][f"times_{short}_cpu"] = median(times(rounds, name, own, lambda cost: cost.cpu_s))
    return rows


def measure(settings: argparse.Namespace, keep: Callable[[dict[str, Any], int], None]) -> None:
    """All variants in turn; of the first round what is known is kept after each run, for it takes long."""
    kept = {key: value for key, value in vars(settings).items() if key not in ("only", "modes", "name")}
    rounds: list[Round] = []
    order = in_turn(settings.only)
    for index in range(settings.rounds):
        settings.seed = kept["seed"] + index
        rounds.append([])
        for name in order:
            rounds[-1].append((name, run(name, settings)))
            print(f"  round {index + 1}/{settings.rounds}  {name}: {rounds[-1][-1][1].wall_s:.4g} s", file=sys.stderr)
            if index == 0 or len(rounds[-1]) == len(order):
                keep({"settings": kept, **summary(rounds, settings.trials)}, len(rounds))


def main(words: Sequence[str] = ()) -> None:
    """Measure without and with pruning, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=ALL_IMAGES, help="of MNIST, a fifth of them for validation")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--modes", nargs="+", choices=("unpruned", "pruned"), default=["unpruned"])
    parser.add_argument("--name", default="peers", help="of the file in benchmarks/results")
    settings = parser.parse_args(list(words))
    figures: dict[str, Any] = {}

    def keep(found: dict[str, Any], num_rounds: int) -> None:
        figures["pruned" if settings.pruned else "unpruned"] = found
        store(settings.name, figures, repeats=num_rounds)

    for mode in settings.modes:
        settings.pruned = mode == "pruned"
        measure(settings, keep)
    print(json.dumps(figures, indent=2))
