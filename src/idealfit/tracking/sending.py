"""Sending a run, whatever became of it in the store meanwhile."""

from __future__ import annotations

from idealfit.tracking.store import Store
from idealfit.tracking.study_run import StudyRun
from idealfit.tracking.trial_run import TrialRun


def send(run: TrialRun | StudyRun, store: Store, *, finish: bool) -> None:
    """Send `run`; make it anew where the store does not know it any more: another database, a purge."""
    try:
        run.send(store, finish=finish)
    except Exception as error:
        if getattr(error, "error_code", None) != "RESOURCE_DOES_NOT_EXIST":
            raise
        store.forget_experiment()
        run.forget_run()
        run.send(store, finish=finish)
