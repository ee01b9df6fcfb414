"""`idealfit plan NAME`: what a study would do, before it does: space, size, sample trials, time and disk."""

from __future__ import annotations

import shlex
import shutil
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from idealfit.cli.app import DONE, Parser
from idealfit.cli.runs import print_table
from idealfit.cli.sweep import check_sweep
from idealfit.protocol import num_rounds, rounds_text
from idealfit.text import counted

if TYPE_CHECKING:
    from idealfit.config import Composer
    from idealfit.study.forecast import Forecast
    from idealfit.study.plan import StudyPlan

NUM_SAMPLES = 10
BY_CHANCE = {
    "gp": "gp learns only keys that every trial has, with the same bounds: it draws the others by chance. tpe "
    "learns them all.",
    "cmaes": "cmaes learns only keys that every trial has, with the same bounds: it draws the others by chance. tpe "
    "learns them all.",
    "qmc": "qmc covers evenly the keys that the first trial has: it draws the others by chance.",
}


def parser() -> ArgumentParser:
    """The arguments of `plan`."""
    made = Parser(
        prog="idealfit plan",
        description="Show what a study would try, and what it would take, and train nothing.",
        epilog="The same NAME and KEY=VALUE as for idealfit sweep.",
    )
    made.add_argument("name", metavar="NAME", help="a file of sweeps/")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="study.budget.trials=50 data=mnist ...")
    return made


def run(args: Namespace) -> int:
    """Print the plan."""
    check_sweep(args.name)
    from idealfit.study.forecast import forecast, sample_points
    from idealfit.study.launch import Launch
    from idealfit.study.plan import open_plan

    plan, composer = open_plan(Launch(config_name=args.name, overrides=args.overrides))
    _print_space(plan)
    points = sample_points(plan, NUM_SAMPLES)
    made = [plan.make(composer, point) for point in points]
    print(f"\nthe first {counted(len(points), 'trial')}, as {plan.sampler} draws them before it has learned anything:")
    keys = [*plan.space.keys, *plan.search.derivation.expressions]
    body = []
    for point, each in zip(points, made, strict=True):
        values = {**point.params, **each.extra}
        again = f" (again {point.replicates[0]})" if point.replicates else ""
        body.append([f"{point.number}{again}", *(_short(values[key]) if key in values else "" for key in keys)])
    print_table(["trial", *keys], body)
    print()
    _print_forecast(plan, forecast(plan, [each.config for each in made]), composer)
    return DONE


def _print_space(plan: StudyPlan) -> None:
    print(f"study {plan.name}{f': {plan.question}' if plan.question else ''}\n")
    print_table(["searched", "values"], [[key, text] for key, text in plan.space.texts().items()])
    size = "no end of points: a key is continuous, or they are too many to count"
    size = f"{plan.space.size:,} points" if plan.space.size is not None else size
    print(f"\nsize       {size}")
    for kind, text in plan.search.rule_texts:
        print(f"{kind:<10} {text}")
    print(f"objective  {plan.objective.sentence}{_rounds(plan, ', the mean of ')}")
    print(f"budget     {_budget(plan)}")
    print(f"sampler    {plan.sampler}, pruner {plan.pruner['name']}, seed {plan.seed}")
    if not plan.space.is_plain and plan.sampler in BY_CHANCE:
        print(f"           {BY_CHANCE[plan.sampler]}")
    if plan.space.size is not None and plan.budget.trials > plan.space.size:
        print(
            f"replicates {plan.budget.trials - plan.space.size} trials at least repeat a point, each with another seed"
        )


def _rounds(plan: StudyPlan, before: str) -> str:
    text = rounds_text(plan.base, num_rounds(plan.base))
    return f"{before}{text}" if text else ""


def _budget(plan: StudyPlan) -> str:
    budget, enough = plan.budget, plan.enough
    limits = [
        (counted(budget.trials, "trial"), True),
        (counted(budget.epochs or 0, "epoch"), budget.epochs is not None),
        (f"{budget.hours} hours", budget.hours is not None),
        (f"{budget.gpu_seconds} device seconds", budget.gpu_seconds is not None),
        (f"the target of {enough.target}", enough.target is not None),
        (f"{counted(enough.patience or 0, 'trial')} without improvement", enough.patience is not None),
    ]
    return ", ".join(text for text, is_set in limits if is_set)


def _print_forecast(plan: StudyPlan, found: Forecast, composer: Composer) -> None:
    from idealfit.study.progress import seconds_text

    epochs = plan.base["trainer"]["max_epochs"]
    trials = f"{found.num_trials} of {counted(plan.budget.trials, 'trial')}"
    print(f"to run     {trials}, at most {counted(epochs, 'epoch')} each{_rounds(plan, ' of ')}")
    if found.seconds is None or found.num_bytes is None:
        print(
            f"time       unknown: no record under {plan.runs_dir} tells of this data. One short run would measure it:"
        )
        print(f"           idealfit train {shlex.join([*_data(plan, composer), 'trainer.max_epochs=5'])}")
        print("disk       unknown, for the same reason")
        return
    print(f"time       {seconds_text(found.seconds)} of training, one trial after the other and none stopped early:")
    print("           slots share it, pruning and early stopping shorten it, starting processes adds to it")
    free = shutil.disk_usage(next(p for p in (plan.runs_dir, *plan.runs_dir.parents) if p.exists())).free
    print(f"disk       {_bytes(found.num_bytes)} of records, {_bytes(free)} free")
    print(f"by         {found.num_measured} recorded trials on this data ({', '.join(found.studies[:5])})")
    if found.unknown_models:
        print(f"           none of them of {', '.join(found.unknown_models)}: the others' median pace stands for it")
    if found.num_bytes > free:
        print("warning: the records will not fit on this disk")


def _data(plan: StudyPlan, composer: Composer) -> list[str]:
    """The overrides of `idealfit train` that make its data the study's."""
    from idealfit.config import Composer
    from idealfit.provenance import flattened
    from idealfit.space import to_overrides

    choice = f"data={composer.choices['data']}"
    plain = flattened({"data": Composer("train", [choice]).trial_config({})["data"]})
    own = flattened({"data": plan.base["data"]})
    changed = {key: v for key, v in own.items() if plain.get(key) != v and not isinstance(v, list | dict)}
    return [choice, *to_overrides(changed)]


def _short(value: object) -> str:
    return "null" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _bytes(number: int) -> str:
    amount, unit = float(number), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount >= 1000:
            amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}"
