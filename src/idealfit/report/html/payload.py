"""What the page's scripts draw from: plain JSON, bounded in size, every number rounded and finite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from idealfit.report.html import words
from idealfit.report.html.analysis import Analysis
from idealfit.report.html.background import environment, how_to_reproduce, notes, recorded_config
from idealfit.report.html.dimensions import Dimension
from idealfit.report.html.promotion import promotion_payload
from idealfit.report.html.reading import StudyData, TrialData
from idealfit.report.html.sentences import answer, findings, is_running, states
from idealfit.report.html.titles import MAX_SLICES, pick_titles, slice_title, titles
from idealfit.report.html.tradeoff import Tradeoff
from idealfit.report.leaderboard import asked_cells
from idealfit.spec import JSON, Params

MAX_CURVE_VALUES = 600_000  # of all trials together: about 4 MB of the page
MIN_CURVE_EPOCHS = 12
MESSAGE_LENGTH = 2000
NO_GAP = 5e-4  # shown as 0.0 points


def build_payload(
    study: StudyData, analysis: Analysis, *, made: str, sweep: str, surroundings: Mapping[str, str]
) -> JSON:
    """All that the page shows.

    Args:
        study: The study.
        analysis: Its analysis.
        made: When the report was made, for people.
        sweep: The command that started the study; "" leaves it out.
        surroundings: Further lines on where it ran.
    """
    stride = curve_epochs(study)
    front = {row.number for row in study.front}
    return {
        "study": _study(study, made),
        "answer": answer(study, analysis),
        "figures": key_figures(study, analysis),
        "findings": [{"section": f.section, "text": f.text} for f in findings(study, analysis)],
        "advice": [{"text": a.text, "trials": a.trials} for a in analysis.advice],
        "titles": titles(study, analysis),
        "promotion": promotion_payload(study.promotion),
        "picks": pick_titles(study),
        "keys": [d.key for d in study.dimensions],
        "params": [_param(study, dimension, analysis) for dimension in _by_importance(study, analysis)],
        "curveSets": curve_sets(study),
        "trials": [_trial(study, trial, stride, is_on_front=trial.number in front) for trial in study.trials],
        "importance": [[i.key, *map(rounded, (i.share, i.low, i.high))] for i in analysis.importances],
        "slices": MAX_SLICES,
        "tradeoffs": [_tradeoff(tradeoff) for tradeoff in analysis.tradeoffs],
        "settings": _settings(analysis),
        "asked": list(asked_cells(study.objective)),
        "pruning": {"steps": analysis.savings.steps, "trials": analysis.savings.num_trials},
        "failures": _failures(analysis),
        "timeline": _timeline(analysis),
        "environment": [*environment(study), *surroundings.items()],
        "reproduce": how_to_reproduce(study, sweep),
        "config": recorded_config(study),
        "notes": notes(study, stride),
    }


def _failures(analysis: Analysis) -> list[JSON]:
    return [
        {
            "kind": group.kind,
            "message": group.message[:MESSAGE_LENGTH],
            "trials": group.trials,
            "cure": group.cure,
            "log": group.log_path,
        }
        for group in analysis.failures
    ]


def key_figures(study: StudyData, analysis: Analysis) -> list[dict[str, str]]:
    """The line of large figures under the answer."""
    best, metric = study.best, study.objective.metric
    figures = []
    if best is not None:
        gap = study.gap(best)
        name = study.objective.label
        label = f"best {name if study.objective.penalty else words.metric_label(metric)}"
        text = words.spread(best.row, name).removesuffix(f" over {best.row.rounds}")
        note = f"trial {best.number}{f', mean ± sd of {best.row.rounds}' if best.row.std is not None else ''}"
        figures.append(_figure(text, label, note))
        figures.append(_figure(words.difference(gap, metric), "gap there", gap_note(gap)))
        onset = "none" if best.row.onset_epoch is None else f"epoch {best.row.onset_epoch}"
        figures.append(_figure(onset, "overfit onset", f"of its {best.num_curve_epochs} epochs"))
    of = f" of {study.num_planned:,}" if study.num_planned and study.num_planned > len(study.trials) else ""
    figures.append(
        _figure(f"{len(study.trials):,}{of}", "trials" if of or len(study.trials) > 1 else "trial", states(study))
    )
    savings = analysis.savings
    if savings.num_trials > 1:
        note = f"{savings.trained:,} of {savings.planned:,} trained"
        figures.append(_figure(words.percent(savings.share), "epochs saved by pruning", note))
    if analysis.timeline:
        slots = words.count(analysis.timeline.num_slots, "slot")
        note = f"{slots}, busy {words.percent(analysis.timeline.busy)}"
        figures.append(_figure(words.duration(analysis.timeline.seconds), "of work", note))
    return figures


def gap_note(gap: float | None) -> str:
    """What a gap means, in four words."""
    if gap is None:
        return "training metric not recorded"
    if abs(gap) < NO_GAP:
        return "training as good as validation"
    return "training better than validation" if gap > 0 else "validation better than training"


def curve_sets(study: StudyData) -> list[JSON]:
    """The pairs of curves that are drawn: the objective's (or accuracy where that is the loss), and the loss."""
    name = study.objective.metric.rpartition("/")[2]
    pairs = [name if name != "loss" else "accuracy", "loss"]
    recorded = {metric for trial in study.trials for metric in trial.curves}
    sets: list[JSON] = []
    for pair in pairs:
        if not recorded & {f"train/{pair}", f"val/{pair}"}:
            continue
        label = words.upper_first(words.metric_label(pair)) + (_loss_unit(study) if pair == "loss" else "")
        sets.append({"id": pair, "label": label, "percent": words.is_fraction(pair)})
    return sets


