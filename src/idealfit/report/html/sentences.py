"""The report's findings in sentences, each computed from the trials it speaks of. No chart is needed to know them."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass

from idealfit.protocol import scored_images
from idealfit.report.html import words
from idealfit.report.html.analysis import Analysis
from idealfit.report.html.reading import StudyData, TrialData
from idealfit.report.html.tradeoff import front_sentence
from idealfit.spec import TrialState
from idealfit.study.promotion_words import conclusion

STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.INTERRUPTED, TrialState.FAILED)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sentence, and the section of the report that shows it."""

    section: str
    text: str


def answer(study: StudyData, analysis: Analysis) -> str:
    """The study's answer in a sentence or two: the winner, its score, and whether it overfits."""
    best = study.best
    if best is None:
        return _no_answer(study, analysis)
    objective, metric = study.objective, study.objective.metric
    so_far = "So far, trial" if is_running(study) else "Trial"
    winner = "ran alone" if len(study.trials) == 1 else "is best"
    if best.state is TrialState.PRUNED:
        winner += " of those pruned (none is complete)"
    at = f" at epoch {best.row.best_epoch}" if best.row.best_epoch is not None else ""
    label = objective.label if objective.penalty else words.metric_label(metric)
    text = f"{so_far} {best.number} {winner}: {label} {words.spread(best.row, objective.label)}{at}"
    params = words.listing([f"{key} = {words.value_text(value)}" for key, value in best.row.params.items()])
    told = f"{text}{f', with {params}' if params else ''}. {overfitting(study, best)}"
    return " ".join(filter(None, [told, broken(study, best), front(study)]))


def broken(study: StudyData, trial: TrialData) -> str:
    """Which constraints a trial breaks; '' where it keeps them all."""
    if trial.row.is_feasible:
        return ""
    keeping = words.listing([str(constraint) for constraint in study.objective.constraints])
    return f"No trial keeps {keeping}: this one has {words.listing(trial.row.violations)}."


def front(study: StudyData) -> str:
    """Of several metrics, the trials that none beats in all; '' of a single one."""
    return f"It is the best by the first metric. {front_sentence(study)}." if study.objective.others else ""


def overfitting(study: StudyData, trial: TrialData) -> str:
    """Whether, how far and from when one trial overfits."""
    gap, metric = study.gap(trial), study.objective.metric
    if gap is None:
        return "Its gap is unknown: the training metric was not recorded."
    if words.difference(abs(gap), metric) == words.difference(0.0, metric):
        text = "Training and validation score the same there"
    elif gap < 0:
        text = "Training is no better than validation there"
    else:
        text = f"Training is {words.difference(gap, metric)} better than validation there"
    if trial.row.onset_epoch is not None:
        return f"{text}, and from epoch {trial.row.onset_epoch} on it overfits."
    return f"{text}, with no overfit onset in its {words.count(trial.num_curve_epochs, 'epoch')}."


def is_running(study: StudyData) -> bool:
    """Whether a trial has neither ended nor been given up."""
    return any(not t.state.is_finished for t in study.trials)


def states(study: StudyData) -> str:
    """`31 complete, 6 pruned, 3 failed`."""
    return ", ".join(f"{n:,} {state.value}" for state in STATES if (n := study.count(state)))


def findings(study: StudyData, analysis: Analysis) -> list[Finding]:
    """What else the study found, the most useful first. What cannot be said is left out."""
    candidates = [
        ("promotion", conclusion(study.promotion) if study.promotion else ""),
        *(("settings", sentence) for sentence in analysis.settings.sentences),
        ("map", overfit_finding(study, analysis) if len(study.compared) > 1 else ""),
        ("leaderboard", rivals_finding(study)),
        ("importance", importance_finding(analysis)),
        *(("slices", boundary.sentence) for boundary in analysis.boundaries),
        ("history", history_finding(study) if len(study.scored) > 2 else ""),
        *(("tradeoff", f"{tradeoff.sentence}.") for tradeoff in analysis.tradeoffs[:1] if tradeoff.is_bargain),
        ("pruning", pruning_finding(analysis) if analysis.savings.num_pruned_trials else ""),
        ("timeline", timeline_finding(analysis) if len(study.trials) > 1 else ""),
        ("failures", failure_finding(study, analysis) if analysis.failures else ""),
    ]
    found = [Finding(section=section, text=text) for section, text in candidates if text]
    if 4 * study.count(TrialState.FAILED) > len(study.trials):
        found.sort(key=lambda finding: finding.section != "failures")
    return found


def overfit_finding(study: StudyData, analysis: Analysis) -> str:
    """How many trials overfit, how far, and along which parameter the gap grows."""
    onsets = [t.row.onset_epoch for t in study.compared if t.row.onset_epoch is not None]
    what = "complete trials" if study.complete else "trials with a score"
    text = f"None of the {len(study.compared):,} {what} overfits before it ends"
    if onsets:
        text = f"{len(onsets):,} of {len(study.compared):,} {what} overfit before they end"
        text += f" (median onset: epoch {statistics.median_low(onsets)})"
    return f"{text}. {driver_sentence(study, analysis)}".strip()


