"""The page of the lectures' claims: what is judged lies in the studies, and verdicts follow the records."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from docs.lectures.__main__ import study_name, write_page
from docs.lectures.claims import CLAIMS, Claim
from docs.lectures.trials import SEED, Trial, read_trials
from docs.lectures.verdicts import Expectation, Verdict, judge, overall

from idealfit import sweep
from idealfit.config import Composer, config_names
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


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.study)
def test_every_statement_is_about_points_that_the_study_has(claim: Claim) -> None:
    study = Composer(f"lectures/{claim.study}").root()["study"]
    points = Space.parse(study["space"], forbid=study["forbid"]).points()
    seeds = {point[SEED] for point in points}
    assert len(seeds) == 3
    for expectation in claim.expectations:
        for values in (expectation.better, expectation.worse):
            matching = [p for p in points if all(p.get(key, "") == value for key, value in values.items())]
            assert {point[SEED] for point in matching} == seeds, expectation.says
    for key in {claim.picture.get("across"), claim.picture.get("lines")} - {None}:
        assert key in study["space"]


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


def test_a_side_without_trials_is_an_error() -> None:
    with pytest.raises(StudyError, match=r"relu beats tanh: 0 seeds have"):
        judge(RELU_WINS, trials(relu=[0.9, 0.9, 0.9]))


def test_the_verdict_on_a_claim_counts_its_statements() -> None:
    won = judge(RELU_WINS, trials(relu=[0.9, 0.91, 0.9], tanh=[0.1, 0.1, 0.1]))
    lost = judge(RELU_WINS, trials(relu=[0.1, 0.1, 0.1], tanh=[0.9, 0.91, 0.9]))
    open_ = judge(RELU_WINS, trials(relu=[0.1, 0.5, 0.9], tanh=[0.9, 0.5, 0.1]))
    assert overall([won, won]) == "Holds"
    assert overall([won, lost, open_]) == "Holds in part: 1 of 3 statements"
    assert overall([lost, open_]) == "Does not hold"
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


@pytest.mark.parametrize("picture", [{"metric": METRIC, "across": "model.width"}, {"metric": "val/loss"}])
def test_the_page_is_made_from_the_records_of_a_study(in_tmp_dir: Path, picture: dict[str, str]) -> None:
    (in_tmp_dir / "sweeps/lectures").mkdir(parents=True)
    (in_tmp_dir / "sweeps/lectures/width.yaml").write_text(SWEEP)
    wider = Expectation(says="64 units beat 4", better={"model.width": 64}, worse={"model.width": 4})
    claim = Claim(study="width", title="Wide beats narrow", says="It does.", expectations=[wider], picture=picture)
    sweep("lectures/width", "engine=inline", "tracking=none", quiet=True)
    page = in_tmp_dir / "docs" / "lectures.md"
    write_page(page, in_tmp_dir / "runs", [CLAIMS[0], claim])
    text = page.read_text()
    assert f"| {CLAIMS[0].title} | not run yet |" in text
    runs = read_trials(in_tmp_dir / "runs", study_name(claim))
    assert len(runs) == 4
    assert judge(wider, runs).sentence in text
    assert f"- 64 units beat 4: **{judge(wider, runs).verdict}**" in text
    assert (page.parent / "pictures/lectures/width.png").stat().st_size > 10_000


def test_every_claim_is_on_the_page_with_its_verdict() -> None:
    text = (Path(__file__).parents[1] / "docs" / "lectures.md").read_text()
    for claim in CLAIMS:
        row = re.search(rf"^\| \[?{re.escape(claim.title)}.*\| (.+) \|$", text, flags=re.MULTILINE)
        assert row, claim.title
        assert row[1] != "not run yet", claim.title
