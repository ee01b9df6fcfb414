"""What a study is, read from the composed config and checked before anything trains."""

from __future__ import annotations

import importlib.metadata
import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from idealfit.config import Composer
from idealfit.config.schema import StudyConfig
from idealfit.provenance import flattened
from idealfit.space import Space, split_sweep
from idealfit.spec import JSON, ConfigError, Objective, Params, SpaceError, StudyError, sha256_of
from idealfit.study.budget import Budget, Spent
from idealfit.study.enough import Enough
from idealfit.study.launch import Asked, Launch, key_of
from idealfit.study.making import Made, Point, make_config
from idealfit.study.objective import make_objective
from idealfit.study.outcome import TrialRow
from idealfit.study.question import asked_of
from idealfit.study.samplers import SEVERAL_METRICS, make_sampler, num_points
from idealfit.study.scoring import check_searched, make_steps
from idealfit.study.searching import Search, make_space, read_search
from idealfit.tasks import task_of


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A checked study: everything that the loop needs to know.

    Attributes:
        base: The trial config before any searched value.
        root: The whole composed tree, for engine and tracking.
        corners: Extreme points of the space with their configs, which the preflight tries to build.
        overrides: Command-line overrides that fixed values.
        launch: How it was started.
    """

    name: str
    question: str
    search: Search
    objective: Objective
    budget: Budget
    enough: Enough
    sampler: str
    sampler_options: dict[str, Any]
    pruner: JSON
    seed: int
    is_deterministic: bool
    storage: str
    max_failures: int
    max_restarts: int
    runs_dir: Path
    base: JSON
    root: JSON
    corners: list[tuple[Params, JSON]]
    overrides: list[str]
    launch: Launch

    @property
    def space(self) -> Space:
        """What is searched."""
        return self.search.space

    def make(self, composer: Composer, point: Point) -> Made:
        """The config of a trial.

        Raises:
            UserError: A value that is not allowed, or that cannot be derived.
        """
        return make_config(composer, self.search.derivation, point.params, replicate=len(point.replicates))

    def ended_by(self, spent: Spent, rows: Sequence[TrialRow]) -> str:
        """Why no more trial may start, in words; "" where one may."""
        limit = self.budget.ended_by(spent)
        return f"the budget of {limit} is used up" if limit else self.enough.reason(rows)

    @property
    def command(self) -> str:
        """What to type to go on with it."""
        return shlex.join(["idealfit", "resume", self.name])

    def branched(self) -> StudyPlan:
        """The same plan under the next free name, with trials of its own."""
        names = (f"{self.name}-{number}" for number in itertools.count(2))
        name = next(name for name in names if not (self.runs_dir / name).exists())
        overrides = [each for each in self.launch.overrides if key_of(each) != "study.name"]
        launch = replace(self.launch, overrides=[*overrides, f"study.name={name}"])
        is_journal = self.storage == journal_path(self.runs_dir, self.name)
        storage = journal_path(self.runs_dir, name) if is_journal else self.storage
        return replace(self, name=name, storage=storage, launch=launch)

    @property
    def study_dir(self) -> Path:
        """Where the records and the journal lie."""
        return self.runs_dir / self.name

    @property
    def asked(self) -> Asked:
        """What its folder keeps for reports."""
        return Asked(
            question=self.question,
            space=self.space.to_json(),
            rules=tuple(self.search.rule_texts),
            objective=self.objective,
            num_planned=self.budget.trials,
            storage="" if self.storage == journal_path(self.runs_dir, self.name) else self.storage,
        )

    def kept_with_provenance(self) -> JSON:
        """What its runs depended on beside their configs: how their values were chosen, and by which version."""
        return {
            "name": self.name,
            "seed": self.seed,
            "deterministic": self.is_deterministic,
            "sampler": self.sampler,
            "sampler_options": self.sampler_options,
            "pruner": self.pruner,
            "optuna": importlib.metadata.version("optuna"),
        }

    def identity(self) -> JSON:
        """What makes this study this study: it may not change between sessions."""
        rules = self.search.rules
        return {
            "space": self.space.to_json(),
            **({"rules": rules} if rules else {}),
            "objective": self.objective.to_json(),
            "config": {key: value for key, value in asked_of(self.base).items() if not self._is_searched(key)},
        }

    def _is_searched(self, key: str) -> bool:
        set_by_trial = (*self.space.keys, *self.search.derivation.expressions)
        return any(key == searched or key.startswith(f"{searched}.") for searched in set_by_trial)


def open_plan(launch: Launch) -> tuple[StudyPlan, Composer]:
    """Compose a study as it was started, and check it.

    Raises:
        UserError: As `Composer` and `make_plan`.
    """
    plain, entries, fixed = split_sweep(launch.overrides)
    composer = Composer(launch.config_name, plain)
    default = default_study(plain, entries) if launch.is_multirun else None
    plan = make_plan(composer, launch=launch, overrides=plain, entries=entries, fixed=fixed, default=default)
    return plan, composer


def make_plan(
    composer: Composer,
    *,
    launch: Launch,
    overrides: Sequence[str] = (),
    entries: Mapping[str, str] | None = None,
    fixed: Sequence[str] = (),
    default: Mapping[str, Any] | None = None,
) -> StudyPlan:
    """Read and check the study of a composed config.

    Args:
        composer: The composed sweep.
        launch: How the study is started.
        overrides: The plain overrides it was composed with.
        entries: Searched keys from the command line, in Hydra's sweep grammar; they win over the file's.
        fixed: Keys that the command line fixes: they are no longer searched.
        default: The `study` node of a config that has none.

    Raises:
        UserError: Anything that makes no sense, named, with what to do.
    """
    root = composer.root()
    study = _study_node(root, default)
    search = read_search(composer, study, entries=entries or {}, fixed=fixed)
    space = search.space
    objective = make_objective(study["objective"], task_of(root).objective)
    name = check_name(study["name"])
    runs_dir = Path(root["runs_dir"]).expanduser().resolve()
    base = composer.trial_config({})
    check_searched(base, [*space.keys, *search.derivation.expressions])
    pruner = make_steps(base, study["pruner"], study["pruner_options"])
    make_sampler(study["sampler"], study["sampler_options"], space=space, seed=study["seed"])
    if objective.others:
        _check_several(study)
    budget = study["budget"]
    return StudyPlan(
        name=name,
        question=study["question"],
        search=search,
        objective=objective,
        enough=Enough(objective=objective, target=budget["target"], patience=budget["patience"]),
        budget=Budget.from_config(budget, num_points=num_points(study["sampler"], space)),
        sampler=study["sampler"],
        sampler_options=study["sampler_options"],
        pruner=pruner,
        seed=study["seed"],
        is_deterministic=study["deterministic"],
        storage=study["storage"] or journal_path(runs_dir, name),
        max_failures=study["max_failures"],
        max_restarts=study["max_restarts"],
        runs_dir=runs_dir,
        base=base,
        root=root,
        corners=_corners(composer, search, root),
        overrides=list(overrides),
        launch=launch,
    )


def _study_node(root: JSON, default: Mapping[str, Any] | None) -> JSON:
    study: JSON | None = root.get("study") or ({**default, "seed": root["seed"]} if default else None)
    if not study:
        raise StudyError("this config describes no study: it has no `study` node. Use a file of sweeps/.")
    return study


def _corners(composer: Composer, search: Search, root: JSON) -> list[tuple[Params, JSON]]:
    """The extreme points of the space with their configs, checked."""
    corners = [(params, make_config(composer, search.derivation, params).config) for params in search.space.corners()]
    search.derivation.check(flattened(config) for _, config in corners)
    devices = {config["trainer"]["devices"] for _, config in corners} | {root["trainer"]["devices"]}
    if len(devices) > 1:
        raise SpaceError("trainer.devices says where a trial runs, not what it is: it can't be searched.")
    return corners


def journal_path(runs_dir: Path, name: str) -> str:
    """Where a study's trials are kept unless `study.storage` says otherwise."""
    return str(runs_dir / name / "study.journal")