def curve_epochs(study: StudyData) -> int:
    """How many epochs of each curve the page can hold."""
    return max(MIN_CURVE_EPOCHS, MAX_CURVE_VALUES // (4 * len(study.trials)))


def kept_epochs(trial: TrialData, limit: int) -> list[int]:
    """The epochs of a trial's curves that are kept: all, or evenly spread ones, the last, the best and the onset."""
    length = max(map(len, trial.curves.values()), default=0)
    if length <= limit:
        return list(range(length))
    spread = {round(i * (length - 1) / (limit - 1)) for i in range(limit)}
    marked = {e for e in (trial.row.best_epoch, trial.row.onset_epoch) if e is not None and 0 <= e < length}
    return sorted(spread | marked)


def rounded(value: float | None, digits: int = 5) -> float | None:
    """The value with `digits` significant digits; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _figure(value: str, label: str, note: str) -> dict[str, str]:
    return {"value": value, "label": label, "note": note}


def _study(study: StudyData, made: str) -> JSON:
    metric = study.objective.metric
    return {
        "name": study.name,
        "question": study.question,
        "metric": study.objective.label if study.objective.penalty else words.metric_label(metric),
        "trainMetric": words.metric_label(study.train_metric),
        "percent": words.is_fraction(metric),
        "maximize": study.objective.direction == "maximize",
        "running": is_running(study),
        "made": made,
        "state": states(study),
    }


def _by_importance(study: StudyData, analysis: Analysis) -> list[Dimension]:
    order = {importance.key: place for place, importance in enumerate(analysis.importances)}
    return sorted(study.dimensions, key=lambda d: order.get(d.key, len(order)))


def _param(study: StudyData, dimension: Dimension, analysis: Analysis) -> JSON:
    short = words.short_names([d.key for d in study.dimensions])
    boundary = next((b for b in analysis.boundaries if b.dimension.key == dimension.key), None)
    return {
        "key": dimension.key,
        "short": short[dimension.key],
        "kind": dimension.kind,
        "log": dimension.log,
        "low": rounded(dimension.low),
        "high": rounded(dimension.high),
        "choices": [words.value_text(choice) for choice in dimension.choices] if dimension.kind == "category" else [],
        "ticks": [rounded(tick) for tick in dimension.ticks],
        "known": dimension.is_known,
        "boundary": boundary.sentence if boundary else "",
        "title": slice_title(study, dimension),
    }


def _trial(study: StudyData, trial: TrialData, limit: int, *, is_on_front: bool) -> JSON:
    epochs = kept_epochs(trial, limit)
    row, metric = trial.row, study.objective.metric
    is_whole = epochs == list(range(len(epochs)))
    return {
        "n": trial.number,
        "state": row.state.value,
        "value": rounded(row.value),
        "sd": rounded(row.std, 3),
        "gap": rounded(study.gap(trial)),
        "gapFinal": rounded(study.final_gap(trial)),
        "onset": row.onset_epoch,
        "best": row.best_epoch,
        "epochs": row.num_epochs,
        "max": trial.max_epochs,
        "seconds": rounded(row.seconds, 4),
        "params": [_param_value(row.params, d.key) for d in study.dimensions],
        "atBest": [rounded(trial.at(m, row.best_epoch)) for m in (study.train_metric, metric)],
        "atEnd": [rounded(trial.last(m)) for m in (study.train_metric, metric)],
        "x": None if is_whole else epochs,
        "curves": {
            s["id"]: [_curve(trial, f"{part}/{s['id']}", epochs) for part in ("train", "val")]
            for s in curve_sets(study)
        },
        "failure": row.failure.value if row.failure else "",
        "again": row.replicate_of,
        "asked": list(asked_cells(study.objective, row, is_on_front=is_on_front).values()),
    }


def _tradeoff(tradeoff: Tradeoff) -> JSON:
    return {
        "name": tradeoff.name,
        "unit": tradeoff.unit,
        "front": tradeoff.front,
        "costs": {str(number): cost for number, cost in tradeoff.costs.items()},
        "title": tradeoff.sentence,
        "joint": tradeoff.is_joint,
    }


def _settings(analysis: Analysis) -> JSON:
    settings = analysis.settings
    rows = [
        {"values": s.values, "score": rounded(s.score), "best": [t.number for t in s.best], "trials": s.num_trials}
        for s in settings.rows
    ]
    return {"keys": settings.keys, "rows": rows}


def _curve(trial: TrialData, metric: str, epochs: Sequence[int]) -> list[float | None]:
    curve = trial.curves.get(metric, [])
    return [rounded(curve[e]) if e < len(curve) else None for e in epochs] if curve else []


def _timeline(analysis: Analysis) -> JSON | None:
    timeline = analysis.timeline
    if timeline is None:
        return None
    return {
        "bars": [
            [
                b.attempt.trial,
                b.attempt.attempt,
                b.slot,
                round(b.begin, 2),
                round(b.end, 2),
                b.attempt.state.value,
                b.attempt.num_epochs,
            ]
            for b in timeline.bars
        ],
        "slots": timeline.num_slots,
        "seconds": round(timeline.seconds, 2),
        "pauses": [[round(position, 2), words.duration(length)] for position, length in timeline.pauses],
    }


def _loss_unit(study: StudyData) -> str:
    loss = study.trials[0].spec.config.get("loss")
    target = str(loss.get("_target_", "")) if isinstance(loss, dict) else ""
    return " (nats)" if target.endswith(("CrossEntropyLoss", "BCEWithLogitsLoss")) else ""


def _param_value(params: Params, key: str) -> Any:
    """None is a key that the trial did not have; a value of null is shown as its word."""
    return None if key not in params else "null" if params[key] is None else _plain(params[key])


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return rounded(value, 6)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
