"""What to do about over- and underfitting, from a study's own evidence: each sentence computed from trials it names.

What the trials do not show beyond chance is not said. Pure functions on rows and curves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from idealfit.overfit import late_fall
from idealfit.protocol import scored_images
from idealfit.report.html import words
from idealfit.report.html.dimensions import Dimension
from idealfit.report.html.effects import MIN_PAIRS, Effect, beyond_chance, effects_of
from idealfit.spec import Objective, TrialState
from idealfit.study.outcome import TrialRow

TRAIN, VAL = "train/accuracy", "val/accuracy"
SIGMAS = 2.0  # a difference of accuracies this many standard errors wide is not chance
MIN_BIAS = 0.05  # fewer errors on training images may be what no network gets right
MAX_EFFECTS = 4
# By the last part of a key: what acts against overfitting, what for it.
REGULARISERS = ("dropout", "weight_decay", "label_smoothing", "limit")
CAPACITY = ("depth", "width", "channels", "hidden", "hidden_size", "num_layers", "num_units", "blocks")
GROUPS = ("augment", "model")  # chosen whole; `augment` by any of its keys too
CURES = {
    "dropout": "more dropout",
    "weight_decay": "more weight decay",
    "label_smoothing": "more label smoothing",
    "augment": "augmentation",
    "limit": "more training images",
    "capacity": "fewer parameters",
}
ALWAYS = ("dropout", "augment", "capacity")  # named even where they were not searched


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One sentence or two, and the trials that show it."""

    text: str
    trials: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What advice is computed from.

    Attributes:
        rows: All trials, best first.
        best: The winner.
        curves: Its curves, by metric one value an epoch.
        is_whole: Whether it trained all the epochs that it might.
        num_images: How many images each of its accuracies was measured on; None where nobody knows.
    """

    rows: Sequence[TrialRow]
    dimensions: Sequence[Dimension]
    objective: Objective
    best: TrialRow
    curves: Mapping[str, Sequence[float]]
    is_whole: bool
    num_images: int | None


def advise(evidence: Evidence) -> list[Advice]:
    """The winner's diagnosis, what its parameters do, and where the study is too small to tell; what is known."""
    complete = [row for row in evidence.rows if row.state is TrialState.COMPLETE and _is_known(row.value)]
    keys = [dimension.key for dimension in evidence.dimensions if _lever(dimension.key)]
    splits = effects_of(complete, keys, evidence.dimensions)
    real = beyond_chance([effect for both in splits for effect in both])
    found = [
        diagnosis(evidence, real),
        *_effects(evidence.objective, splits, real),
        _too_few(evidence.rows, len(complete), keys),
    ]
    return [advice for advice in found if advice]


def num_images(facts: Mapping[str, Any]) -> int | None:
    """How many images each accuracy of a trial was measured on at least; None where it did not note that."""
    found = [facts.get(f"num_{part}_images") for part in ("val", "train")]
    known = [number for number in found if isinstance(number, int) and number > 0]
    scored = scored_images(facts)
    if scored is None or len(known) < len(found):
        return None
    return scored * min(known) // known[0]  # a fold measures no more training images than it has


def diagnosis(evidence: Evidence, real: set[Effect]) -> Advice | None:
    """Whether the winner overfits, underfits or generalises, with what is usually done about it.

    Args:
        evidence: The study.
        real: Effects that are no chance: a cure that does harm in this study is not named.
    """
    best = evidence.best
    at = best.best_epoch
    train, val = _at(evidence.curves, TRAIN, at), _at(evidence.curves, VAL, at)
    if at is None or train is None or val is None:
        return None
    scores = f"training {words.score(train, TRAIN)}, validation {words.score(val, VAL)} at epoch {at}"
    gap, error = train - val, _error_of_gap(train, val, evidence.num_images)
    is_wide = error is not None and gap > SIGMAS * error
    told = f"gap {words.difference(gap, VAL)}"
    if error is not None:
        margin = words.difference(SIGMAS * error, VAL)
        told = f"{told.removesuffix(' points')} ± {margin} by {evidence.num_images:,} images"
    loss = evidence.curves.get("val/loss", ())
    fall = late_fall(loss) if evidence.is_whole else None
    if is_wide or best.onset_epoch is not None:
        since = "" if best.onset_epoch is None else f"; from epoch {best.onset_epoch} on its validation loss rises"
        verb = "overfits" if is_wide else "overfits in the end, though hardly at its best epoch"
        text = f"Trial {best.number} {verb}: {scores} ({told}){since}. Try {_cures(evidence, real)}."
    elif fall:
        was, now = (words.number(value) for value in (fall.before, fall.after))
        text = (
            f"Trial {best.number} was not done: its validation loss still fell in the last {fall.num_epochs} of "
            f"{len(loss)} epochs ({was} to {now}), without overfitting: {scores} ({told}). Try more epochs."
        )
    elif 1 - train >= max(MIN_BIAS, 1 - val - (1 - train)):
        text = (
            f"Trial {best.number} underfits: {scores}: of {words.difference(1 - val, VAL)} of errors it makes "
            f"{words.difference(1 - train, VAL)} on training images too, and its curve is flat. Try a larger network, "
            "less regularisation or another learning rate."
        )
    elif error is not None and best.onset_epoch is None and best.state is TrialState.COMPLETE:
        text = f"Trial {best.number} generalises: {scores} ({told}), with no overfit onset in {len(loss)} epochs."
    else:
        return None
    return Advice(text=text, trials=(best.number,))


