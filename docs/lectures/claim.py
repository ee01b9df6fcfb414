"""What a claim of the lectures is: its words, the study that tests it, the statements that its records settle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from docs.lectures.verdicts import Expectation

ACCURACY, FINAL_ACCURACY, ROBUST = "best/val_accuracy", "final/val_accuracy", "final/val_robust_accuracy"
GAP, TRAIN_LOSS, VAL_LOSS = "overfit/gap_final", "final/train_loss", "final/val_loss"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim and how it is shown.

    Attributes:
        study: A file of `sweeps/lectures/`.
        says: The claim in the lectures' words.
        expectations: The statements that make it; all must hold.
        picture: What is drawn: `across` and perhaps `lines` (searched keys) for a metric's values, or neither for its
            curves over the epochs.
        metrics: Columns of the table.
        needs: A file of `sweeps/` that is to run before, where the study starts from its records.
        note: What a reader should know of the set-up.
        tried_first: Set-ups that were run before this one, and what they said: choosing is part of the finding.
    """

    study: str
    title: str
    says: str
    expectations: Sequence[Expectation]
    picture: Mapping[str, str]
    metrics: Sequence[str] = (ACCURACY, GAP)
    needs: str = ""
    note: str = ""
    tried_first: str = ""

    @property
    def measures(self) -> set[str]:
        """Every metric that the page needs of a trial, as `Trial.measure` names them, and curves by their own name."""
        return {*self.metrics, self.picture["metric"], *(expectation.metric for expectation in self.expectations)}


def one_of(key: str, better: Any, worse: Any, says: str, **options: Any) -> Expectation:
    """`better` against `worse` values of one key; `among` narrows both sides."""
    among = options.pop("among", {})
    return Expectation(says=says, better={key: better, **among}, worse={key: worse, **among}, **options)
