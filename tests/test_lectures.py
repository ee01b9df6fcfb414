"""The page of the lectures' claims: what is judged lies in the studies, and verdicts follow the records."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from docs.lectures.__main__ import main, take_in
from docs.lectures.claim import Claim
from docs.lectures.claims import CLAIMS
from docs.lectures.page import PAGE, write_page
from docs.lectures.results import RESULTS, kept
from docs.lectures.trials import FOLD, SEED, Trial, by_point, read_trials, repeat_of
from docs.lectures.verdicts import BestOf, Expectation, Verdict, judge, overall

from idealfit import sweep
from idealfit.config import Composer, config_names
from idealfit.protocol import num_rounds
from idealfit.space import Space
from idealfit.spec import StudyError

METRIC = "best/val_accuracy"
RELU_WINS = Expectation(says="relu beats tanh", better={"activation": "relu"}, worse={"activation": "tanh"})


def trials(**values: list[float | None]) -> list[Trial]:
    """Trials of each activation, a value a seed; None is a loss that ran away."""
    return [
        Trial(
            params={SEED: seed, "activation": name},
            summaries={} if value is None else {METRIC: value},
            curves={},
            num_params=None,
            seconds=1.0,
            has_diverged=value is None,
        )
        for name, row in values.items()
        for seed, value in enumerate(row)
    ]


def test_every_sweep_of_the_lectures_has_a_claim_and_every_claim_its_sweep() -> None:
    names = [name.removeprefix("lectures/") for name in config_names("sweep") if name.startswith("lectures/")]
    assert sorted(claim.study for claim in CLAIMS) == names


def points_of(claim: Claim) -> list[dict[str, Any]]:
    """Every point of the claim's study, with the seeds; of a cross-validation once for each fold."""
    root = Composer(f"lectures/{claim.study}").root()
    points = Space.parse(root["study"]["space"], forbid=root["study"]["forbid"]).points()
    folds = num_rounds(root)
    return [{**point, FOLD: fold} for point in points for fold in range(folds)] if folds > 1 else points


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.study)
def test_every_statement_is_about_points_that_the_study_has(claim: Claim) -> None:
    points = points_of(claim)
    repeats = {repeat_of(point) for point in points}
    assert len(repeats) >= 3
    for expectation in claim.expectations:
        for side in (expectation.better, expectation.worse):
            tried = [value.values if isinstance(value, BestOf) else [value] for value in side.values()]
            for values in itertools.product(*tried):
                wanted = dict(zip(side, values, strict=True))
                matching = [p for p in points if all(p.get(key, "") == value for key, value in wanted.items())]
                assert {repeat_of(point) for point in matching} == repeats, expectation.says
    for key in {claim.picture.get("across"), claim.picture.get("lines")} - {None}:
        assert key in points[0]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.study)
def test_a_study_starts_from_no_other_records_than_those_of_the_study_that_it_needs(claim: Claim) -> None:
    named = {str(value) for point in points_of(claim) for value in point.values() if str(value).startswith("runs/")}
    assert named == ({f"runs/{claim.needs}/0"} if claim.needs else set())
    assert not claim.needs or Composer(claim.needs).root()["study"]["budget"]["trials"] == 1


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.study)
def test_what_is_kept_of_a_study_are_the_points_that_it_has(claim: Claim) -> None:
    """A study that was changed is to run again."""
    assert sorted(map(str, points_of(claim))) == sorted(str(dict(trial.params)) for trial in kept(claim))


@pytest.mark.parametrize(
    ("relu", "tanh", "verdict"),
    [
        ([0.90, 0.91, 0.92], [0.80, 0.82, 0.81], Verdict.HOLDS),
        ([0.90, 0.80, 0.91], [0.85, 0.86, 0.85], Verdict.UNSETTLED),
        ([0.80, 0.82, 0.81], [0.90, 0.91, 0.92], Verdict.FAILS),
        ([0.90, 0.91, 0.92], [None, None, None], Verdict.HOLDS),
        ([0.90, 0.91, 0.92], [0.80, None, 0.80], Verdict.UNSETTLED),
        ([0.90, None, None], [0.80, 0.80, 0.80], Verdict.FAILS),
    ],
)
def test_a_statement_holds_if_the_interval_of_its_difference_does(
    relu: list[float | None], tanh: list[float | None], verdict: Verdict
) -> None:
    assert judge(RELU_WINS, trials(relu=relu, tanh=tanh)).verdict is verdict


def test_seeds_are_compared_in_pairs() -> None:
    """The seeds differ by far more than the sides do; the difference is the same for each, and so it is certain."""
    found = judge(RELU_WINS, trials(relu=[0.51, 0.71, 0.912], tanh=[0.50, 0.70, 0.90]))
    assert found.verdict is Verdict.HOLDS
    assert "difference +0.0107" in found.sentence


