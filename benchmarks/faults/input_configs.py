"""Bad configs, spaces and command lines."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.faults import mutate
from benchmarks.faults.cases import Case, WrongError, command_line

KEYS = (
    *("seed", "model", "data", "optimizer", "scheduler", "loss", "augment", "trainer", "engine", "tracking", "study"),
    *("model.depth", "model.width", "model.dropout", "model.activation", "model.batch_norm", "model._target_"),
    *("optimizer.lr", "optimizer.betas", "optimizer._target_", "data.batch_size", "data.val_fraction", "data.limit"),
    *("data.split_seed", "data.cache_dir", "data.root", "trainer.max_epochs", "trainer.precision", "trainer.devices"),
    *("trainer.early_stopping.patience", "engine.slots", "engine.timeout_s", "tracking.uri", "tracking.interval_s"),
    *(
        "runs_dir",
        "trusted_packages",
        "trusted_packages.0",
        "hydra.run.dir",
        "hydra/sweeper",
        "model/mlp",
        "no.such.key",
    ),
)
STUDY_KEYS = (
    *("study.name", "study.question", "study.objective.metric", "study.objective.epoch", "study.objective.k"),
    *(
        "study.budget.trials",
        "study.budget.epochs",
        "study.budget.hours",
        "study.sampler",
        "study.pruner",
        "study.seed",
    ),
    *("study.storage", "study.max_failures", "study.space.model.width", "study.sampler_options.n_startup_trials"),
    *("study.pruner_options.reduction_factor", "study.pruner_options.min_resource", "study.space", "study.budget"),
)
OVERRIDES = (
    *("model=cnn", "model.depth=3", "optimizer.lr=0.01", "data.batch_size=32", "+optimizer.foreach=true", "~augment"),
    *("optimizer.betas=[0.9,0.999]", "trainer={max_epochs:3}", "trainer.early_stopping.patience=2", "seed=7"),
    *("scheduler=cosine", "tracking.uri=''", "model.activation='relu'", "trusted_packages=[mynet]", "data=quickdraw"),
    *("data.categories=[cat,dog]", "runs_dir=elsewhere", "++model.depth=2", "engine=inline", "loss=bce"),
)
SWEEPS = (
    *("interval(0, 0.5)", "tag(log, interval(1e-4, 1e-1))", "range(1, 5)", "choice(1, 2, 4)", "int(interval(1, 9))"),
    *("tag(log, int(interval(1, 64)))", "range(0, 1, 0.1)", "16,32,64", "choice(relu, tanh)", "choice(a,b)", "[1,2,3]"),
)
NODES: tuple[dict[str, Any], ...] = (
    {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Flatten"}, {"_target_": "torch.nn.ReLU"}]},
    {"_target_": "idealfit.models.MLP", "depth": 2, "width": 8, "dropout": 0.1, "activation": "relu"},
    {"_target_": "torch.nn.CrossEntropyLoss", "label_smoothing": 0.1, "_convert_": "all"},
    {"_target_": "idealfit.data.Augment", "rotate_degrees": 10, "scale": 0.1},
)


def override(rng: random.Random) -> Case:
    """Overrides of one run, on top of what ships."""
    texts = [_override(rng, KEYS) for _ in range(rng.choice((1, 1, 2)))]

    def action(folder: Path) -> None:
        from idealfit.config import Composer

        composer = Composer("train", texts)
        _check_config(composer.trial_config())
        _check_plain(composer.root())

    return Case("override", repr(texts), action)


def sweep(rng: random.Random) -> Case:
    """Overrides of a study, values and sweeps mixed; what is accepted must be searchable."""
    texts = []
    for _ in range(rng.choice((1, 2, 3))):
        plain = f"{rng.choice(KEYS)}={mutate.text(rng, rng.choice(SWEEPS))}"
        texts.append(rng.choice((plain, _override(rng, STUDY_KEYS), _override(rng, KEYS))))

    def action(folder: Path) -> None:
        from idealfit.study.launch import Launch
        from idealfit.study.plan import open_plan

        plan, composer = open_plan(Launch(config_name="lr_dropout_depth", overrides=texts))
        _check_plain(plan.identity())
        for params in [*plan.space.corners()[:2], _suggested(plan.space)]:
            _check_config(composer.trial_config(params))

    return Case("sweep", repr(texts), action)


def space(rng: random.Random) -> Case:
    """A search space alone; what is accepted means the same when it is written and read again."""
    keys = ["model.depth", "optimizer.lr", "model", "seed", "trainer.max_epochs", mutate.word(rng)]
    entry: Callable[[], Any] = lambda: rng.choice(  # noqa: E731
        (mutate.text(rng, rng.choice(SWEEPS)), _numbers(rng), mutate.value(rng), [mutate.value(rng), mutate.value(rng)])
    )
    tree = {rng.choice(keys): entry() for _ in range(rng.choice((1, 2)))}
    if rng.random() < 0.2:
        tree = {rng.choice(("model", mutate.word(rng))): tree}

    def action(folder: Path) -> None:
        from idealfit.space import Space

        read = Space.parse(tree)
        if Space.parse(read.to_json()).to_json() != read.to_json():
            raise WrongError(f"read again, {read.to_json()} is {Space.parse(read.to_json()).to_json()}")
        read.corners()
        _suggested(read)

    return Case("space", f"{tree!r:.300}", action)


def node(rng: random.Random) -> Case:
    """A node with a `_target_`, at the gate."""
    tree = mutate.tree(rng, rng.choice(NODES))

    def action(folder: Path) -> None:
        from torch import nn

        from idealfit.config.gate import build

        built = build(tree, expect=nn.Module, extra={"image_shape": (1, 4, 4), "num_classes": 3})
        if not isinstance(built, nn.Module):
            raise WrongError(f"built a {type(built).__name__}")

    return Case("node", f"{tree!r:.300}", action)


def yaml_file(rng: random.Random) -> Case:
    """A config file of the user's own, with mistakes or damage in it."""
    name, good = rng.choice(_shipped())
    data = mutate.text(rng, good).encode("utf-8", "surrogatepass")
    if rng.random() < 0.3:
        data = mutate.content(rng, good.encode())
    group, _, option = name.rpartition("/")
    target, chosen = (f"conf/{group}/own.yaml", [f"{group}=own"]) if group else (f"sweeps/{option}.yaml", [])

    def action(folder: Path) -> None:
        from idealfit.config import Composer
        from idealfit.study.launch import Launch
        from idealfit.study.plan import open_plan

        path = folder / target
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        if group:
            _check_config(Composer("train", chosen).trial_config())
        else:
            plan, composer = open_plan(Launch(config_name=option, overrides=[]))
            _check_config(composer.trial_config(_suggested(plan.space)))

    return Case("yaml file", f"{name}: {data!r:.600}", action)