def driver_sentence(study: StudyData, analysis: Analysis) -> str:
    """The gap at the low and at the high end of the parameter that moves it most; '' where none does beyond chance."""
    driver = analysis.gap_driver
    if driver is None:
        return ""
    pairs = sorted(
        (float(value), gap)
        for t in study.compared
        if isinstance(value := t.row.params.get(driver.key), int | float) and (gap := study.final_gap(t)) is not None
    )
    third = max(1, len(pairs) // 3)
    low, high = (statistics.median(gap for _, gap in part) for part in (pairs[:third], pairs[-third:]))
    metric = study.objective.metric
    return (
        f"The final gap {'grows' if driver.rho > 0 else 'shrinks'} with {driver.key}: "
        f"{words.difference(low, metric)} in the lowest third of its values, "
        f"{words.difference(high, metric)} in the highest."
    )


def importance_finding(analysis: Analysis) -> str:
    """The parameter that matters most, or that none stands out."""
    if not analysis.importances:
        return ""
    first, *rest = analysis.importances
    interval = f"{words.percent(first.low)} to {words.percent(first.high)}"
    if rest and any(other.high > first.low for other in rest):
        rivals = [other.key for other in rest if other.high > first.low]
        return f"{first.key} seems to matter most ({interval}), but chance could put {words.listing(rivals, 3)} first."
    return f"{first.key} matters most: {words.percent(first.share)} of the importance ({interval})."


def rivals_finding(study: StudyData) -> str:
    """How many trials the validation images cannot tell from the best; '' where that cannot be known."""
    best, metric = study.best, study.objective.metric
    num_images = scored_images(best.facts) if best else None
    value = best.row.value if best else None
    is_share = metric.endswith("accuracy") and not study.objective.penalty
    if not num_images or value is None or not is_share:
        return ""
    error = math.sqrt(max(0.0, value * (1 - value)) / num_images)
    rivals = sum(value - (t.row.value or 0.0) <= error for t in study.complete if t is not best)
    if not rivals:
        return ""
    lie = "other complete trial lies" if rivals == 1 else "other complete trials lie"
    return (
        f"{rivals:,} {lie} within one standard error of the best "
        f"({words.difference(error, metric)} on {num_images:,} validation images): they can hardly be told apart."
    )


def history_finding(study: StudyData) -> str:
    """When the best score was found, and how many trials have come since without a better one."""
    best = study.best
    if best is None:
        return ""
    first = min(t.number for t in study.compared if t.row.value == best.row.value)
    later = sum(t.number > first for t in study.scored)
    if later == 0:
        return f"The best score came with the last scored trial ({first}): more trials are likely to improve it."
    after = "the scored trial" if later == 1 else f"the {later:,} scored trials"
    equal = f", which trial {best.number} equals" if best.number != first else ""
    return f"The best score came with trial {first}{equal}; {after} after it brought no better one."


def pruning_finding(analysis: Analysis) -> str:
    """What the pruner saved."""
    savings = analysis.savings
    return (
        f"Pruning stopped {savings.num_pruned_trials:,} of {words.count(savings.num_trials, 'trial')} early and saved "
        f"{savings.pruned:,} of {savings.planned:,} epochs ({words.percent(savings.share)}), "
        f"about {words.duration(savings.seconds)} of training."
    )


def timeline_finding(analysis: Analysis) -> str:
    """How well the slots were used."""
    timeline = analysis.timeline
    if timeline is None:
        return ""
    slots = words.count(timeline.num_slots, "slot")
    verb = "was" if timeline.num_slots == 1 else "were"
    pauses = f", {words.count(len(timeline.pauses), 'pause')} left out" if timeline.pauses else ""
    idle = words.duration(timeline.idle_seconds)
    busy = f"{words.percent(timeline.busy)} of {words.duration(timeline.seconds)}"
    return f"{slots} {verb} busy {busy}{pauses}, idle for {idle} in all."


def failure_finding(study: StudyData, analysis: Analysis) -> str:
    """How many trials failed, and of what."""
    kinds = Counter[str]()
    for group in analysis.failures:
        kinds[group.kind] += len(group.trials)
    causes = words.listing([f"{n} {kind}" for kind, n in kinds.most_common()])
    return f"{study.count(TrialState.FAILED):,} of {words.count(len(study.trials), 'trial')} failed ({causes})."


def _no_answer(study: StudyData, analysis: Analysis) -> str:
    if analysis.failures and study.count(TrialState.FAILED) == len(study.trials):
        first = analysis.failures[0]
        every = "The only trial" if len(study.trials) == 1 else f"All {len(study.trials):,} trials"
        return f"No answer. {every} failed, {len(first.trials):,} with cause '{first.kind}'. {first.cure}".strip()
    return f"No answer yet: no trial has a score ({states(study)})."