def test_lower_can_be_better_and_a_number_can_be_the_rival() -> None:
    runs = trials(relu=[0.10, 0.11, 0.12], tanh=[0.20, 0.22, 0.21])
    assert judge(dataclasses.replace(RELU_WINS, lower=True), runs).verdict is Verdict.HOLDS
    published = Expectation(says="above 0.95", better={"activation": "relu"}, threshold=0.95)
    assert judge(published, runs).verdict is Verdict.FAILS


def test_a_side_may_choose_the_value_that_serves_it_best() -> None:
    runs = trials(relu=[0.9, 0.91, 0.92], tanh=[0.8, 0.81, 0.83], elu=[None, 0.99, 0.99])
    best = Expectation(says="the best beats tanh", better={"activation": BestOf("relu", "tanh", "elu")}, threshold=0.85)
    found = judge(best, runs)
    assert found.verdict is Verdict.HOLDS
    assert "0.91 against 0.85 at activation relu;" in found.sentence
    assert "at activation tanh;" in judge(dataclasses.replace(best, lower=True), runs).sentence


def test_a_side_without_trials_is_an_error() -> None:
    with pytest.raises(StudyError, match=r"relu beats tanh: 0 seeds have"):
        judge(RELU_WINS, trials(relu=[0.9, 0.9, 0.9]))


def test_the_verdict_on_a_claim_counts_its_statements() -> None:
    won = judge(RELU_WINS, trials(relu=[0.9, 0.91, 0.9], tanh=[0.1, 0.1, 0.1]))
    lost = judge(RELU_WINS, trials(relu=[0.1, 0.1, 0.1], tanh=[0.9, 0.91, 0.9]))
    open_ = judge(RELU_WINS, trials(relu=[0.1, 0.5, 0.9], tanh=[0.9, 0.5, 0.1]))
    assert overall([won, won]) == "Holds"
    assert overall([won, lost, open_]) == "Holds in part: 1 of 3 statements"
    assert overall([lost, open_]) == "Does not hold in 1 of 2 statements, the rest not settled"
    assert overall([lost, lost]) == "Does not hold"
    assert overall([open_]) == "Not settled by these runs"


SWEEP = """# @package _global_
defaults:
  - /train
  - _self_
data: {limit: 100}
trainer: {max_epochs: 2}
study:
  budget: {trials: 4}
  sampler: grid
  pruner: none
  space:
    seed: choice(0, 1)
    model.width: choice(4, 64)
"""


WIDER = Expectation(says="64 units beat 4", better={"model.width": 64}, worse={"model.width": 4})
PICTURES = [{"metric": METRIC, "across": "model.width"}, {"metric": "val/loss"}, {"metric": METRIC}]


def wide(picture: dict[str, str]) -> Claim:
    """A claim of the sweep above."""
    return Claim(study="width", title="Wide beats narrow", says="It does.", expectations=[WIDER], picture=picture)


@pytest.fixture
def width_sweep(in_tmp_dir: Path) -> Path:
    """A project with the sweep above."""
    (in_tmp_dir / "sweeps/lectures").mkdir(parents=True)
    (in_tmp_dir / "sweeps/lectures/width.yaml").write_text(SWEEP)
    return in_tmp_dir


@pytest.mark.parametrize("picture", PICTURES, ids=("values", "curves", "points"))
def test_the_page_is_made_from_what_is_kept_of_the_records(width_sweep: Path, picture: dict[str, str]) -> None:
    claim = wide(picture)
    sweep("lectures/width", "engine=inline", "tracking=none", quiet=True)
    runs = read_trials(width_sweep / "runs", "lectures_width")
    assert len(runs) == 4
    take_in(claim, width_sweep / "runs", width_sweep / "results")
    take_in(claim, width_sweep / "elsewhere", width_sweep / "results")  # no record there: what is kept stays
    shutil.rmtree(width_sweep / "runs")
    page = width_sweep / "docs" / "lectures.md"
    write_page(page, width_sweep / "results", [CLAIMS[0], claim])
    text = page.read_text()
    assert f"| {CLAIMS[0].title} | not run yet |" in text
    assert f"- 64 units beat 4: **{judge(WIDER, runs).verdict}**" in text
    assert judge(WIDER, runs).sentence in text
    assert (page.parent / "pictures/lectures/width.png").stat().st_size > 10_000


def test_folds_take_the_place_of_seeds(width_sweep: Path) -> None:
    sweep(
        "lectures/width", "engine=inline", "tracking=none", "protocol=kfold", "protocol.folds=3", "seed=0", quiet=True
    )
    runs = read_trials(width_sweep / "runs", "lectures_width")
    assert [len(folds) for folds in by_point(runs).values()] == [3, 3]
    assert "over 3 folds" in judge(WIDER, runs).sentence


def test_a_claim_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["lectures", "momentun"])
    with pytest.raises(SystemExit):
        main()
    assert "no claim 'momentun'. Did you mean 'momentum'" in capsys.readouterr().err


def test_the_page_is_that_of_the_claims_and_what_is_kept(tmp_path: Path) -> None:
    write_page(tmp_path / "lectures.md", RESULTS, CLAIMS)
    assert (tmp_path / "lectures.md").read_text() == PAGE.read_text()
    assert "not run yet" not in PAGE.read_text()