def command(rng: random.Random) -> Case:
    """A command line; none of these trains or serves."""
    bad = lambda: rng.choice((mutate.word(rng), _override(rng, KEYS), mutate.number(rng)))  # noqa: E731
    lines = (
        [bad()],
        [mutate.text(rng, rng.choice(("train", "sweep", "runs", "ui", "init"))), bad()],
        ["train", "--cfg", "job", bad()],
        ["train", "--cfg", rng.choice(("job", "x", "all")), "--resolve", _override(rng, KEYS)],
        ["train", f"no.such.key={mutate.word(rng)}", bad()],
        ["sweep", bad()],
        ["sweep", "lr_dropout_depth", f"no.such.key={mutate.word(rng)}", bad()],
        ["sweep", "lr_dropout_depth", "--cfg", "job", _override(rng, STUDY_KEYS)],
        ["runs", bad(), rng.choice((bad(), f"runs_dir={mutate.word(rng)}"))],
        ["runs", f"runs_dir={mutate.word(rng)}"],
        ["init", "/dev/null/x", bad()],
        ["ui", "--port", rng.choice(("x", "", "1e3")), bad()],
        ["-sc", bad()],
    )
    arguments = [argument.replace("\0", "") for argument in rng.choice(lines)]

    def action(folder: Path) -> None:
        command_line(arguments)

    return Case("command line", f"idealfit {arguments!r:.400}", action)


FAMILIES = (override, space, sweep, node, yaml_file, command)


def _override(rng: random.Random, keys: tuple[str, ...]) -> str:
    made = (
        mutate.text(rng, rng.choice(OVERRIDES)),
        f"{rng.choice(keys)}={mutate.word(rng)}",
        f"{rng.choice(keys)}={mutate.number(rng)}",
        f"{rng.choice(keys)}={rng.choice(mutate.ADDRESSES)}",
        f"{mutate.text(rng, rng.choice(keys))}={rng.choice(('1', 'x', mutate.number(rng)))}",
    )
    return rng.choice(made)


def _numbers(rng: random.Random) -> str:
    """A sweep that is spelt well, over numbers that may make no sense."""
    shape = rng.choice(("interval({}, {})", "tag(log, interval({}, {}))", "range({}, {})", "int(interval({}, {}))"))
    ends = ("1e308", "-1e308", "1.7e308", "0", "1", "-1", "1e-320", "5e-324", "10" * 12, "-" + "10" * 12, "0.1", "1e16")
    return shape.format(rng.choice(ends), rng.choice(ends))


@cache
def _shipped() -> list[tuple[str, str]]:
    """Name and text of every shipped config file that can be a user's own."""
    from idealfit.config.search_path import GROUPS, PACKAGE

    root = PACKAGE if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1]
    files = [
        (f"{group}/{path.stem}", path) for group in GROUPS for path in sorted((root / "conf" / group).glob("*.yaml"))
    ]
    files += [(path.stem, path) for path in sorted((root / "sweeps").glob("*.yaml"))]
    return [(name, path.read_text(encoding="utf-8")) for name, path in files]


def _check_config(config: dict[str, Any]) -> None:
    groups = {"seed", "data", "model", "optimizer", "scheduler", "loss", "augment", "trainer"}
    if set(config) != groups:
        raise WrongError(f"a trial config of {sorted(config)}")
    _check_plain(config)


def _check_plain(tree: Any) -> None:
    """A config is recorded as JSON: it comes back as it was."""
    text = json.dumps(tree, allow_nan=False)
    text.encode()
    if json.loads(text) != tree:
        raise WrongError(f"as JSON it is another: {text[:300]}")


def _suggested(space: Any) -> dict[str, Any]:
    """A point that Optuna draws, and that is inside the space."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=1))
    for _ in range(3):
        trial = study.ask()
        params: dict[str, Any] = space.suggest(trial)
        study.tell(trial, 0.0)
        for key, drawn in params.items():
            bad_float = isinstance(drawn, float) and not math.isfinite(drawn)
            if bad_float or not space.distributions()[key]._contains(
                space.distributions()[key].to_internal_repr(drawn)
            ):
                raise WrongError(f"{key}: {drawn!r} was drawn from {space.to_json()[key]}")
    return params
