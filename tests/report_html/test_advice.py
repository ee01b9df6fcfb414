"""Advice on made trials: what is planted is found, what is noise is not said, and each sentence names its trials."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from idealfit.report.html.advice import Evidence, advise, diagnosis, num_images
from idealfit.report.html.dimensions import read_dimensions
from idealfit.report.html.effects import beyond_chance, effects_of, match
from idealfit.spec import Objective, Params, TrialState
from idealfit.study.outcome import TrialRow, rank

SPACE = {
    "optimizer.lr": "tag(log, interval(1e-4, 1e-1))",
    "model.dropout": "interval(0, 0.6)",
    "model.depth": "range(1, 4)",
}
DIMENSIONS = read_dimensions(SPACE, [])
LEVERS = ["model.dropout", "model.depth"]
Draw = Callable[[random.Random, Params], tuple[float, float]]


def by_dropout(draw: random.Random, params: Params) -> tuple[float, float]:
    """Dropout gains 3 points of accuracy over its range and closes the gap by as many."""
    dropout = float(params["model.dropout"] or 0)
    return 0.9 + 0.05 * dropout + draw.gauss(0, 0.004), 0.06 - 0.05 * dropout + draw.gauss(0, 0.004)


def by_chance(draw: random.Random, params: Params) -> tuple[float, float]:
    return 0.9 + draw.gauss(0, 0.02), 0.03 + draw.gauss(0, 0.02)


def study(outcome: Draw, *, num_trials: int = 40, seed: int = 0) -> list[TrialRow]:
    draw = random.Random(seed)
    rows = []
    for number in range(num_trials):
        params: Params = {
            "optimizer.lr": 10 ** draw.uniform(-4, -1),
            "model.dropout": draw.uniform(0, 0.6),
            "model.depth": draw.randint(1, 3),
        }
        value, gap = outcome(draw, params)
        row = TrialRow(study="s", number=number, state=TrialState.COMPLETE, value=value, params=params, gap=gap)
        rows.append(replace(row, best_epoch=9, num_epochs=10))
    return rank(rows, Objective())


def curves(train: Sequence[float], val: Sequence[float], loss: Sequence[float] = ()) -> dict[str, list[float]]:
    return {"train/accuracy": list(train), "val/accuracy": list(val), "val/loss": list(loss or [0.1] * len(val))}


def evidence(
    rows: Sequence[TrialRow], found: dict[str, list[float]] | None = None, *, num_images: int | None = 1000
) -> Evidence:
    return Evidence(
        rows=rows,
        dimensions=DIMENSIONS,
        objective=Objective(),
        best=rows[0],
        curves=found or {},
        is_whole=True,
        num_images=num_images,
    )


def winner(**changes: object) -> list[TrialRow]:
    row = TrialRow(study="s", number=7, state=TrialState.COMPLETE, value=0.9, params={}, best_epoch=9, num_epochs=10)
    return [replace(row, **changes)]  # type: ignore[arg-type]


def said(what: Evidence) -> str:
    return "\n".join(advice.text for advice in advise(what))


def diagnosed(what: Evidence) -> str:
    advice = diagnosis(what, set())
    return advice.text if advice else ""


def test_a_planted_effect_is_found_with_its_interval_and_its_trials() -> None:
    rows = study(by_dropout)
    (advice,) = [advice for advice in advise(evidence(rows)) if advice.text.startswith("This study says")]
    assert "model.dropout" in advice.text
    assert "gains" in advice.text
    assert "narrows the gap by" in advice.text
    (both,) = effects_of(rows, ["model.dropout"], DIMENSIONS)
    score, gap = both
    assert advice.trials == (*score.trials, *score.others)
    by_number = {row.number: row for row in rows}
    differences = [
        (by_number[a].value or 0) - (by_number[b].value or 0) for a, b in zip(score.trials, score.others, strict=True)
    ]
    assert score.mean == pytest.approx(sum(differences) / len(differences))
    assert score.low < 0.015 < score.high, "half the range apart on average: 0.3 * 0.05"
    assert gap.low < -0.015 < gap.high


def test_noise_is_rarely_taken_for_an_effect() -> None:
    """At most 5 % of studies may be wrong: of 100 hardly more than 11 (99 % of the binomial)."""
    wrong = 0
    for seed in range(100):
        splits = effects_of(study(by_chance, seed=seed), LEVERS, DIMENSIONS)
        wrong += bool(beyond_chance([effect for both in splits for effect in both]))
    assert wrong <= 11


def test_a_learning_rate_that_goes_with_dropout_is_not_taken_for_it() -> None:
    def by_lr(draw: random.Random, params: Params) -> tuple[float, float]:
        place = (math.log10(float(params["optimizer.lr"] or 1)) + 4) / 3  # 0 to 1 along the range
        params["model.dropout"] = min(0.6, max(0.0, 0.6 * place + draw.gauss(0, 0.05)))
        return 0.8 + 0.1 * place + draw.gauss(0, 0.004), 0.03 + draw.gauss(0, 0.004)

    wrong = 0
    for seed in range(20):
        rows = study(by_lr, seed=seed)
        high = [row.value or 0 for row in rows if float(row.params["model.dropout"] or 0) > 0.3]
        low = [row.value or 0 for row in rows if float(row.params["model.dropout"] or 0) <= 0.3]
        assert statistics.fmean(high) - statistics.fmean(low) > 0.03, "a plain mean sees an effect"
        effects = [effect for both in effects_of(rows, ["model.dropout"], DIMENSIONS) for effect in both]
        wrong += bool(beyond_chance(effects))
    assert wrong <= 3


def test_pairs_agree_in_what_is_no_number_and_use_each_trial_once() -> None:
    dimensions = read_dimensions({"model.dropout": "interval(0, 1)", "model.activation": "choice(x, y)"}, [])
    rows = [
        TrialRow(
            study="s",
            number=n,
            state=TrialState.COMPLETE,
            value=0.5,
            params={"model.dropout": a, "model.activation": b},
        )
        for n, (a, b) in enumerate([(0.1, "x"), (0.2, "y"), (0.15, "x"), (0.9, "x"), (0.12, "x")])
    ]
    pairs = match(rows[:2], rows[2:], dimensions)
    assert [(a.number, b.number) for a, b in pairs] == [(0, 4)]


def test_an_overfit_winner_is_told_with_its_gap_and_onset() -> None:
    text = diagnosed(evidence(winner(onset_epoch=6), curves([0.9] * 9 + [0.999], [0.9] * 9 + [0.962])))
    assert text.startswith("Trial 7 overfits: training 99.90 %, validation 96.20 % at epoch 9 (gap 3.7 ± 1.2")
    assert "from epoch 6 on its validation loss rises" in text
    assert text.endswith("Try more dropout, augmentation or fewer parameters.")


def test_a_cure_that_does_harm_in_this_study_is_not_named() -> None:
    def harmful(draw: random.Random, params: Params) -> tuple[float, float]:
        value, gap = by_dropout(draw, params)
        return 1.8 - value, gap

    rows = study(harmful)
    overfit = curves([0.9] * 9 + [0.999], [0.9] * 9 + [0.9])
    text = said(evidence(rows, overfit))
    assert "Try augmentation or fewer parameters." in text
    assert "costs" in text


def test_a_gap_within_the_noise_of_few_images_is_no_overfitting() -> None:
    found = curves([0.98] * 10, [0.97] * 10)
    assert diagnosed(evidence(winner(), found, num_images=200)).startswith("Trial 7 generalises")
    assert diagnosed(evidence(winner(), found, num_images=20_000)).startswith("Trial 7 overfits")
    assert diagnosed(evidence(winner(), found, num_images=None)) == "", "nobody knows the noise"


def test_the_noise_of_folds_is_that_of_all_images_that_they_validate_on() -> None:
    one = {"num_train_images": 1150, "num_val_images": 288}
    assert num_images(one) == 288
    assert num_images(one | {"num_scored_images": 1438}) == 1438
    assert num_images({"num_train_images": 72, "num_val_images": 288, "num_scored_images": 1440}) == 360
    assert num_images({"num_val_images": 288}) is None


def test_a_curve_that_still_falls_asks_for_more_epochs() -> None:
    falling = [1.0 - 0.08 * epoch for epoch in range(10)]
    found = curves([0.6] * 10, [0.6] * 10, falling)
    text = diagnosed(evidence(winner(), found))
    assert "still fell in the last 3 of 10 epochs (0.6 to 0.36)" in text.replace("0.600", "0.6")
    assert text.endswith("Try more epochs.")
    stopped = evidence(winner(), found)
    assert "more epochs" not in diagnosed(replace(stopped, is_whole=False)), "it was stopped early"


def test_errors_on_the_training_images_too_are_underfitting() -> None:
    text = diagnosed(evidence(winner(), curves([0.8] * 10, [0.79] * 10)))
    assert text.startswith("Trial 7 underfits: training 80.00 %, validation 79.00 % at epoch 9")
    assert "of 21.0 points of errors it makes 20.0 points on training images too" in text


def test_too_few_complete_trials_are_said_to_be_too_few() -> None:
    rows = study(by_dropout, num_trials=12)
    rows = rows[:4] + [replace(row, state=TrialState.PRUNED) for row in rows[4:]]
    text = said(evidence(rows))
    assert text.startswith("4 trials ran to the end: too few to tell the effect of model.dropout and model.depth")
    assert "8 were pruned" in text
