"""How a worker reports one trial to its study and asks the pruner."""

from __future__ import annotations

import sys
import time

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, MedianPruner, NopPruner, WilcoxonPruner

from idealfit.pruning.database import reason
from idealfit.pruning.errors import NoTrialError
from idealfit.pruning.pruners import FIRST_STEP, make_pruner
from idealfit.pruning.storage import Compares, close_storage, open_for_trial
from idealfit.spec import TrialSpec

SHARE_FOR_RETRIES = 0.1  # of a worker's time, at most, while the storage cannot be reached


class StorageReporter:
    """Reports the values of one trial to its study's storage and asks the pruner, from the worker.

    A trial never waits for its storage, nor fails with it: while that cannot be reached nothing is pruned, and what was
    not reported then is reported later. The record has every value all the same.

    Raises:
        StudyError: The storage does not know the trial.
    """

    def __init__(self, spec: TrialSpec) -> None:
        self._spec = spec
        self._pruner = make_pruner(spec.pruner["name"], spec.pruner["options"], spec.pruner["max_epochs"])
        self._trial: optuna.Trial | None = None
        self._reported: set[int] = set()
        self._waiting: dict[int, float] = {}  # by step: measured, not reported yet
        self._is_lost = False
        self._retry_at = -float("inf")
        self._send()

    def report(self, epoch: int, value: float) -> bool:
        """Report `value` after `epoch`; True: prune. Epochs that an earlier attempt reported are skipped."""
        step = epoch + FIRST_STEP
        if step in self._reported:
            return False
        self._waiting[step] = value
        return time.monotonic() >= self._retry_at and self._send()

    def close(self) -> None:
        """Report what is left, and close the storage."""
        if self._waiting:
            self._send()
        self._disconnect()

    def _send(self) -> bool:
        """Connect where needed, report what waits, ask the pruner."""
        started = time.monotonic()
        try:
            trial = self._trial or self._connect()
            should_prune = self._report_to(trial)
        except NoTrialError:
            raise
        except UpdateFinishedTrialError:
            print("idealfit: the study already counts this trial as ended; stopping it", file=sys.stderr)
            self._waiting.clear()
            return True
        except Exception as error:  # noqa: BLE001 - each storage has its own errors
            now = time.monotonic()
            self._retry_at = now + (now - started) / SHARE_FOR_RETRIES
            self._say_lost(error)
            return False
        if self._is_lost:
            print("idealfit: the study's storage answers again, nothing is missing there", file=sys.stderr, flush=True)
            self._is_lost = False
        return should_prune

    def _connect(self) -> optuna.Trial:
        storage, trial_id = open_for_trial(self._spec, compares=_compares(self._pruner))
        try:
            study = optuna.load_study(
                study_name=self._spec.study,
                storage=storage,
                sampler=optuna.samplers.RandomSampler(),
                pruner=self._pruner,
            )
            self._trial = optuna.Trial(study, trial_id)
            self._reported = set(storage.get_trial(trial_id).intermediate_values)
        except Exception:
            close_storage(storage)
            raise
        return self._trial

    def _report_to(self, trial: optuna.Trial) -> bool:
        if not self._waiting:
            return False
        for step, value in sorted(self._waiting.items()):
            if step not in self._reported:
                trial.report(value, step)
                self._reported.add(step)
            del self._waiting[step]
        return trial.should_prune()

    def _say_lost(self, error: Exception) -> None:
        if not self._is_lost:
            print(
                "idealfit: the study's storage cannot be reached, so nothing is pruned; training goes on: "
                + reason(error, self._spec.storage),
                file=sys.stderr,
                flush=True,
            )
        self._is_lost = True

    def _disconnect(self) -> None:
        if self._trial is not None:
            close_storage(self._trial.study._storage)
            self._trial = None


def _compares(pruner: BasePruner) -> Compares:
    if isinstance(pruner, NopPruner):
        return "nothing"
    return "values" if isinstance(pruner, MedianPruner | WilcoxonPruner) else "progress"
