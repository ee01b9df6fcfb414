"""The verbs for scripts and notebooks: `idealfit.train(...)`, `idealfit.sweep(...)`, `idealfit.load_study(...)`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from idealfit.results import Run as Run
from idealfit.results import Study as Study
from idealfit.results import run_of

if TYPE_CHECKING:
    from idealfit.config import Composer
    from idealfit.promotion import PromoteOptions
    from idealfit.reproduce.again import Reproduction
    from idealfit.study.launch import Launch
    from idealfit.study.plan import StudyPlan
    from idealfit.study.promotion import Promotion


def train(*overrides: str, like: str | None = None, quiet: bool = False) -> Run:
    """Train once, in this process, and record the run.

    Args:
        overrides: As on the command line: `"model=cnn"`, `"optimizer.lr=0.01"`.
        like: A recorded run whose config to start from, as `reproduce` names it.
        quiet: Print nothing; else a live table on a terminal, plain lines elsewhere.

    Raises:
        UserError: The input is wrong.
    """
    from idealfit.config import Composer
    from idealfit.report.summary import run_summary
    from idealfit.study.single import run_single

    say = (lambda text: None) if quiet else print
    config = None
    if like is None:
        composer = Composer("train", overrides)
    else:
        from idealfit.reproduce.verb import config_like

        composer, config = config_like(like, overrides)
    run = run_of(run_single(composer, config=config, overrides=overrides, say=say))
    say(run_summary(run.spec, run.result))
    return run


def lr_range(
    *overrides: str, lowest: float = 1e-6, highest: float = 10.0, steps: int = 100, quiet: bool = False
) -> Run:
    """Make one step at each of many learning rates, in this process, and record the losses (Smith, 2017).

    `run.result.summaries["lr_range/suggested"]` is the rate where the loss falls fastest, and is not there where it
    never falls; `run.result.facts["lr_range"]` has the `rates` with their `losses`.

    Args:
        overrides: As for `train`.
        lowest: The first rate, above 0.
        highest: The last rate; each is the same factor above the one before.
        steps: How many rates, 20 to 100,000.
        quiet: Print nothing.

    Raises:
        UserError: The input is wrong, or what is trained has no learning rate.
    """
    from idealfit.config import Composer
    from idealfit.range_test import STUDY, check_range_test, options, run_range_test
    from idealfit.report.summary import range_summary
    from idealfit.study.single import run_single

    say = (lambda text: None) if quiet else print
    record = run_single(
        Composer("train", overrides),
        study=STUDY,
        params=options(lowest, highest, steps),
        check=check_range_test,
        work=run_range_test,
        overrides=overrides,
        say=say,
    )
    run = run_of(record)
    say(range_summary(run.spec, run.result))
    return run


def sweep(name: str, *overrides: str, quiet: bool = False, force: bool = False) -> Study:
    """Run a study; again on the same name, go on where it stopped.

    Args:
        name: A file of `sweeps/`.
        overrides: A plain value fixes a key, Hydra's sweep grammar searches it: `"optimizer.lr=interval(1e-4,1e-1)"`.
        quiet: Print nothing; else a live table on a terminal, plain lines elsewhere.
        force: Where a study of this name asked another question, start a new one under the next free name.

    Raises:
        UserError: The input is wrong; nothing was trained.
    """
    from idealfit.study.launch import Launch

    return _launch(Launch(config_name=name, overrides=list(overrides)), quiet=quiet, force=force)


def promote(
    study: str,
    *overrides: str,
    top: int = 3,
    seeds: int = 5,
    refit: bool = False,
    test: bool = True,
    again: bool = False,
    runs_dir: str | Path = "runs",
    quiet: bool = False,
) -> Promotion | None:
    """Train the best trials of a study and its default config again on fresh seeds, judge, and test the chosen one.

    Returns scores, verdict and looks; None where it was stopped: the same call goes on with it. Nothing to promote, or
    a test set that was looked at, is a `UserError` before anything trains.

    Args:
        study: Its name.
        overrides: Where and with whose trust to run: `"engine.slots=4"`, `"trusted_packages=[mynets]"`.
        top: How many of the best trials to train again.
        seeds: Fresh seeds of each, at least 2.
        refit: Train the chosen one on training and validation images before the test.
        test: Look at the test set.
        again: Look at it though it was looked at before; the look is counted.
        runs_dir: Where the records lie.
        quiet: Print nothing.
    """
    from idealfit.promotion import PromoteOptions
    from idealfit.study.launch import recorded_launch
    from idealfit.study.plan import open_plan

    options = PromoteOptions(top=top, seeds=seeds, refit=refit, test=test, again=again)
    plan, composer = open_plan(recorded_launch(study, overrides, runs_dir))
    return _promote(plan, composer, options, quiet=quiet)


def resume(
    study: str, *overrides: str, runs_dir: str | Path = "runs", quiet: bool = False, force: bool = False
) -> Study:
    """Go on with a study as it was started, exactly where it stopped.

    Args:
        study: Its name.
        overrides: What shall be different now, e.g. `"study.budget.trials=50"`; packages are trusted anew each time.
        runs_dir: Where the records lie.
        quiet: As for `sweep`.
        force: As for `sweep`.

    Raises:
        UserError: There is no such study, or it cannot go on.
    """
    from idealfit.study.launch import recorded_launch

    return _launch(recorded_launch(study, overrides, runs_dir), quiet=quiet, force=force)


def multirun(config_name: str, *overrides: str, quiet: bool = False) -> Study:
    """Hydra's `--multirun`: a study over the swept overrides; every combination once, if they can be counted.

    Raises:
        UserError: The input is wrong; nothing was trained.
    """
    from idealfit.study.launch import Launch

    return _launch(Launch(config_name=config_name, overrides=list(overrides), is_multirun=True), quiet=quiet)


def load_study(name: str, runs_dir: str | Path = "runs") -> Study:
    """A study from its records, while it runs or after.

    Raises:
        StudyError: There is none of that name.
    """
    from idealfit.study.outcome import list_studies, no_such_study, read_rows

    folder = Path(runs_dir).expanduser().resolve()
    if name not in list_studies(folder):
        raise no_such_study(folder, name)
    rows, objective = read_rows(folder, name)
    return Study(name=name, runs_dir=folder, objective=objective, rows=rows)


def reproduce(run: str, *overrides: str, dry_run: bool = False, quiet: bool = False) -> Reproduction:
    """Train a recorded run again in a process of its own, and compare what comes out, bit by bit.

    Args:
        run: `STUDY/NUMBER`, `STUDY/best`, a record's directory, or an MLflow run id (or how it begins).
        overrides: `runs_dir`, `tracking` and `trusted_packages`, or keys of the recorded config to change.
        dry_run: Only find what differs between then and now.
        quiet: Print nothing.

    Raises:
        UserError: There is no such run, or it cannot be made again.
    """
    from idealfit.reproduce.verb import reproduce as again

    return again(run, *overrides, dry_run=dry_run, quiet=quiet)


def _promote(plan: StudyPlan, composer: Composer, options: PromoteOptions, *, quiet: bool) -> Promotion | None:
    from idealfit.promotion import promote_study
    from idealfit.report.artifacts import rewrite_report
    from idealfit.report.summary import promotion_summary
    from idealfit.reproduce.winner import export_winner
    from idealfit.study.display import make_display

    display = make_display(quiet=quiet)
    made = promote_study(plan, composer, options, display=display, write_report=rewrite_report, export=export_winner)
    if not quiet:
        print(promotion_summary(plan, made.promotion, made.not_tracked), flush=True)
    return made.promotion


def _launch(launch: Launch, *, quiet: bool, force: bool = False) -> Study:
    from idealfit.promotion.options import PromoteOptions
    from idealfit.report.artifacts import load_analysis, write_artifacts
    from idealfit.report.summary import summary
    from idealfit.reproduce.winner import export_winner
    from idealfit.study.display import make_display
    from idealfit.study.plan import open_plan
    from idealfit.study.running import AtTheEnd, run_study

    plan, composer = open_plan(launch)
    display = make_display(quiet=quiet)
    at_the_end = AtTheEnd(write_artifacts, export_winner, load_analysis)
    result = run_study(plan, composer, display=display, at_the_end=at_the_end, may_branch=force)
    if not quiet:
        print(summary(result), flush=True)
    options = PromoteOptions.from_config(plan.root.get("study"))
    if options and result.ending == "done" and result.best:
        promoted = _promote(replace(plan, name=result.name), composer, options, quiet=quiet)
        if promoted is None:
            result = replace(result, ending="interrupted", reason="stopped on request while its best were promoted")
    return Study(
        name=result.name,
        runs_dir=plan.runs_dir,
        objective=plan.objective,
        rows=result.rows,
        ending=result.ending,
        reason=result.reason,
    )
