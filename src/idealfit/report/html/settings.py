"""What the study asks about, with everything else at its best: scientific parameters, the rest optimised away.

The words and the method are those of the Deep Learning Tuning Playbook (Godbole et al., 2023): values of a scientific
parameter are compared fairly only where the nuisance parameters were tuned anew for each of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from idealfit.report.html import words
from idealfit.report.html.dimensions import Dimension, is_number
from idealfit.report.html.reading import StudyData, TrialData
from idealfit.space import point_key
from idealfit.study.enough import Noise, measure_noise

MAX_VALUES = 8  # of a numeric parameter; more are put into bins
NUM_BINS = 4
ABSENT = "absent"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One combination of values of the scientific parameters, and the best that was found with it.

    Attributes:
        values: Its values as text, in the order of the parameters.
        best: Trials of its best point, replicates too.
        score: Their mean.
        num_trials: Complete trials with these values: what the best was chosen from.
    """

    values: tuple[str, ...]
    best: tuple[TrialData, ...]
    score: float
    num_trials: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of them, best first; empty where no parameter is scientific or fewer than two settings have a trial."""

    keys: tuple[str, ...] = ()
    nuisance: tuple[str, ...] = ()
    rows: tuple[Setting, ...] = ()
    sentences: tuple[str, ...] = ()


def compare_settings(study: StudyData) -> Settings:
    """Compare the settings by complete trials alone."""
    scientific = [dimension for dimension in study.dimensions if dimension.role == "scientific"]
    groups: dict[tuple[str, ...], list[TrialData]] = {}
    labels = {d.key: _Labels(d, [t.row.params.get(d.key) for t in study.complete]) for d in scientific}
    for trial in study.complete:
        values = tuple(labels[d.key].of(trial) for d in scientific)
        groups.setdefault(values, []).append(trial)
    if not scientific or len(groups) < 2:
        return Settings()
    sign = -1.0 if study.objective.direction == "maximize" else 1.0
    rows = sorted((_setting(values, trials, sign) for values, trials in groups.items()), key=lambda s: sign * s.score)
    keys = tuple(dimension.key for dimension in scientific)
    nuisance = tuple(dimension.key for dimension in study.dimensions if dimension.role != "scientific")
    noise = measure_noise([trial.row for trial in study.complete], study.objective)
    sentences = [_sentence(study, rows, keys, place, nuisance, noise) for place in range(len(keys))]
    return Settings(keys=keys, nuisance=nuisance, rows=tuple(rows), sentences=tuple(filter(None, sentences)))


class _Labels:
    """How the values of one parameter are told apart: each by itself, or many numbers by the bin they lie in."""

    def __init__(self, dimension: Dimension, values: Sequence[object]) -> None:
        self._dimension = dimension
        self._has_bins = dimension.kind == "number" and len(set(filter(is_number, values))) > MAX_VALUES

    def of(self, trial: TrialData) -> str:
        params, dimension = trial.row.params, self._dimension
        if dimension.key not in params:
            return ABSENT
        value = params[dimension.key]
        if not self._has_bins or not is_number(value):
            return words.value_text(value)
        share = dimension.position(float(value))  # type: ignore[arg-type]  # is_number says so
        place = min(NUM_BINS - 1, max(0, int(share * NUM_BINS)))
        low, high = (dimension.at(i / NUM_BINS) for i in (place, place + 1))
        return f"{words.number(low)} to {words.number(high)}"


def _setting(values: tuple[str, ...], trials: Sequence[TrialData], sign: float) -> Setting:
    points: dict[str, list[TrialData]] = {}
    for trial in trials:
        points.setdefault(point_key(trial.row.params), []).append(trial)
    best = min(points.values(), key=lambda same: sign * _mean(same))
    return Setting(values=values, best=tuple(best), score=_mean(best), num_trials=len(trials))


def _mean(trials: Sequence[TrialData]) -> float:
    return statistics.fmean(trial.row.value for trial in trials if trial.row.value is not None)


def _sentence(
    study: StudyData,
    rows: Sequence[Setting],
    keys: Sequence[str],
    place: int,
    nuisance: Sequence[str],
    noise: Noise,
) -> str:
    """The best value of one parameter against the next best, at the same values of the other scientific ones."""
    contexts: dict[tuple[str, ...], dict[str, float]] = {}
    for row in rows:
        context = (*row.values[:place], *row.values[place + 1 :])
        contexts.setdefault(context, {})[row.values[place]] = row.score
    pair = _first_two(study, contexts)
    if not pair:
        return ""
    first, second, leads = pair
    wins, metric = sum(lead > 0 for lead in leads), study.objective.metric
    lead = statistics.fmean(leads)
    others = words.listing([key for i, key in enumerate(keys) if i != place])
    if not wins:
        return f"No value of {keys[place]} is ahead: {first} and {second} score the same."
    if 2 * wins <= len(leads):
        verdict = f"is {first} at {wins} of {len(leads)} values of {others}"
        return f"Which {keys[place]} is better, {first} or {second}, depends on {others}: it {verdict}."
    where = ""
    if others and len(leads) > 1:
        every = f" at every {others} ({len(leads)})"
        where = every if wins == len(leads) else f" at {wins} of {len(leads)} values of {others}"
    is_sure = noise.num_trials > 0 and lead > noise.threshold
    verb = "beats" if is_sure else "is ahead of"
    text = f"{keys[place]} = {first} {verb} {second}{where}, by {words.difference(lead, metric)}"
    text += " on average" if len(leads) > 1 else ""
    counts = [row.num_trials for row in rows if row.values[place] in (first, second)]
    few, many = min(counts), max(counts)
    text += f", each at its best of {few if few == many else f'{few} to {many}'} trials"
    text += f" over {words.listing(nuisance, 4)}" if nuisance else ""
    return f"{text}; {_beyond(lead, noise, metric)}."


def _first_two(
    study: StudyData, contexts: dict[tuple[str, ...], dict[str, float]]
) -> tuple[str, str, list[float]] | None:
    """The two values with the best means over the contexts that they share, and the first one's lead in each."""
    sign = 1.0 if study.objective.direction == "maximize" else -1.0
    values = sorted({value for scores in contexts.values() for value in scores} - {ABSENT})
    ranked: list[tuple[float, str, str, list[float]]] = []
    for i, a in enumerate(values):
        for b in values[i + 1 :]:
            leads = [sign * (scores[a] - scores[b]) for scores in contexts.values() if a in scores and b in scores]
            if leads:
                first, second = (a, b) if statistics.fmean(leads) >= 0 else (b, a)
                leads = leads if first == a else [-lead for lead in leads]
                best = max(sign * scores[first] for scores in contexts.values() if first in scores)
                worse = max(sign * scores[second] for scores in contexts.values() if second in scores)
                ranked.append((best + worse, first, second, leads))
    if not ranked:
        return None
    _, first, second, leads = max(ranked)
    return first, second, leads


def _beyond(lead: float, noise: Noise, metric: str) -> str:
    if not noise.num_trials:
        return "no point was repeated, so this may be chance"
    size = f"{words.difference(noise.threshold, metric)}, by {noise.num_trials} replicates"
    return f"more than the noise ({size})" if lead > noise.threshold else f"within the noise ({size})"
