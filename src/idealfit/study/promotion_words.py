"""A promotion in sentences, each worked out from its scores: for the terminal, the report and MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from idealfit.selection import Candidate, Interval, Rival
from idealfit.study.promotion import DEFAULT, Look, Measured, Promotion, Replicated

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
HEADER = ("candidate", "mean", "95 % interval", "searched", "fell back by", "parameters", "p against the best")
SECONDS = ("calibration_error", "exact_match", "mae")
"""Metrics that a sentence on the test set tells beside the first: one of each task. A table has all."""
METRIC_HEADER = ("on the test images", "value", "95 % interval")


def finding_lines(promotion: Promotion) -> list[str]:
    """What was found, without the test set."""
    return [text for text in (conclusion(promotion), *troubles(promotion), regression(promotion)) if text]


def look_lines(look: Look) -> list[str]:
    """What a look at the test set found, and the class that is recognised least."""
    return [*look_sentences(look), *filter(None, [weakest_class(look)])]


def conclusion(promotion: Promotion) -> str:
    """Who is better than whom, who can't be told apart, and which one to take."""
    verdict = promotion.verdict
    best, ranked = verdict.best, verdict.ranked
    if len(ranked) == 1:
        return f"Over {basis(promotion)}, {best.name} alone could be ranked: {score(best.mean)}, compared with none."
    told = [ranked[1], *(each for each in ranked[2:] if each.name == DEFAULT)]
    rivals = [rival for each in told if (rival := verdict.rival(each.name))]
    beaten = [rival for rival in rivals if rival.is_beaten]
    level = [rival for rival in rivals if not rival.is_beaten]
    clauses = []
    if beaten:
        clauses.append(f"is better than {' and '.join(map(_beaten, beaten))}")
    if level:
        clauses.append(f"can't be told apart from {' and '.join(map(_level, level))}")
    pairs = comb(len(ranked), 2)
    corrected = f", corrected for all {pairs} pairs" if pairs > 1 else ""
    metric = promotion.objective.label
    return (
        f"Over {basis(promotion)}, {best.name} ({metric} {score(best.mean)}) {', but '.join(clauses)}: "
        f"{_advice(promotion, level)}. p is of paired t-tests{corrected}."
    )


def regression(promotion: Promotion) -> str:
    """How far the searched scores fall back on fresh seeds; "" where none was searched."""
    fallen = [each for each in promotion.candidates if each.drop is not None and each.trial is not None]
    if not fallen:
        return ""
    first = fallen[0]
    drops = [each.drop or 0.0 for each in fallen]
    sign = 1.0 if promotion.maximize else -1.0
    mean = sign * sum(drops) / len(drops)
    assert first.drop is not None  # noqa: S101 - filtered above
    change = sign * first.drop
    replicated = (first.searched or 0.0) - first.drop
    text = (
        f"The search scored its best, {first.name}, at {score(first.searched or 0.0)}; fresh seeds score it at "
        f"{score(replicated)}, {_worse(change)}"
    )
    if len(fallen) > 1:
        text += f"; the {len(fallen)} promoted trials came out {_worse(mean)} on average"
    return f"{text}. The score that wins a search is partly luck, and luck does not repeat."


def troubles(promotion: Promotion) -> list[str]:
    """Who is not ranked, and why."""
    return [
        f"{each.name[:1].upper()}{each.name[1:]} is not ranked: {each.trouble}."
        for each in promotion.candidates
        if each.trouble
    ]


def basis(promotion: Promotion) -> str:
    """What the means rest on: `5 fresh seeds on the same 288 validation images`."""
    images = f"the same {promotion.num_val_images:,}" if promotion.num_val_images else "the same"
    return f"{len(promotion.seeds)} fresh seeds on {images} validation images"


def look_sentences(look: Look) -> list[str]:
    """What a look at the test set found, and which one it is."""
    found = look.measures
    place = ORDINALS[look.number - 1] if look.number <= len(ORDINALS) else f"{look.number}th"
    date = look.date[:10]
    if not found:
        return [f"The {place} look at the test set, on {date}, was interrupted: promote again to end it."]
    how = ", trained again on training and validation images," if look.refit else ""
    told = f"is right on {found['num_right']:,} of" if "num_right" in found else "was scored on"
    names = [*list(look.metrics)[:1], *(name for name in SECONDS if name in look.metrics)]
    numbers = "; ".join(_measured(name, look.metrics[name]) for name in names)
    lines = [f"Test set, {place} look, {date}: {look.name}{how} {told} {found['num_images']:,} images: {numbers}."]
    if look.number > 1:
        before = "once" if look.number == 2 else f"{look.number - 1} times"
        lines.append(
            f"The test set had been looked at {before} before: what was changed since may have been chosen by it."
        )
    return lines


