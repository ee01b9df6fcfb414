"""A trial that notes when it began, and imports next to nothing first."""

from __future__ import annotations

import time

from idealfit.spec import StopSignal, TrialResult, TrialSpec, TrialState

TRIAL_S = 0.5


def stamp(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Its result holds the time of its first line, in seconds since 1970."""
    began = time.time()
    time.sleep(TRIAL_S)
    return TrialResult(state=TrialState.COMPLETE, value=0.5, num_epochs=1, facts={"began": began})
