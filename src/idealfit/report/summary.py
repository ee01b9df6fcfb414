"""The end of a study in a few lines: the winner, whether it overfits, where everything lies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from idealfit.protocol import num_rounds
from idealfit.range_test import FACT
from idealfit.record import Record
from idealfit.report.artifacts import report_path
from idealfit.report.html.advice import Evidence, advise, num_images
from idealfit.report.html.boundaries import find_boundaries
from idealfit.report.html.dimensions import Dimension, read_dimensions
from idealfit.report.leaderboard import onset_text
from idealfit.spec import TrialResult, TrialSpec, TrialState, UserError
from idealfit.study.launch import Asked
from idealfit.study.outcome import StudyResult, TrialRow, measures_text
from idealfit.study.plan import StudyPlan
from idealfit.study.progress import params_text, seconds_text, value_text
from idealfit.study.promotion import Promotion
from idealfit.study.promotion_words import HEADER, basis, cells, finding_lines, look_lines
from idealfit.text import counted, printable

MAX_FRONT = 10  # trials of a front that a terminal shows


def summary(result: StudyResult) -> str:
    """What a terminal shows when a study stops."""
    counts = ", ".join(f"{n} {state}" for state in TrialState if (n := result.count(state)))
    trials = f"{counted(len(result.rows), 'trial')} ({counts or 'none'})"
    lines = [
        "",
        f"study {result.name}: {trials}, {seconds_text(result.seconds)}. {_capital(result.reason)}.",
        *winner_lines(result),
        *evidence_lines(result),
        f"records   {relative(result.study_dir)}/NUMBER",
    ]
    lines += [f"warning: {problem}" for problem in result.not_tracked]
    if (page := report_path(result.study_dir)).is_file():
        lines.append(f"report    {relative(page)}")
    lines.append("compare   " + "   |   ".join(filter(None, (f"idealfit runs {result.name}", result.where))))
    if result.ending == "interrupted":
        lines.append(f"go on     {result.command}")
    return "\n".join(printable(line) for line in "\n".join(lines).split("\n"))


def range_summary(spec: TrialSpec, result: TrialResult) -> str:
    """What a terminal shows when a learning-rate range test ends."""
    tested = result.facts.get(FACT)
    if result.state is not TrialState.COMPLETE or not tested:
        head = f"range test {spec.label}: {result.state} {result.message}".strip()
        return f"\n{head}\nrecord    {relative(Path(spec.record_dir))}"
    rates, suggested = tested["rates"], tested["suggested"]
    steps = f"{len(rates)} steps from {rates[0]:.2g} to {rates[-1]:.2g}" if rates else "the first loss was not finite"
    advice = "the loss never fell: begin lower, or look at the picture"
    if suggested is not None:
        advice = f"the loss falls fastest at optimizer.lr={suggested:.2g}"
    picture = Record(spec.record_dir).pictures_dir / "lr_range.png"
    lines = ["", f"range test {spec.label}: {steps}; {advice}", f"record    {relative(Path(spec.record_dir))}"]
    return "\n".join([*lines, *([f"picture   {relative(picture)}"] if picture.is_file() else [])])


def run_summary(spec: TrialSpec, result: TrialResult) -> str:
    """What a terminal shows when a single run ends."""
    row = TrialRow.of(spec, result)
    took = f"{counted(row.num_epochs, 'epoch')} in {seconds_text(row.seconds)}"
    if row.state is TrialState.FAILED:
        head = f"run {row.label}: failed ({row.failure}) after {took}\n{row.message}"
    elif row.value is None:
        head = f"run {row.label}: {row.state} after {took}"
    else:
        score = f"{spec.objective.label} {value_text(row)}{_epoch(row)}"
        head = f"run {row.label}: {score}, {overfit_sentence(row)}, {took}"
    return f"\n{head}\nrecord    {relative(row.record_dir)}"


def winner_lines(result: StudyResult) -> list[str]:
    """The winner with its score, gap and onset; or that there is none."""
    best = result.best
    if best is None or best.value is None:
        return [f"winner    none: {result.no_winner}"]
    return [
        f"winner    trial {best.number}: {result.objective.label} {value_text(best)}{_epoch(best)}",
        *(f"          {text}" for text in (measures_text(best, result.objective),) if text),
        f"          {params_text(best.params)}",
        f"          {overfit_sentence(best)}",
        *front_lines(result),
    ]


def promotion_summary(plan: StudyPlan, promotion: Promotion | None, not_tracked: Sequence[str] = ()) -> str:
    """What a terminal shows when a promotion ends; without one, how to go on."""
    if promotion is None:
        return f"\npromotion stopped. Go on with: idealfit promote {plan.name}"
    table = [HEADER, *cells(promotion)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADER))]
    lines = ["", f"promoted  {basis(promotion)}"]
    lines += ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    said = [*finding_lines(promotion), *(line for look in promotion.looks[-1:] for line in look_lines(look))]
    lines += ["", *said, *(f"warning: {problem}" for problem in not_tracked)]
    page = report_path(plan.study_dir)
    lines += [f"report    {relative(page)}"] if page.is_file() else []
    lines.append(f"records   {relative(plan.study_dir)}/promote/NUMBER")
    return "\n".join(printable(line.rstrip()) for line in lines)


def evidence_lines(result: StudyResult) -> list[str]:
    """What the trials advise, and where the space may be too narrow."""
    try:
        dimensions = read_dimensions(Asked.read(result.study_dir).space, [row.params for row in result.rows])
    except UserError:  # a damaged folder is the report's matter
        return []
    return [*advice_lines(result, dimensions), *boundary_lines(result, dimensions)]


def advice_lines(result: StudyResult, dimensions: Sequence[Dimension]) -> list[str]:
    """Whether the winner over- or underfits, and what the study shows to help."""
    best = result.best
    if best is None:
        return []
    record = Record(Path(best.record_dir))
    try:
        done, config, curves = record.read_result(), record.read_spec().config, record.curves()
    except UserError:  # so is a damaged record
        return []
    evidence = Evidence(
        rows=result.rows,
        dimensions=dimensions,
        objective=result.objective,
        best=best,
        curves=curves,
        is_whole=best.num_epochs >= config["trainer"]["max_epochs"] * num_rounds(config),
        num_images=num_images(done.facts if done else {}),
    )
    return [f"advice    {advice.text}" for advice in advise(evidence)]


def boundary_lines(result: StudyResult, dimensions: Sequence[Dimension]) -> list[str]:
    """Where most of the best trials lie at an end of the space: the search may have been too narrow."""
    scored = [row for row in result.rows if row.state.is_finished and row.value is not None]
    compared = [row for row in scored if row.state is TrialState.COMPLETE] or scored
    found = find_boundaries([row.params for row in compared], dimensions)
    return [f"boundary  {boundary.sentence}" for boundary in found if boundary.is_strong]


def front_lines(result: StudyResult) -> list[str]:
    """Of several metrics, the trials of the front; nothing of a single one."""
    objective, front = result.objective, result.front
    if not objective.others:
        return []
    goals = ", ".join(f"{goal.direction} {goal.metric}" for goal in objective.goals)
    lines = [f"front     {len(front)} of {len(result.rows)} trials, which none beats in all of: {goals}"]
    for row in front[:MAX_FRONT]:
        values = f"{objective.metric} {row.value:.4f}, {measures_text(row, objective)}"
        lines.append(f"          trial {row.number}: {values}  {params_text(row.params)}")
    rest = len(front) - MAX_FRONT
    return lines + ([f"          and {rest} more: idealfit runs {result.name}"] if rest > 0 else [])


def overfit_sentence(row: TrialRow) -> str:
    """Gap and onset in words."""
    gap = "gap unknown" if row.gap is None else f"gap {row.gap:+.4f} at its best epoch"
    onset = onset_text(row)
    when = {"": "", "none": ", no overfit onset"}.get(onset, f", overfits from epoch {onset} on")
    return gap + when


def relative(path: str | Path) -> str:
    """A path as the user would type it from here."""
    try:
        return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else str(path)
    except OSError:
        return str(path)


def _epoch(row: TrialRow) -> str:
    rounds = f" over {row.rounds}" if row.rounds else ""
    return rounds if row.best_epoch is None else f"{rounds} at epoch {row.best_epoch}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
