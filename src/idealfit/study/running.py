"""A whole study from plan to result: lock, ledger, engine, preflight, mirror, loop, report."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from idealfit.config import Composer
from idealfit.config.gate import build
from idealfit.engines import (
    FusedEngine,
    InlineEngine,
    LocalEngine,
    RayEngine,
    SlurmEngine,
    WorkersEngine,
    close_ahead,
    end_leftovers,
)
from idealfit.engines.local import PRELOAD
from idealfit.pruning import modules_to_preload
from idealfit.spec import JSON, Engine, QuestionChangedError, StudyError, Work, redacted
from idealfit.study.circumstances import Circumstances
from idealfit.study.finishing import Finisher
from idealfit.study.ledger import Ledger
from idealfit.study.lock import controller_lock
from idealfit.study.loop import StudyLoop
from idealfit.study.mirroring import StudyMirror
from idealfit.study.notify import Notifier, NotifyingDisplay, check_hooks, notify_end
from idealfit.study.outcome import Ending, StudyResult, read_rows
from idealfit.study.plan import StudyPlan
from idealfit.study.preflight import Preflight, corner_specs, raise_first_failure
from idealfit.study.progress import Display, Progress
from idealfit.study.stopping import StopSwitch
from idealfit.study.winner import winner_model
from idealfit.text import counted
from idealfit.tracking.study_run import is_left_open
from idealfit.trial import check_trial, run_trial

WriteReport = Callable[[StudyResult], Path]
LEFTOVERS_GRACE_S = 60.0  # for the checkpoints of trials whose controller died
NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class AtTheEnd:
    """What follows the last trial; it stands on a higher floor.

    Attributes:
        write_report: Called with the result; the folder that it writes goes to the parent run too.
        export: Work that makes a model of the winner, as `reproduce.winner.export_winner`; None makes none.
        load: Called with the budget of trials, on a thread, while the first workers import: to import what the report
            of so many will take.
    """

    write_report: WriteReport
    export: Work | None = None
    load: Callable[[int], None] = lambda num_trials: None


def run_study(
    plan: StudyPlan, composer: Composer, *, display: Display, at_the_end: AtTheEnd, may_branch: bool = False
) -> StudyResult:
    """Run a study until its budget, a stop request or too many failures end it; a study that exists goes on.

    Args:
        plan: What to do.
        composer: Makes the config of each trial.
        display: Shows the progress.
        at_the_end: Report and model.
        may_branch: Where a study of this name asked another question, start a new one under the next free name.

    Raises:
        UserError: Anything wrong that is found before training.
    """
    check_hooks(os.environ)
    try:
        return _run(plan, composer, display, at_the_end)
    except QuestionChangedError:
        if not may_branch:
            raise
        branch = plan.branched()
        display.say(f"study {plan.name} asked another question: this is {branch.name} now")
        return _run(branch, composer, display, at_the_end)
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise StudyError(
            f"runs_dir: study {plan.name} cannot be written down: {error}. Make room or set another runs_dir."
        ) from error


def _run(plan: StudyPlan, composer: Composer, display: Display, at_the_end: AtTheEnd) -> StudyResult:
    with controller_lock(plan.study_dir), closing(Ledger(plan)) as ledger:
        if ledger.num_adopted:
            trials = counted(ledger.num_adopted, "trial")
            display.say(f"{trials} not in {redacted(plan.storage)}: taken from their records")
        ledger.check_question(plan.identity())
        plan.launch.write(plan.study_dir, plan.asked)
        rows, _ = read_rows(plan.runs_dir, plan.name)
        ledger.epochs = {row.number: row.num_epochs for row in rows if row.state.is_finished}
        # One whose controller was killed after the last trial has its report and its end in MLflow still to come.
        is_over = not ledger.num_unfinished and not (plan.root["tracking"]["uri"] and is_left_open(plan.study_dir))
        if is_over and (reason := plan.ended_by(ledger.spent, rows)):
            return study_result(plan, "done", f"it was complete already: {reason}")
        for note in ledger.notes:
            display.say(note)
        with StudyMirror(plan) as mirror:  # it connects while the engine starts and checks
            result = _drive(plan, composer, ledger, mirror, display, at_the_end)
        return replace(result, not_tracked=mirror.not_sent, where=mirror.address or result.where)


def _drive(
    plan: StudyPlan,
    composer: Composer,
    ledger: Ledger,
    mirror: StudyMirror,
    display: Display,
    at_the_end: AtTheEnd,
) -> StudyResult:
    end_leftovers(plan.study_dir, grace_s=LEFTOVERS_GRACE_S, say=display.say)
    engine = make_engine(plan.root, storage=plan.storage, folder=plan.study_dir, say=display.say)
    try:
        if isinstance(engine, WorkersEngine):
            display.say(engine.invitation)
        with StopSwitch(kill=engine.kill, last_words=f"Ended at once. Go on with: {plan.command}") as switch:
            return _Session(plan, composer, ledger, engine, mirror, display, switch).run(at_the_end)
    finally:
        display.close()
        engine.close()


def make_engine(
    root: dict[str, Any], *, storage: str = "", folder: Path = Path(), say: Callable[[str], None]
) -> Engine:
    """The engine of a composed config, whose workers find imported what they need for `storage`.

    `folder` is where an engine for several hosts keeps what they share; `say` shows the user a line.
    """
    node = dict(root["engine"])
    if (root.get("study") or {}).get("deterministic"):
        # What a second slot finishes first is a matter of chance, and sampler and pruner learn from it.
        node["slots"] = 1
    engine: Engine = build(
        node,
        expect=(FusedEngine, InlineEngine, LocalEngine, RayEngine, SlurmEngine, WorkersEngine),
        trusted=root["trusted_packages"],
        extra={
            "preload": (*PRELOAD, *modules_to_preload(storage)),
            "storage": storage,
            "folder": folder,
            "devices_per_trial": root["trainer"]["devices"],
            "say": say,
        },
    )
    close_ahead()  # no engine of the kind that was guessed
    return engine


def study_result(
    plan: StudyPlan, ending: Ending, reason: str, *, num_new_trials: int = 0, seconds: float = 0.0
) -> StudyResult:
    """The result of a study from its records."""
    rows, _ = read_rows(plan.runs_dir, plan.name)
    return StudyResult(
        name=plan.name,
        ending=ending,
        reason=reason,
        objective=plan.objective,
        rows=rows,
        study_dir=plan.study_dir,
        question=plan.question,
        command=plan.command,
        where=f"idealfit ui {plan.name}" if plan.root["tracking"]["uri"] else "",
        num_new_trials=num_new_trials,
        seconds=seconds,
    )


class _Session:
    """One sitting of a controller at a study."""

    def __init__(
        self,
        plan: StudyPlan,
        composer: Composer,
        ledger: Ledger,
        engine: Engine,
        mirror: StudyMirror,
        display: Display,
        switch: StopSwitch,
    ) -> None:
        self._plan = plan
        self._composer = composer
        self._ledger = ledger
        self._engine = engine
        self._mirror = mirror
        self._notifier = Notifier(os.environ, display.say)
        self._display = NotifyingDisplay(display, self._notifier)
        self._switch = switch
        self._started = time.monotonic()
        self._working_dir = str(Path.cwd())
        self._circumstances = Circumstances(
            plan.study_dir, plan.root, study=plan.kept_with_provenance(), on_problem=display.say
        )
        self._progress = Progress(
            name=plan.name,
            question=plan.question,
            objective=plan.objective,
            budget_trials=plan.budget.trials,
            num_slots=engine.num_slots,
        )

    def run(self, at_the_end: AtTheEnd) -> StudyResult:
        """Check, train, report."""
        self._display.open(self._progress)
        self._progress.phase = "checking that every kind of trial can start"
        # A daemon: nobody who presses Ctrl-C waits for an import.
        threading.Thread(target=at_the_end.load, args=[self._plan.budget.trials], daemon=True).start()
        facts = self._checked()
        if facts is None:
            return study_result(self._plan, "interrupted", "stopped on request before training")
        self._circumstances.keep_data_files(facts)
        self._ledger.check_facts(facts)
        self._mirror.open()
        has_pictures = self._plan.root["tracking"]["pictures"]
        with closing(Finisher(self._mirror, pictures=has_pictures, on_problem=self._display.say)) as finisher:
            result = self._train(finisher)
            notify_end(self._notifier, result)
            self._progress.phase = "writing the report"
            with ThreadPoolExecutor(1) as pool:  # a worker makes the model, the finisher the last pictures meanwhile
                model = pool.submit(self._model, at_the_end.export, result)
                report_dir = self._reported(at_the_end.write_report, result)
        self._mirror.finish(result, report_dir, model.result())
        self._notifier.close()
        return result

    def _checked(self) -> JSON | None:
        """What was found out about the data and the first model; None after a stop request."""
        plan = self._plan
        specs = corner_specs(plan, working_dir=self._working_dir)
        preflight = Preflight(specs, self._engine, check_trial, folder=plan.study_dir, max_restarts=plan.max_restarts)
        results = preflight.results(self._switch.is_requested)
        if results is None:
            return None
        raise_first_failure(specs, results)
        return results[0].facts if results else {}

    def _reported(self, write_report: WriteReport, result: StudyResult) -> Path | None:
        try:
            return write_report(result)
        except Exception as error:  # noqa: BLE001 - a full disk or a strange record: the study is over, and was good
            self._display.say(f"no report: {error!r}. Once that is cured: idealfit report {result.name}")
            return None

    def _model(self, export: Work | None, result: StudyResult) -> Path | None:
        if export is None:
            return None
        place, say = self._working_dir, self._display.say
        return winner_model(self._plan, result, self._engine, export, working_dir=place, on_problem=say)

    def _train(self, finisher: Finisher) -> StudyResult:
        rows, _ = read_rows(self._plan.runs_dir, self._plan.name)
        self._progress.begin(rows)
        loop = StudyLoop(
            plan=self._plan,
            composer=self._composer,
            ledger=self._ledger,
            engine=self._engine,
            work=run_trial,
            progress=self._progress,
            display=self._display,
            listener=finisher,
            working_dir=self._working_dir,
            provenance=self._circumstances.sha256,
            stop_requested=self._switch.is_requested,
        )
        ending, reason = loop.run()
        return study_result(
            self._plan,
            ending,
            reason,
            num_new_trials=self._progress.num_new,
            seconds=time.monotonic() - self._started,
        )
