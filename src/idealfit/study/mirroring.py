"""The mirror as a study sees it: opened beside the engine, told of every trial, always closed with a true state."""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from idealfit import __version__
from idealfit.objective import measure_text
from idealfit.protocol import num_rounds, rounds_text
from idealfit.record import Record, iter_records
from idealfit.spec import Objective
from idealfit.study.outcome import StudyResult, TrialRow
from idealfit.study.plan import StudyPlan
from idealfit.study.progress import params_text, value_text
from idealfit.text import counted
from idealfit.tracking import Mirror

NUM_LINKED = 5  # of the best trials, on the parent run's page


class RunMirror:
    """A mirror for runs outside a study; an empty `tracking.uri` makes one that does nothing.

    Args:
        tracking: The `tracking` node of the config.
        experiment: MLflow experiment, unless the node names one.
        apart: See `Mirror`.

    Raises:
        TrackingError: The store can't be reached and is required.
    """

    def __init__(self, tracking: Mapping[str, Any], experiment: str, *, apart: bool = False) -> None:
        self.not_sent: list[str] = []
        self.mirror: Mirror | None = None
        if tracking["uri"]:
            self.mirror = Mirror(
                uri=tracking["uri"],
                experiment=tracking["experiment"] or experiment,
                required=tracking["required"],
                interval_s=tracking["interval_s"],
                apart=apart,
            )

    @property
    def address(self) -> str:
        """Where to look on a tracking server; "" for a local store."""
        return self.mirror.address if self.mirror else ""

    def wait_ready(self) -> None:
        """Block until the store has answered.

        Raises:
            TrackingError: It does not, and is required.
        """
        if self.mirror:
            self.mirror.wait_ready()

    def trial_started(self, record: Record) -> None:
        """Open the trial's run."""
        if self.mirror:
            self.mirror.start_trial(record)

    def trial_ended(self, record: Record) -> None:
        """End the trial's run."""
        if self.mirror:
            self.mirror.finish_trial(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.mirror:
            self.not_sent = self.mirror.close(timeout_s=60.0 if error is None else 5.0)


class ParentMirror(RunMirror, ABC):
    """A mirror with a parent run, which ends as failed where an error ends what it stands for."""

    def __init__(self, tracking: Mapping[str, Any], experiment: str) -> None:
        super().__init__(tracking, experiment)
        self._is_open = False

    @property
    @abstractmethod
    def page(self) -> str:
        """The parent run's page as long as it runs, in Markdown."""

    def _has_opened(self, mirror: Mirror, runs_dir: Path, study: str) -> None:
        """The parent run is open: send what an earlier controller could not, for it was killed or the store down."""
        self._is_open = True
        for record in iter_records(runs_dir, study):
            result = record.read_result()
            if result is not None and result.state.is_finished and not mirror.has_all_of(record):
                mirror.finish_trial(record)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.mirror and self._is_open:  # an error is on its way out
            text = f"{self.page}\n\nIt ended by an error: {error!r}"
            self.mirror.finish_study(state="failed", description=text, artifacts_dir=None)
        super().__exit__(kind, error, trace)


class StudyMirror(ParentMirror):
    """A mirror with the study as the parent run."""

    def __init__(self, plan: StudyPlan) -> None:
        super().__init__(plan.root["tracking"], plan.name)
        self._plan = plan

    @property
    def page(self) -> str:
        """See `ParentMirror`."""
        return description(self._plan)

    def open(self) -> None:
        """Open the parent run, again where the study goes on.

        Raises:
            TrackingError: The store can't be reached and is required.
        """
        plan = self._plan
        if not self.mirror:
            return
        self.mirror.start_study(
            plan.name,
            study_dir=plan.study_dir,
            tags={"study": plan.name},
            params=parent_params(plan),
            description=self.page,
            objective=plan.objective,
            searched=plan.space.keys,
        )
        self._has_opened(self.mirror, plan.runs_dir, plan.name)

    def finish(self, result: StudyResult, artifacts_dir: Path | None, model_dir: Path | None = None) -> None:
        """Say how the study ended; `model_dir` holds the exported winner."""
        if self.mirror and self._is_open:
            self._is_open = False
            text = description(self._plan, result)
            self.mirror.finish_study(
                state=result.ending, description=text, artifacts_dir=artifacts_dir, model_dir=model_dir
            )


def parent_params(plan: StudyPlan) -> dict[str, Any]:
    """What the study asks; the budget is left out, because it may grow and MLflow never changes a parameter."""
    return {
        **{f"space.{key}": text for key, text in plan.space.texts().items()},
        "objective": plan.objective.label,
        "direction": plan.objective.direction,
        "objective.epoch": plan.objective.epoch,
        **_rest_of_objective(plan.objective),
        "seed": plan.seed,
        "idealfit": __version__,
        "python": platform.python_version(),
    }


def _rest_of_objective(objective: Objective) -> dict[str, str]:
    found = {
        "objective.constraints": ", ".join(map(str, objective.constraints)),
        "objective.others": ", ".join(f"{goal.direction} {goal.metric}" for goal in objective.others),
    }
    return {key: text for key, text in found.items() if text}


def description(plan: StudyPlan, result: StudyResult | None = None) -> str:
    """The parent run's page in Markdown: question, answer, space, how to go on. MLflow shows five lines unasked."""
    lines = [f"**{plan.question}**" if plan.question else f"Study **{plan.name}**"]
    if result:
        lines += _answer(result)
    rounds = rounds_text(plan.base, num_rounds(plan.base))
    lines += ["", f"Objective: {plan.objective.sentence}{f', the mean of {rounds}' if rounds else ''}.", ""]
    lines += table(("searched", "space"), [(f"`{key}`", f"`{text}`") for key, text in plan.space.texts().items()])
    lines += [f"\n{kind.capitalize()}: `{text}`." for kind, text in plan.search.rule_texts]
    if result:
        lines += ["", f"{counted(len(result.rows), 'trial')}; {result.reason}."]
    lines += ["", f"Again, or on: `{plan.command}`"] if plan.command else []
    lines += ["", f"The trials' runs: filter by `tags.study = '{plan.name}'`. On disk: `{plan.study_dir}`."]
    return "\n".join(lines)


def _answer(result: StudyResult) -> list[str]:
    """The winner, and who came next."""
    best = result.best
    if best is None or best.value is None:
        return ["", f"No winner: {result.no_winner}."]
    gap = "" if best.gap is None else f", gap {best.gap:+.4f}"
    onset = "no overfit onset" if best.onset_epoch is None else f"overfits from epoch {best.onset_epoch}"
    of = " by the first metric" if result.objective.others else ""
    return [
        *("", f"Winner{of}: **{_link(best)}**, {value_text(best)}{gap}, {onset}, `{params_text(best.params)}`."),
        *("", f"The winner again: `idealfit reproduce {result.name}/best`"),
        *("", *(_front(result) if result.objective.others else _best_trials(result))),
    ]


def _link(row: TrialRow) -> str:
    """What the mirror makes a link to the trial's run of."""
    return f"[trial {row.number}](trial:{row.number})"


def _best_trials(result: StudyResult) -> list[str]:
    """The winner and those that came next, with links to their runs."""
    best = [row for row in result.rows if row.value is not None][:NUM_LINKED]
    body = [(_link(row), value_text(row), row.state.value, f"`{params_text(row.params)}`") for row in best]
    return table(("best trials", result.objective.metric, "state", "parameters"), body) if len(best) > 1 else []


def _front(result: StudyResult) -> list[str]:
    """The Pareto front as a table."""
    goals = result.objective.goals
    body = []
    for row in result.front:
        values = result.objective.values(row.value, row.summaries) or ()
        body.append((_link(row), *map(measure_text, values), f"`{params_text(row.params)}`"))
    header = ("on the front", *(f"{goal.metric} ({goal.direction})" for goal in goals), "parameters")
    return table(header, body)


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    rule = ["---"] * len(header)
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *body)]