def headline(look: Look) -> str:
    """The first metric of a look that has ended: `accuracy 0.9797`."""
    name, each = next(iter(look.metrics.items()))
    return f"{name} {score(each.value)}" if each.value is not None else f"no {name}"


def metric_rows(look: Look) -> list[list[str]]:
    """The table under `METRIC_HEADER`: every metric of a look."""
    return [
        [name, "" if each.value is None else score(each.value), _spread(each)] for name, each in look.metrics.items()
    ]


def weakest_class(look: Look) -> str:
    """The class that is recognised least; "" where there is none."""
    classes = [each for each in look.measures.get("classes", []) if each["num_images"]]
    if not classes:
        return ""
    weakest = min(classes, key=lambda each: each["recall"])
    return (
        f"Least recognised: {weakest['name']}, {weakest['recall']:.1%} of its {weakest['num_images']:,} images "
        f"(precision {weakest['precision']:.1%})."
    )


def cells(promotion: Promotion) -> list[list[str]]:
    """The table under `HEADER`, best mean first, then who could not be ranked."""
    verdict = promotion.verdict
    rows = [
        _cells(promotion.candidate(each.name), each, interval, verdict.rival(each.name))
        for each, interval in zip(verdict.ranked, verdict.intervals, strict=True)
    ]
    unranked = [each for each in promotion.candidates if each.trouble]
    return rows + [[each.name, each.trouble, "", _searched(each), "", _size(each), ""] for each in unranked]


def score(value: float) -> str:
    """Four decimals."""
    return f"{value:.4f}"


def p_text(p: float) -> str:
    """`p = 0.012`, `p < 0.0001`."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def _measured(name: str, each: Measured) -> str:
    words = name.replace("_", " ")
    if each.value is None:
        return f"{words} has no value"
    return f"{words} {score(each.value)}" + (f", 95 % interval {_spread(each)}" if each.low is not None else "")


def _spread(each: Measured) -> str:
    return "" if each.low is None or each.high is None else f"{each.low:.4f} to {each.high:.4f}"


def _cells(each: Replicated, ranked: Candidate, interval: Interval, rival: Rival | None) -> list[str]:
    drop = "" if each.drop is None or each.trial is None else f"{each.drop:+.4f}"
    against = p_text(rival.corrected).removeprefix("p ").removeprefix("= ") if rival else ""
    spread = f"{interval.low:.4f} to {interval.high:.4f}"
    return [each.name, score(ranked.mean), spread, _searched(each), drop, _size(each), against]


def _searched(each: Replicated) -> str:
    return "" if each.searched is None else score(each.searched)


def _size(each: Replicated) -> str:
    return "" if each.num_params is None else f"{each.num_params:,}"


def _beaten(rival: Rival) -> str:
    return f"{rival.name} by {rival.lead:.4f} ({p_text(rival.corrected)})"


def _level(rival: Rival) -> str:
    lead = f"ahead by {rival.lead:.4f}" if rival.lead > 0 else "level"
    return f"{rival.name} ({lead}, {p_text(rival.corrected)})"


def _advice(promotion: Promotion, level: Sequence[Rival]) -> str:
    verdict = promotion.verdict
    best, choice = verdict.best, verdict.choice
    if choice.name != best.name:
        return f"take {choice.name}, the smaller one ({choice.size or 0:,} parameters instead of {best.size or 0:,})"
    if best.name == DEFAULT:
        return "keep the default, which the search did not improve on"
    if level:
        smaller = any(_is_smaller(promotion, rival, best) for rival in level)
        why = "the smaller one's mean lies below its interval" if smaller else "none of these is smaller"
        return f"take {best.name}, for {why}"
    return f"take {best.name}"


def _is_smaller(promotion: Promotion, rival: Rival, best: Candidate) -> bool:
    size = promotion.candidate(rival.name).num_params
    return size is not None and best.size is not None and size < best.size


def _worse(change: float) -> str:
    if abs(change) < 5e-5:
        return "the same"
    return f"{abs(change):.4f} {'worse' if change > 0 else 'better'}"
