"""Before anything trains: every kind of model that the space can ask for is built once, on real data, in a worker."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace

from idealfit.space import to_overrides
from idealfit.spec import JSON, Engine, FailureKind, Params, StudyError, TrialResult, TrialSpec, TrialState, Work
from idealfit.study.plan import StudyPlan
from idealfit.study.retry import next_attempt

Check = Future[TrialResult]
POLL_S = 0.2


class Preflight:
    """Checks submitted to the engine; they run while the controller does something else.

    Args:
        check: `trial.check_trial`, or what stands for it.
        working_dir: Where a user's own modules are imported from.
    """

    def __init__(self, plan: StudyPlan, engine: Engine, check: Work, *, working_dir: str) -> None:
        self._dir = plan.study_dir / ".preflight"
        self._engine = engine
        self._check = check
        self._max_restarts = plan.max_restarts
        self._checks: list[tuple[TrialSpec, Check]] = []
        for number, (params, config) in enumerate(plan.corners):
            spec = TrialSpec(
                study=plan.name,
                number=number,
                config=config,
                record_dir=str(self._dir / str(number)),
                seed=config["seed"],
                objective=plan.objective,
                params=params,
                trusted_packages=list(plan.root["trusted_packages"]),
                working_dir=working_dir,
            )
            self._checks.append((spec, engine.submit(check, spec)))

    def result(self, stop_requested: Callable[[], bool]) -> JSON | None:
        """Wait for all; returns what was found out about the data and the first model, or None after a stop request.

        Raises:
            StudyError: A combination can't be trained; the message names it and says why.
        """
        try:
            results = []
            for spec, check in self._checks:
                result = self._settled(spec, check, stop_requested)
                if result is None:
                    return None
                results.append((spec.params, result))
            _raise_first_failure(results)
            return results[0][1].facts if results else {}
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


def _raise_first_failure(results: Sequence[tuple[Params, TrialResult]]) -> None:
    for params, result in results:
        if result.state is TrialState.COMPLETE:
            continue
        where = f" (with {' '.join(to_overrides(params))})" if params else ""
        if result.failure is FailureKind.INPUT:
            raise StudyError(f"{result.message}{where}")
        raise StudyError(f"the study holds a trial that can't start{where}: {result.failure}: {result.message}")