def _effects(objective: Objective, splits: Sequence[Sequence[Effect]], real: set[Effect]) -> list[Advice]:
    """Of each parameter the split that shows most beyond chance, on score, gap or both."""
    clearest: dict[str, Sequence[Effect]] = {}
    for both in sorted(splits, key=lambda both: min(effect.p for effect in both)):
        if any(effect in real for effect in both):
            clearest.setdefault(both[0].key, both)
    return [_effect_advice(objective, both, real) for both in list(clearest.values())[:MAX_EFFECTS]]


def _effect_advice(objective: Objective, both: Sequence[Effect], real: set[Effect]) -> Advice:
    first = both[0]
    parts = [_change(objective, effect) for effect in both if effect in real]
    rest = [_no_change(objective, effect) for effect in both if effect not in real]
    pairs = (
        f"{len(first.trials)} pairs alike in the rest: trials {_numbers(first.trials)} against {_numbers(first.others)}"
    )
    text = f"This study says that {first.key} {first.side}, compared with {first.other}, {words.listing(parts)}"
    return Advice(text=f"{text}{'; ' + rest[0] if rest else ''}. {pairs}.", trials=(*first.trials, *first.others))


def _change(objective: Objective, effect: Effect) -> str:
    """`gains 0.6 points of val/accuracy (0.2 to 1.0)`."""
    amount = _amount(objective, effect, abs(effect.mean))
    if effect.outcome == "gap":
        return f"{'widens' if effect.mean > 0 else 'narrows'} the gap by {amount} ({_range(objective, effect)})"
    is_gain = (effect.mean > 0) == (objective.direction == "maximize")
    return f"{'gains' if is_gain else 'costs'} {amount} of {objective.label} ({_range(objective, effect)})"


def _no_change(objective: Objective, effect: Effect) -> str:
    """`the gap changes by -0.4 to 0.6 points, which may be chance`."""
    what = "the gap" if effect.outcome == "gap" else objective.label
    low, high = _bare(objective, effect, effect.low), _amount(objective, effect, effect.high)
    return f"{what} changes by {low} to {high}, which may be chance"


def _range(objective: Objective, effect: Effect) -> str:
    """The interval of the amount, whichever way it goes."""
    low, high = (effect.low, effect.high) if effect.mean > 0 else (-effect.high, -effect.low)
    return f"{_bare(objective, effect, low)} to {_bare(objective, effect, high)}"


def _too_few(rows: Sequence[TrialRow], num_complete: int, keys: Sequence[str]) -> Advice | None:
    """That nobody can know what a parameter does, where no comparison had enough trials."""
    if not keys or num_complete >= 2 * MIN_PAIRS:
        return None
    pruned = tuple(row.number for row in rows if row.state is TrialState.PRUNED)
    text = (
        f"{words.count(num_complete, 'trial')} ran to the end: too few to tell the effect of {words.listing(keys, 4)}."
    )
    if pruned:
        were = "was" if len(pruned) == 1 else "were"
        text += (
            f" {len(pruned)} {were} pruned, and a curve that is cut short shows no gap to compare: study.pruner=none."
        )
    return Advice(text=text, trials=tuple(row.number for row in rows if row.state is TrialState.COMPLETE))


def _cures(evidence: Evidence, real: set[Effect]) -> str:
    searched = {_lever(dimension.key) for dimension in evidence.dimensions}
    harmful = {_lever(effect.key) for effect in real if _does_harm(evidence.objective, effect)}
    named = [text for lever, text in CURES.items() if lever in ALWAYS or lever in searched]
    kept = [text for lever, text in CURES.items() if text in named and lever not in harmful]
    return " or ".join(filter(None, [", ".join(kept[:-1]), *kept[-1:]])) or "other data: what was searched does harm"


def _does_harm(objective: Objective, effect: Effect) -> bool:
    """Whether acting against overfitting by this parameter makes the score worse."""
    if effect.outcome != "score" or not effect.is_ordered:
        return False
    more_is_better = (effect.mean > 0) == (objective.direction == "maximize")
    return more_is_better if _lever(effect.key) == "capacity" else not more_is_better


def _lever(key: str) -> str:
    """What of over- and underfitting a parameter moves: a name of `CURES` or of `GROUPS`; "" for none."""
    group, last = key.split(".")[0], key.rsplit(".", 1)[-1]
    if last in CAPACITY:
        return "capacity"
    if last in REGULARISERS:
        return last
    return group if group == "augment" or key in GROUPS else ""


def _error_of_gap(train: float, val: float, num_images: int | None) -> float | None:
    """The standard error of a difference of two accuracies, each on `num_images` images."""
    if not num_images:
        return None
    return math.sqrt(max(0.0, train * (1 - train) + val * (1 - val)) / num_images)


def _at(curves: Mapping[str, Sequence[float]], metric: str, epoch: int | None) -> float | None:
    curve = curves.get(metric, ())
    return curve[epoch] if epoch is not None and 0 <= epoch < len(curve) and math.isfinite(curve[epoch]) else None


def _amount(objective: Objective, effect: Effect, value: float) -> str:
    return words.difference(value, VAL if effect.outcome == "gap" else objective.metric)


def _bare(objective: Objective, effect: Effect, value: float) -> str:
    return _amount(objective, effect, value).removesuffix(" points")


def _numbers(trials: Sequence[int]) -> str:
    return words.listing([str(number) for number in trials], 12)


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
