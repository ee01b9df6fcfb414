"""The winner's network as a folder that stands by itself, made where torch is: in one of the engine's slots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from idealfit.record import Record
from idealfit.spec import Engine, TrialState, Work
from idealfit.study.outcome import StudyResult
from idealfit.study.plan import StudyPlan

TIMEOUT_S = 300.0


def winner_model(
    plan: StudyPlan,
    result: StudyResult,
    engine: Engine,
    export: Work,
    *,
    working_dir: str,
    on_problem: Callable[[str], None],
) -> Path | None:
    """Export the winner of a finished study to `STUDY/winner/model`; None where there is none or it can't be.

    Args:
        plan: Says what is trusted.
        result: Whose winner.
        engine: Does the work.
        export: `reproduce.winner.export_winner`, or what stands for it.
        working_dir: Where a user's own modules are imported from.
        on_problem: Told why there is no model; a model is never worth a study.
    """
    tracking = plan.root["tracking"]
    best = result.best
    if result.ending != "done" or best is None or not (tracking["uri"] and tracking["model"]):
        return None
    record = Record(best.record_dir)
    if not record.trained(record.read_result()).best_weights_path.exists():
        return None
    return exported(
        record,
        plan.study_dir / "winner",
        engine,
        export,
        trusted=list(plan.root["trusted_packages"]),
        working_dir=working_dir,
        what="winner",
        on_problem=on_problem,
    )


def exported(
    record: Record,
    place: Path,
    engine: Engine,
    export: Work,
    *,
    trusted: list[str],
    working_dir: str,
    what: str,
    on_problem: Callable[[str], None],
) -> Path | None:
    """Export the network of a record to `PLACE/model`, in one process; None where it can't be.

    Args:
        record: Whose network.
        place: A folder beside the record.
        engine: Does the work.
        export: As for `winner_model`.
        trusted: Packages whose classes may be built.
        working_dir: Where a user's own modules are imported from.
        what: Names it for `on_problem`.
        on_problem: Told why there is no model.
    """
    spec = record.read_spec().with_(
        record_dir=str(place), attempt=0, trusted_packages=trusted, working_dir=working_dir, num_ranks=1
    )
    done = engine.submit(export, spec, timeout_s=TIMEOUT_S).result()
    if done.state is not TrialState.COMPLETE:
        on_problem(f"the {what} is no model in MLflow: {done.message.strip()}")
        return None
    return place / "model"
