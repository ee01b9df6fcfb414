"""Several trials of one shape in one worker, each with its own record, metrics, reporter and result."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from dataclasses import replace

from idealfit.engines.failures import interrupted
from idealfit.engines.group_worker import Group, Guest
from idealfit.record import Record
from idealfit.spec import TrialResult
from idealfit.train.fit import FitResult
from idealfit.train.fused import Applicant, fit_group
from idealfit.trial import classified, is_out_of_memory, kept, reporting, result_of


def run_group(group: Group) -> None:
    """Train the trials of `group` as one program, each as `run_trial` would train it alone.

    Where the memory runs out, half as many are tried next; a single one must go alone, where its batches are halved.
    """
    there: list[Attempt] = []

    def arrivals(at_most: int) -> list[Applicant]:
        attempts = [Attempt(group, guest) for guest in group.take(at_most)]
        there.extend(attempts)
        return [applicant for attempt in attempts if (applicant := attempt.begun())]

    try:
        fit_group(arrivals, max_trials=group.max_trials, num_threads=group.num_threads, on_room=group.limit)
    except Exception as error:
        open_ones = [attempt for attempt in there if attempt.is_open]
        if not is_out_of_memory(error):
            raise
        traceback.print_exception(error)
        if len(open_ones) > 1:
            group.limit(len(open_ones) // 2)
        else:
            for attempt in open_ones:
                group.refuse(attempt.guest, "a trial that needs all the memory", is_shape=False)
    finally:
        for attempt in there:
            attempt.close()


class Attempt:
    """One attempt of one trial of the group."""

    def __init__(self, group: Group, guest: Guest) -> None:
        self.guest = guest
        self.is_open = True
        self._group = group
        self._record = Record(guest.spec.record_dir)
        self._held = ExitStack()

    def begun(self) -> Applicant | None:
        """What asks to be trained; None where it ended at once."""
        spec = self.guest.spec
        try:
            if self.guest.stop.is_set():
                self._tell(kept(self._record, interrupted(spec)))
                return None
            if not self._record.spec_path.exists():
                Record.create(spec)
            reporter = self._held.enter_context(reporting(spec))
        except Exception as error:  # noqa: BLE001 - a storage or a disk may fail in any way; the others go on
            self._end(error)
            return None
        return Applicant(
            config=spec.config,
            objective=spec.objective,
            reporter=reporter,
            stop=self.guest.stop,
            on_epoch=lambda epoch, metrics: self._record.append_metrics(epoch, metrics, attempt=spec.attempt),
            checkpoint_dir=self._record.checkpoint_dir,
            trusted_packages=spec.trusted_packages,
            on_end=self._end,
            on_refusal=self._refuse,
        )

    def close(self) -> None:
        """Let go of the storage."""
        self._held.close()

    def _end(self, outcome: FitResult | BaseException) -> None:
        spec = self.guest.spec
        try:
            self.close()
            if isinstance(outcome, BaseException):
                result = classified(spec, outcome)
            else:
                result = result_of(spec, self._record, outcome)
        except Exception as error:  # noqa: BLE001 - as `run_trial`, which never raises
            result = classified(spec, error)
        self._tell(kept(self._record, result))

    def _refuse(self, reason: str, is_shape: bool) -> None:
        self.is_open = False
        self.close()
        self._group.refuse(self.guest, reason, is_shape=is_shape)

    def _tell(self, result: TrialResult) -> None:
        self.is_open = False
        self._group.tell(self.guest, replace(result, attempt=self.guest.spec.attempt))
