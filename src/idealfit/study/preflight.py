"""Before anything trains: every kind of model that will be trained is built once, on real data, in a worker."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path

from idealfit.space import to_overrides
from idealfit.spec import Engine, FailureKind, StudyError, TrialResult, TrialSpec, TrialState, Work
from idealfit.study.plan import StudyPlan
from idealfit.study.retry import next_attempt

Check = Future[TrialResult]
POLL_S = 0.2


class Preflight:
    """Checks submitted to the engine; they run while the controller does something else.

    Args:
        specs: What to check; the number and the folder of each are the preflight's own.
        check: `trial.check_trial`, or what stands for it.
        folder: Holds what the checks leave, until they have ended.
        max_restarts: How often a check is made again whose process was killed.
    """

    def __init__(
        self, specs: Sequence[TrialSpec], engine: Engine, check: Work, *, folder: Path, max_restarts: int
    ) -> None:
        self._dir = folder / ".preflight"
        self._engine = engine
        self._check = check
        self._max_restarts = max_restarts
        self._checks: list[tuple[TrialSpec, Check]] = []
        for number, spec in enumerate(specs):
            placed = spec.with_(number=number, record_dir=str(self._dir / str(number)), num_ranks=1)
            self._checks.append((placed, engine.submit(check, placed)))

    def results(self, stop_requested: Callable[[], bool]) -> list[TrialResult] | None:
        """Wait for all; returns what came out of each, or None after a stop request."""
        try:
            results = []
            for spec, check in self._checks:
                result = self._settled(spec, check, stop_requested)
                if result is None:
                    return None
                results.append(result)
            return results
        finally:
            shutil.rmtree(self._dir, ignore_errors=True)

    def _settled(self, spec: TrialSpec, check: Check, stop_requested: Callable[[], bool]) -> TrialResult | None:
        """The result of one check, made again where its process was killed; None after a stop request."""
        while True:
            while not check.done():
                if stop_requested():
                    return None
                wait([check], timeout=POLL_S)
            result = replace(check.result(), num_restarts=spec.attempt)
            again = next_attempt(spec, result, max_restarts=self._max_restarts)
            if again is None:
                return result
            spec, check = again, self._engine.submit(self._check, again)


def corner_specs(plan: StudyPlan, *, working_dir: str) -> list[TrialSpec]:
    """One trial for each kind that the space can ask for; a user's own modules are imported from `working_dir`."""
    return [
        TrialSpec(
            study=plan.name,
            number=0,
            config=config,
            record_dir="",
            seed=config["seed"],
            objective=plan.objective,
            params=params,
            trusted_packages=list(plan.root["trusted_packages"]),
            working_dir=working_dir,
        )
        for params, config in plan.corners
    ]


def raise_first_failure(specs: Sequence[TrialSpec], results: Sequence[TrialResult]) -> None:
    """Refuse the first trial of a study that can't start.

    Raises:
        StudyError: A combination can't be trained; the message names it and says why.
    """
    for params, result in zip((spec.params for spec in specs), results, strict=True):
        if result.state is TrialState.COMPLETE:
            continue
        where = f" (with {' '.join(to_overrides(params))})" if params else ""
        if result.failure is FailureKind.INPUT:
            raise StudyError(f"{result.message}{where}")
        raise StudyError(f"the study holds a trial that can't start{where}: {result.failure}: {result.message}")
