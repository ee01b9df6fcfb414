"""From records to a promotion: the scores of all candidates, and the network to test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from idealfit.promotion.candidates import Chosen
from idealfit.protocol import scored_images
from idealfit.record import Record
from idealfit.spec import JSON, StudyError, TrialSpec, TrialState
from idealfit.study.plan import StudyPlan
from idealfit.study.promotion import Promotion, Replicated


def gathered(plan: StudyPlan, chosen: Sequence[Chosen], specs: Sequence[list[TrialSpec]]) -> Promotion:
    """The scores of all candidates, each with a spec for each seed.

    Raises:
        StudyError: None could be trained on every seed.
    """
    candidates = []
    num_images = None
    for each, of_one in zip(chosen, specs, strict=True):
        scores, facts, trouble = _scores([Record(spec.record_dir) for spec in of_one])
        num_images = scored_images(facts) or num_images
        candidates.append(
            Replicated(
                name=each.name,
                trial=each.trial,
                params=each.params,
                searched=each.searched,
                scores=scores,
                records=[spec.number for spec in of_one],
                num_params=facts.get("num_params"),
                trouble=trouble,
            )
        )
    if all(each.trouble for each in candidates):
        told = "; ".join(f"{each.name}: {each.trouble}" for each in candidates)
        raise StudyError(f"no candidate could be trained on every seed: {told}. See the logs in {plan.study_dir}.")
    return Promotion(
        study=plan.name,
        objective=plan.objective,
        seeds=[spec.seed for spec in specs[0]],
        candidates=candidates,
        num_val_images=num_images,
    )


def records_of(promotion: Promotion, folder: Path) -> list[Record]:
    """The replicates of the one to take."""
    return [Record(folder / str(number)) for number in promotion.choice.records]


def best_record(promotion: Promotion, folder: Path) -> Record:
    """Of the replicates of the one to take, that with the best score on validation images."""
    best: tuple[float, Record] | None = None
    for score, record in zip(promotion.choice.scores, records_of(promotion, folder), strict=True):
        if score is not None and (best is None or promotion.objective.is_better(score, best[0])):
            best = score, record
    assert best is not None  # noqa: S101 - a choice has all its scores
    return best[1]


def _scores(records: Sequence[Record]) -> tuple[list[float | None], JSON, str]:
    """Of the replicates of one candidate: scores, facts of the first complete one, and why it can't be ranked."""
    results = [record.read_result() for record in records]
    complete = [result for result in results if result and result.state is TrialState.COMPLETE]
    scores = [result.value if result and result.state is TrialState.COMPLETE else None for result in results]
    failures = [str(result.failure) for result in results if result and result.state is TrialState.FAILED]
    trouble = f"{len(failures)} of {len(results)} seeds failed ({', '.join(sorted(set(failures)))})" if failures else ""
    return scores, complete[0].facts if complete else {}, trouble
