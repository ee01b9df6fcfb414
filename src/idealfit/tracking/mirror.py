"""The mirror: one thread that keeps MLflow up to date with the records, and never stands in the way of the study."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from idealfit.spec import Objective, TrackingError
from idealfit.tracking import address
from idealfit.tracking.files import RunFiles
from idealfit.tracking.probe import probe
from idealfit.tracking.sending import send
from idealfit.tracking.store import Store
from idealfit.tracking.study_run import StudyRun
from idealfit.tracking.trial_run import TrialRun
from idealfit.tracking.views import LEADERBOARD, ui_address, view_key

MAX_PAUSE_S = 30.0
GIVE_UP_S = 5.0  # a store that is down when the study ends: `idealfit sync` sends the rest


class Mirror:
    """Sends records to MLflow while trials run. Its thread imports MLflow, reads the records and sends in batches.

    All methods but `wait_ready`, `flush` and `close` return at once. No error of the store reaches the caller after
    `wait_ready`: what could not be sent stays in the records, is tried again, and is told by `close`.

    Args:
        uri: MLflow's tracking URI; a relative SQLite path counts from the working directory of now.
        experiment: MLflow experiment; it is created where it is missing.
        required: Whether a store that cannot be reached is an error.
        interval_s: Seconds between two looks at the records.
        apart: Let another process find out whether the store works, for this one is busy with imports of its own.

    Raises:
        TrackingError: `uri` is no tracking URI, or, where the store is required, it does not answer.
    """

    def __init__(
        self, *, uri: str, experiment: str, required: bool = True, interval_s: float = 10.0, apart: bool = False
    ) -> None:
        self._store = Store(uri, experiment)
        self._required = required
        if required:
            address.check(self._store.uri)
        self._interval_s = interval_s
        self._apart = apart
        self._study: StudyRun | None = None
        self._trials: dict[Path, tuple[TrialRun, bool]] = {}  # the flag: the trial has ended
        self._urgent: set[Path] = set()  # started or ended since the last look; the others wait until they are due
        self._is_all_urgent = False
        self._due = time.monotonic() + interval_s
        self._errors: dict[str, str] = {}
        self._changed = threading.Condition()
        self._asked = self._answered = 0
        self._ready = False
        self._is_down = False
        self._deadline: float | None = None  # set by close()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="idealfit-mirror", daemon=True)
        self._thread.start()

    @property
    def uri(self) -> str:
        """The store's address, absolute and without credentials."""
        return self._store.shown

    @property
    def trouble(self) -> str:
        """What keeps the mirror from sending right now; "" while all is well."""
        return next(iter(list(self._errors.values())), "")

    @property
    def experiment_id(self) -> str | None:
        """Known after `wait_ready`, or the first `flush`."""
        return self._store.known_experiment_id

    @property
    def parent_run_id(self) -> str | None:
        """The study's run; known after a `flush`."""
        return self._study.page.run_id or None if self._study else None

    @property
    def address(self) -> str:
        """Where the study's trials are to be seen, best first; "" for a local store, which `idealfit ui` serves."""
        if not self._study or not self.experiment_id or not self._store.is_server:
            return ""
        base, name = address.base_address(self._store.uri), self._study.page.name
        view = view_key(name, LEADERBOARD) if self._store.knows_views else None
        return ui_address(base, self.experiment_id, name, self._study.objective, view=view)

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Block until the store has answered for the first time.

        Raises:
            TrackingError: It does not, and is required.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._errors, timeout_s)
            if self._required and not self._ready:
                raise TrackingError(
                    self.trouble or f"The tracking store {self.uri!r} did not answer in {timeout_s:.0f} s."
                )

    def start_study(
        self,
        name: str,
        *,
        study_dir: Path,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        description: str,
        objective: Objective,
        searched: Sequence[str],
    ) -> None:
        """Open the parent run, or open it again for a resumed study; first wait for a store that is required.

        Args:
            name: The study's.
            study_dir: `RUNS_DIR/STUDY`; keeps `mirror.json`, so that all of this can also be sent later.
            tags: Repeated on each trial's run, so that a flat filter finds them.
            params: Of the parent run; MLflow never changes one that is logged, so put what may change into tags.
            description: Markdown.
            objective: What ranks the trials.
            searched: Keys of the space: columns of the leaderboard.

        Raises:
            TrackingError: As `wait_ready`.
        """
        if self._required:
            self.wait_ready()
        study = StudyRun(study_dir, name, self._store.experiment)
        study.start(tags=tags, params=params, description=description, objective=objective, searched=searched)
        self._study = study
        self._ask()

    def start_trial(self, files: RunFiles) -> None:
        """Open the trial's run, and send its metrics as they come. A trial that goes on keeps its run."""
        self._put(files, ended=False)

    def finish_trial(self, files: RunFiles) -> None:
        """Send what is left, the summaries and the pictures, and end the run in the state that the result tells."""
        self._put(files, ended=True)

    def has_all_of(self, files: RunFiles) -> bool:
        """Whether the store was sent all of a finished trial, by what its record notes; asks nobody."""
        return TrialRun(files, self._study).is_complete(self._store)

    def finish_study(
        self,
        *,
        state: str,
        description: str,
        artifacts_dir: Path | None = None,
        model_dir: Path | None = None,
        metrics: Mapping[str, float] | None = None,
        champion: str = "",
    ) -> None:
        """End the parent run.

        Args:
            state: done, interrupted or failed.
            description: Markdown.
            artifacts_dir: Its content becomes artifacts.
            model_dir: The exported winner, which becomes a model.
            metrics: Of the parent run itself.
            champion: Registers the model under this name, with the alias `champion`.
        """
        if self._study:
            self._study.finish(
                state=state,
                description=description,
                report_dir=artifacts_dir,
                model_dir=model_dir,
                metrics=metrics,
                champion=champion,
            )
            self._ask()

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Block until everything that is in the records now is in the store; False where it is not."""
        with self._changed:
            mine = self._ask(all_of_it=True)
            return self._changed.wait_for(lambda: self._answered >= mine, timeout_s)

    def close(self, timeout_s: float = 60.0) -> list[str]:
        """Send the rest and stop. Returns what could not be sent, one line each; it stays in the records for `sync`."""
        with self._changed:
            self._deadline = time.monotonic() + timeout_s
            self._ask(all_of_it=True)
        self._thread.join(timeout_s + 1.0)
        return [f"{label}: {self._errors.get(label) or self.trouble or 'not sent in time'}" for label in self._unsent()]

    def _put(self, files: RunFiles, *, ended: bool) -> None:
        with self._changed:
            run = self._trials[files.path][0] if files.path in self._trials else TrialRun(files, self._study)
            self._trials[files.path] = (run, ended)
            self._urgent.add(files.path)
            self._ask()

    def _ask(self, *, all_of_it: bool = False) -> int:
        """Wake the thread, which answers the number returned once what is urgent now is in the store."""
        with self._changed:
            self._is_all_urgent |= all_of_it
            self._asked += 1
            self._changed.notify_all()
            return self._asked

    def _unsent(self) -> list[str]:
        study = [self._study.label] if self._study and not self._study.is_complete(self._store) else []
        return study + [run.label for run, ended in self._trials.values() if ended or run.label in self._errors]

    def _work(self) -> None:
        pause_s = 0.0
        while True:
            asked = self._asked
            self._is_down = False
            self._look()
            with self._changed:
                if not self._errors:
                    self._answered = asked
                self._changed.notify_all()
                if self._may_stop(asked):
                    return
                until_due_s = max(0.0, self._due - time.monotonic())
                pause_s = min(max(1.0, 2 * pause_s), MAX_PAUSE_S) if self._is_down else until_due_s
                if asked == self._asked:  # else something came up meanwhile
                    self._changed.wait(pause_s if self._deadline is None else 0.5)

    def _may_stop(self, asked: int) -> bool:
        """Whether all was sent after close() asked for it, or there is no point in trying for longer."""
        if self._deadline is None or asked < self._asked:
            return False
        if not self._is_closing:
            self._is_closing = True
            self._deadline = min(self._deadline, time.monotonic() + GIVE_UP_S)
        return not self._is_down or time.monotonic() >= self._deadline

    def _look(self) -> None:
        """Send everything that is not in the store yet, as far as the store works."""
        store, study = self._store, self._study
        self._attempt("store", self._connect)
        if study and not self._is_down:
            self._attempt(study.label, lambda: send(study, store, finish=False))
        for path, run, ended in self._take_due():
            if self._is_down or (self._deadline and time.monotonic() > self._deadline):
                return
            if self._attempt(run.label, partial(send, run, store, finish=ended)) and ended:
                self._drop(path)
        if study and not self._is_down:
            self._attempt(study.label, lambda: send(study, store, finish=True))

    def _take_due(self) -> list[tuple[Path, TrialRun, bool]]:
        """The trials to look at: those that are urgent; all of them after an interval, or an error."""
        with self._changed:
            now = time.monotonic()
            is_all = self._is_all_urgent or now >= self._due or bool(self._errors)
            urgent, self._urgent = self._urgent, set()
            if is_all:
                self._is_all_urgent, self._due = False, now + self._interval_s
            return [(path, run, ended) for path, (run, ended) in self._trials.items() if is_all or path in urgent]

    def _connect(self) -> None:
        if not self._ready:
            found = probe(self._store.uri, self._store.experiment) if self._apart else None
            if found:
                self._store.take_experiment(found)
            else:
                self._store.connect()
            self._ready = bool(self._store.experiment_id)

    def _attempt(self, label: str, step: Callable[[], None]) -> bool:
        try:
            step()
        except Exception as error:  # noqa: BLE001  whatever a store or MLflow comes up with, the study goes on
            self._errors[label] = self._store.explain(error)
            self._is_down = self._store.is_at_fault(error)
            return False
        self._errors.pop(label, None)
        return True

    def _drop(self, path: Path) -> None:
        with self._changed:
            if self._trials[path][1]:  # else it was started again while it was sent
                del self._trials[path]
