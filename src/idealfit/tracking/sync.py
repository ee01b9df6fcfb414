"""Sending what the mirror could not: all of a study's records, once, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from idealfit.tracking.files import RunFiles
from idealfit.tracking.sending import send
from idealfit.tracking.store import Store
from idealfit.tracking.study_run import StudyRun
from idealfit.tracking.trial_run import TrialRun


@dataclass(kw_only=True)
class SyncReport:
    """What `sync` did: trials looked at, trials that something was sent of, and what failed, one line each."""

    num_trials: int = 0
    num_sent: int = 0
    failures: list[str] = field(default_factory=list)


def sync(
    records: Iterable[RunFiles],
    *,
    study: str,
    study_dir: Path | None,
    uri: str,
    experiment: str | None = None,
    is_running: bool = False,
    on_trial: Callable[[int, str], None] | None = None,
) -> SyncReport:
    """Bring the store up to date with the records of a study. What is there already is not sent again.

    Args:
        records: The study's records, by number.
        study: Its name.
        study_dir: `RUNS_DIR/STUDY`; None for runs outside a study.
        uri: MLflow's tracking URI.
        experiment: MLflow experiment; None: the study's name.
        is_running: Whether a controller works on the study now; else a record without a result is told interrupted.
        on_trial: Called with count and label after each trial.

    Raises:
        TrackingError: The store cannot be reached.
    """
    store = Store(uri, experiment or study)
    store.connect()
    parent = StudyRun(study_dir, study, store.experiment) if study_dir else None
    report = SyncReport()
    lost = _LostRuns(store)
    if parent:
        lost.forget(parent, parent.page.run_id)
        send(parent, store, finish=False)
    for files in records:
        run = TrialRun(files, parent)
        report.num_trials += 1
        lost.forget(run, run.run_id)
        try:
            _send_trial(run, store, is_running, report)
        except Exception as error:
            if store.is_at_fault(error):
                raise store.unusable(error) from error
            report.failures.append(f"{run.label}: {store.explain(error)}")
        if on_trial:
            on_trial(report.num_trials, run.label)
    if parent:
        send(parent, store, finish=True)
    return report


def _send_trial(run: TrialRun, store: Store, is_running: bool, report: SyncReport) -> None:
    if run.is_complete(store):
        return
    result = run.files.read_result()
    send(run, store, finish=result is not None or not is_running)
    report.num_sent += 1


class _LostRuns:
    """Which runs the store has: one question for a whole study, for a database may have been replaced since."""

    def __init__(self, store: Store) -> None:
        self._known = store.run_ids()

    def forget(self, run: TrialRun | StudyRun, run_id: str) -> None:
        if run_id and run_id not in self._known:
            run.forget_run()
