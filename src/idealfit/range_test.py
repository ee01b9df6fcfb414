"""A learning-rate range test as a run with a record: its options, and the work of it. Nothing heavy at the top."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from idealfit.engines.failures import failed
from idealfit.record import Record
from idealfit.spec import (
    ConfigError,
    FailureKind,
    Params,
    StopSignal,
    TrialResult,
    TrialSpec,
    TrialState,
    UserError,
)
from idealfit.trial import check_trial, classified, kept

STUDY = "lr_range"  # the folder of these runs, and their experiment in MLflow
FACT = "lr_range"
"""Of the result: rates, losses and smoothed losses by step, and what is suggested."""
SUGGESTED = "lr_range/suggested"
LEAST_STEPS, MOST_STEPS = 20, 100_000


def options(lowest: float, highest: float, num_steps: int) -> Params:
    """The parameters of a test.

    Raises:
        ConfigError: They make no test.
    """
    if not (math.isfinite(highest) and 0 < lowest < highest):
        raise ConfigError(f"a range test goes from a rate above 0 to a higher one, got {lowest:g} and {highest:g}")
    if not LEAST_STEPS <= num_steps <= MOST_STEPS:
        raise ConfigError(f"a range test takes {LEAST_STEPS} to {MOST_STEPS} steps, got {num_steps}")
    return {f"{FACT}.lowest": lowest, f"{FACT}.highest": highest, f"{FACT}.steps": num_steps}


def rates(lowest: float, highest: float, num_steps: int) -> list[float]:
    """From the lowest to the highest, each the same factor above the one before."""
    factor = (highest / lowest) ** (1 / (num_steps - 1))
    return [lowest * factor**step for step in range(num_steps)]


def check_range_test(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Build every part without a step. Never raises, and writes no record; see `trial.check_trial`."""
    checked = check_trial(spec, stop)
    if checked.state is not TrialState.COMPLETE:
        return checked
    try:
        from idealfit.train.ranging import check_rangeable

        check_rangeable(spec.config, spec.objective, spec.trusted_packages)
    except UserError as error:
        return failed(spec, FailureKind.INPUT, str(error))
    return checked


def run_range_test(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Test the learning rates of the run of `spec`. Never raises, and leaves the result in the record."""
    record = Record(spec.record_dir)
    started = time.perf_counter()
    try:
        result = _tested(spec, stop)
    except BaseException as error:  # noqa: BLE001 - whatever a user's net raises is a result
        result = classified(spec, error)
    return kept(record, replace(result, fit_seconds=time.perf_counter() - started))


def _tested(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    from idealfit.engines.worker import make_importable
    from idealfit.train.ranging import range_test

    make_importable(spec)
    lowest, highest, num_steps = (float(spec.params[f"{FACT}.{name}"] or 0) for name in ("lowest", "highest", "steps"))
    with tempfile.TemporaryDirectory() as root_dir:
        found, facts = range_test(
            spec.config,
            objective=spec.objective,
            rates=rates(lowest, highest, int(num_steps)),
            stop=stop,
            root_dir=Path(root_dir),
            trusted_packages=spec.trusted_packages,
            num_threads=spec.num_threads,
        )
    tested = {"rates": found.rates, "losses": found.losses, "smoothed": found.smoothed, "suggested": found.suggested}
    return TrialResult(
        state=TrialState.INTERRUPTED if stop.is_set() else TrialState.COMPLETE,
        summaries={} if found.suggested is None else {SUGGESTED: found.suggested},
        facts=facts | {FACT: tested},
        attempt=spec.attempt,
    )
