"""The study in Optuna's storage: the only module that asks and tells."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial
from optuna.trial import TrialState as OptunaState

from idealfit import __version__
from idealfit.pruning import StorageLostError, close_storage, open_storage, reached, synced_once
from idealfit.space import point_key
from idealfit.spec import (
    JSON,
    Params,
    QuestionChangedError,
    StudyError,
    TrialResult,
    redacted,
    sha256_of,
)
from idealfit.study.adopt import adopt_records, told_state
from idealfit.study.budget import Spent
from idealfit.study.device_time import study_device_seconds
from idealfit.study.drawing import draw_point
from idealfit.study.making import Point
from idealfit.study.plan import StudyPlan, differences
from idealfit.study.samplers import make_sampler

QUESTION = "idealfit:question"
FACTS = "idealfit:facts"
SECONDS = "idealfit:seconds"
PATIENCE_S = 20.0  # how long a study waits for a database that restarts before it stops
T = TypeVar("T")
WAYS_OUT = (
    "Their trials can't be mixed. Undo the change, or start another study: "
    "study.name=OTHER names it, --force takes the next free name."
)


class Ledger:
    """Which trials there are, what each got, and what is spent.

    A trial that a dead or interrupted controller left running keeps its number: it is asked again before any new one,
    as another attempt on the same record, so its checkpoint, its curve and its MLflow run go on.
    """

    def __init__(self, plan: StudyPlan) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # one line a trial from Optuna beside ours is noise
        self._plan = plan
        self._started = time.monotonic()
        self._lost: StorageLostError | None = None
        # No pruner here: Optuna would show the sampler only the trials of one Hyperband bracket, so that a small study
        # never leaves random search. Workers prune, with the real one.
        self._study = self._open_study()
        self.num_adopted = adopt_records(self._study, plan)
        trials = self._study.get_trials(deepcopy=False)
        self._study.sampler = self._make_sampler(len(trials))
        self._seconds_before = float(self._study.user_attrs.get(SECONDS, 0.0))
        self._is_new = not trials  # a first start may have failed its checks: nothing is mixed up by asking anew
        self._unfinished = [t for t in trials if t.state is OptunaState.RUNNING]
        self._num_finished = sum(t.state.is_finished() for t in trials)
        self._num_running = 0
        self.epochs: dict[int, int] = {}  # of finished trials, by number
        self._gpu_seconds = 0.0
        self.count_gpu_seconds()
        self._seen: dict[str, list[int]] = {}  # trials of each point
        for trial in trials:
            self._remember(trial.number, trial.params)
        self.notes: list[str] = []
        self._starting_points = self._find_starting_points()

    def _open_study(self) -> optuna.Study:
        """Make or load it; one without a trial may have been made for other directions, and is made anew."""
        plan = self._plan
        storage = open_storage(plan.storage, patience_s=PATIENCE_S)
        directions = [goal.direction for goal in plan.objective.goals]
        for _ in range(2):
            study = optuna.create_study(
                study_name=plan.name,
                storage=storage,
                directions=directions,
                pruner=optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
            if [direction.name.lower() for direction in study.directions] == directions:
                return study
            if study.get_trials(deepcopy=False):
                break
            optuna.delete_study(study_name=plan.name, storage=storage)
        if QUESTION not in study.user_attrs:
            raise StudyError(f"{plan.storage}: its study {plan.name!r} is of another program, or damaged.")
        return study  # `check_question` tells what changed

    def close(self) -> None:
        """Close the connections to the storage."""
        close_storage(self._study._storage)

    def _make_sampler(self, num_trials: int) -> BaseSampler:
        plan = self._plan
        return make_sampler(plan.sampler, plan.sampler_options, space=plan.space, seed=plan.seed, num_trials=num_trials)

    def check_question(self, identity: JSON) -> None:
        """Refuse to go on with a study that asked something else; store the question of a new one.

        Raises:
            QuestionChangedError: The question changed; the differences are listed.
        """
        stored = self._study.user_attrs.get(QUESTION)
        if stored is None or self._is_new:
            self._study.set_user_attr(QUESTION, {**identity, "idealfit": __version__, "optuna": optuna.__version__})
            return
        old = {key: value for key, value in stored.items() if key not in ("idealfit", "optuna")}
        if sha256_of(old) != sha256_of(identity):
            # Through JSON, because the storage made lists of tuples and strings of keys.
            changed = "\n  ".join(differences(old, json.loads(json.dumps(identity))))
            raise QuestionChangedError(
                f"study {self._plan.name!r} exists and asked another question:\n  {changed}\n{WAYS_OUT}"
            )

    @property
    def spent(self) -> Spent:
        """What is used up now, running trials counted."""
        return Spent(
            trials=self._num_finished + self._num_running + len(self._unfinished),
            epochs=sum(self.epochs.values()),
            hours=self.seconds / 3600,
            gpu_seconds=self._gpu_seconds,
        )

    @property
    def seconds(self) -> float:
        """Wall-clock seconds with a controller at work, over all sessions."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def num_unfinished(self) -> int:
        """Trials left over from an earlier session that wait to go on."""
        return len(self._unfinished)

    def ask(self) -> Point:
        """The next trial: one that waits to go on, else a starting point, else a new one.

        Raises:
            NoPointError: The sampler draws nothing but forbidden points.
        """
        with synced_once(self._study._storage):  # before its record is begun
            return self._ask()

    def _ask(self) -> Point:
        self._reach(self._enqueue)
        if self._plan.is_deterministic:
            self._study.sampler = self._make_sampler(self._next_number())  # what it draws depends on no session before
        # Not again: what asked once may have made a trial, and the next session finds it.
        trial = self._reach(self._next_trial, again=False)
        self._num_running += 1
        try:
            params = self._reach(lambda: draw_point(self._study, trial, self._plan.space, seed=self._plan.seed))
        except (TypeError, KeyError) as error:  # a sampler met what no sampler has drawn
            raise StudyError(
                f"the trials in {redacted(self._plan.storage)} hold values that make no sense ({error}). "
                "Restore it from a copy, or start another study with study.name=OTHER."
            ) from error
        return Point(number=trial.number, params=params, replicates=self._remember(trial.number, params))

    def _remember(self, number: int, params: Params) -> tuple[int, ...]:
        """Note a trial's point; returns the earlier trials of the same one, unless the search sets the seed itself."""
        if not params or "seed" in self._plan.space.entries:
            return ()
        trials = self._seen.setdefault(point_key(params), [])
        if number not in trials:
            trials.append(number)
        return tuple(sorted(other for other in trials if other < number))

    def _find_starting_points(self) -> list[Params]:
        """What to enqueue: an earlier study's best only once, when the study is new."""
        search = self._plan.search
        best = search.warm_points(self._plan.runs_dir) if self._is_new else []
        if best and search.warm_start:
            self.notes.append(f"starting from {len(best)} of the best points of study {search.warm_start[0]}")
        return [*search.enqueued, *best]

    def _enqueue(self) -> None:
        while self._starting_points:
            self._study.enqueue_trial(self._starting_points[0], skip_if_exists=True)
            self._starting_points.pop(0)

    def _next_number(self) -> int:
        if self._unfinished:
            return self._unfinished[0].number
        trials = self._study.get_trials(deepcopy=False)
        return next((trial.number for trial in trials if trial.state is OptunaState.WAITING), len(trials))

    def _next_trial(self) -> Trial:
        return Trial(self._study, self._unfinished.pop(0)._trial_id) if self._unfinished else self._study.ask()

    def tell(self, number: int, result: TrialResult) -> None:
        """Close a trial; an interrupted one stays open, and the next session asks it again."""
        with synced_once(self._study._storage):
            self._tell(number, result)

    def _tell(self, number: int, result: TrialResult) -> None:
        self._num_running -= 1
        self.save_seconds()
        if not result.state.is_finished:
            return
        state = told_state(result)
        objective = self._plan.objective
        values = objective.values(result.value, result.summaries) if state is OptunaState.COMPLETE else None
        for constraint, excess in objective.excesses(result.summaries).items():
            self._reach(partial(self._set_constraint, number, str(constraint), excess))
        self._reach(lambda: self._study.tell(number, values, state=state, skip_if_finished=True))
        self._num_finished += 1
        self.epochs[number] = result.num_epochs

    def _set_constraint(self, number: int, name: str, excess: float) -> None:
        """Tell how far a trial breaks a constraint; Optuna takes that once, and before the trial ends."""
        trial_id = self._study._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        trial = self._study._storage.get_trial(trial_id)
        if name not in trial.constraints and not trial.state.is_finished():
            Trial(self._study, trial_id).set_constraint(name, excess)

    def count_gpu_seconds(self) -> None:
        """Count what earlier sessions took, by their records, where the budget asks for it."""
        if self._plan.budget.gpu_seconds is not None:
            self._gpu_seconds = study_device_seconds(self._plan.runs_dir, self._plan.name)

    def add_gpu_seconds(self, seconds: float) -> None:
        """Count what an attempt of this session took."""
        self._gpu_seconds += seconds

    def check_facts(self, facts: JSON) -> None:
        """Refuse to go on with other images or other code than before, whatever their folder is called.

        Args:
            facts: What the checks found out, of which `data_fingerprint` and `code` count.

        Raises:
            QuestionChangedError: Data or code changed since the study began.
        """
        found = {"data": facts.get("data_fingerprint", ""), "code": facts.get("code", {})}
        stored = self._study.user_attrs.get(FACTS)
        if stored is None or self._is_new:
            self._study.set_user_attr(FACTS, found)
        elif changed := differences(stored, found):
            lines = "\n  ".join(changed)
            raise QuestionChangedError(
                f"study {self._plan.name!r} was begun with other data or code, by the hashes of their content:\n"
                f"  {lines}\n{WAYS_OUT}"
            )

    def save_seconds(self) -> None:
        """Keep the clock over sessions."""
        self._reach(lambda: self._study.set_user_attr(SECONDS, round(self.seconds, 3)))

    def _reach(self, call: Callable[[], T], *, again: bool = True) -> T:
        """Ask or tell; once the storage was lost, whoever asks again need not wait again."""
        if self._lost:
            raise self._lost
        try:
            return reached(call, self._plan.storage, again=again)
        except StorageLostError as error:
            self._lost = error
            raise


def load_optuna_study(storage: str, name: str) -> Any:
    """The plain `optuna.Study` behind a study, for plots and for users who want more.

    Raises:
        StudyError: There is none.
    """
    try:
        return optuna.load_study(study_name=name, storage=open_storage(storage))
    except KeyError:
        raise StudyError(f"no study {name!r} in {redacted(storage)}") from None