def default_study(overrides: Sequence[str], entries: Mapping[str, str]) -> JSON:
    """The study that Hydra's `--multirun` means: every combination, each run to its end.

    A space with an interval has no last combination: there it is 20 trials by the default sampler and pruner. The name
    comes from what is asked, so the same command line goes on and another one is another study.
    """
    node: JSON = asdict(StudyConfig(name=f"multirun-{sha256_of([sorted(overrides), dict(entries)])[:8]}", seed=0))
    space = make_space(entries)
    if space.size is not None:
        node |= {"sampler": "grid", "pruner": "none"}
        node["budget"]["trials"] = space.size
    return node


def _check_several(study: Mapping[str, Any]) -> None:
    """Refuse what has no sense with several metrics."""
    if study["pruner"] != "none":
        raise ConfigError(
            f"study.pruner={study['pruner']} compares trials by one value an epoch, and study.objective.metrics names "
            "several: set study.pruner=none, or one metric with study.objective.constraints."
        )
    if study["sampler"] not in SEVERAL_METRICS:
        raise ConfigError(
            f"study.sampler={study['sampler']} searches for the best of one metric, and study.objective.metrics names "
            f"several: set study.sampler to one of {', '.join(SEVERAL_METRICS)}."
        )
    for limit in ("target", "patience"):
        if study["budget"][limit] is not None:
            raise ConfigError(
                f"study.budget.{limit} follows one metric, and study.objective.metrics names several: "
                "leave it out, or set one metric with study.objective.constraints."
            )


def check_name(name: str) -> str:
    """A study's name is the name of a folder under `runs_dir`, and never a number.

    Raises:
        StudyError: Anything else.
    """
    if not re.fullmatch(r"\w[\w .+=-]*", name) or name.isdigit() or len(name) > 100:
        raise StudyError(
            f"study.name: {name!r} can't name a folder of records. "
            "Use up to 100 letters, digits, '_', '-', '.', starting with a letter or digit, and not a number alone."
        )
    return name


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed between two identities, one line each."""
    was, now = flattened(old), flattened(new)
    return [
        f"{key.removeprefix('config.')}: {_show(was, key)} -> {_show(now, key)}"
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key)
    ]


def _show(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "nothing"
