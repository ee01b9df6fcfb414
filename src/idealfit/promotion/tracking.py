"""A promotion in MLflow: a parent run beside the study's, its replicates below it, the champion in the registry."""

from __future__ import annotations

from pathlib import Path

from idealfit import __version__
from idealfit.promotion.options import PromoteOptions
from idealfit.record import PROMOTED
from idealfit.study.mirroring import ParentMirror, table
from idealfit.study.plan import StudyPlan
from idealfit.study.promotion import Promotion, promotion_dir
from idealfit.study.promotion_words import HEADER, cells, conclusion, look_sentences, regression, troubles


class PromotionMirror(ParentMirror):
    """A mirror with the promotion as the parent run, in the study's experiment."""

    def __init__(self, plan: StudyPlan, options: PromoteOptions) -> None:
        super().__init__(plan.root["tracking"], plan.name)
        self._plan = plan
        self._options = options
        self._name = f"{plan.name}/{PROMOTED}"

    @property
    def page(self) -> str:
        """See `ParentMirror`."""
        return f"Study **{self._plan.name}**: its best {self._options.top} and the default, on fresh seeds."

    def open(self) -> None:
        """Open the parent run, and send what an earlier controller could not.

        Raises:
            TrackingError: The store can't be reached and is required.
        """
        if not self.mirror:
            return
        plan = self._plan
        self.mirror.start_study(
            self._name,
            study_dir=promotion_dir(plan.study_dir),
            tags={"study": self._name, "promotes": plan.name},
            params={"idealfit": __version__, "objective": plan.objective.metric, "direction": plan.objective.direction},
            description=self.page,
            objective=plan.objective,
            searched=plan.space.keys,
        )
        self._has_opened(self.mirror, plan.runs_dir, self._name)

    def finish(self, promotion: Promotion | None, *, report_dir: Path | None = None, model: Path | None = None) -> None:
        """Say how it ended; None: it was stopped. `model` holds the exported champion."""
        if not self.mirror or not self._is_open:
            return
        self._is_open = False
        if promotion is None:
            again = f"Stopped. It goes on with `idealfit promote {self._plan.name}`."
            self.mirror.finish_study(state="interrupted", description=again)
            return
        self.mirror.finish_study(
            state="done",
            description=description(promotion),
            artifacts_dir=report_dir,
            model_dir=model,
            metrics=metrics(promotion),
            champion=self._plan.name,
        )


def description(promotion: Promotion) -> str:
    """The parent run's page in Markdown."""
    lines = [conclusion(promotion), "", *table(HEADER, cells(promotion)), ""]
    lines += [*troubles(promotion), regression(promotion)]
    for look in promotion.looks:
        lines += ["", *look_sentences(look)]
    return "\n".join(lines)


def metrics(promotion: Promotion) -> dict[str, float]:
    """The numbers of the chosen candidate, and of the last look at the test set."""
    verdict, choice = promotion.verdict, promotion.choice
    place = [each.name for each in verdict.ranked].index(choice.name)
    interval = verdict.intervals[place]
    found = {
        "promote/mean": verdict.choice.mean,
        "promote/low": interval.low,
        "promote/high": interval.high,
        **({"promote/drop": choice.drop} if choice.drop is not None else {}),
    }
    looks = [look for look in promotion.looks if look.measures]
    if looks:
        for name, each in looks[-1].metrics.items():
            told = {f"test/{name}": each.value, f"test/{name}_low": each.low, f"test/{name}_high": each.high}
            found |= {key: value for key, value in told.items() if value is not None}
        found["test/looks"] = float(looks[-1].number)
    return found
