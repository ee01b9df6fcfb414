"""Scientific parameters are compared with everything else at its best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies import Plan, curves, write_study

from idealfit.report.html import StudyData, read_study
from idealfit.report.html.analysis import analyse
from idealfit.report.html.sentences import findings
from idealfit.report.html.settings import Settings, compare_settings
from idealfit.spec import Params, TrialState

SPACE: dict[str, Any] = {
    "model": {"values": "choice(linear, mlp, cnn)", "role": "scientific"},
    "model.dropout": {"values": "choice(0.0, 0.2)", "role": "scientific"},
    "optimizer.lr": "choice(0.01, 0.1)",
    "model.kernel_size": {"values": "choice(3, 5)", "when": {"model": "cnn"}},
}
SCORES = {("linear", 0.0): 0.6, ("mlp", 0.0): 0.7, ("mlp", 0.2): 0.75, ("cnn", 0.0): 0.8, ("cnn", 0.2): 0.9}


def flat(score: float) -> dict[str, list[float]]:
    """Curves that stay where they begin: the score is known exactly."""
    return {name: [score] * 3 for name in ("train/accuracy", "val/accuracy", "train/loss", "val/loss")}


def trial(model: str, dropout: float, *, tuned: bool, score: float) -> Plan:
    params: Params = {"model": model, "model.dropout": dropout, "optimizer.lr": 0.01 if tuned else 0.1}
    kernel: Params = {"model.kernel_size": 3} if model == "cnn" else {}
    return Plan({**params, **kernel}, curves=flat(score), max_epochs=3)


def study_of(tmp_path: Path, plans: list[Plan], space: dict[str, Any] = SPACE) -> StudyData:
    return read_study(write_study(tmp_path / "s", plans), space=space)


def every_setting() -> list[Plan]:
    tuned = [trial(*setting, tuned=True, score=score) for setting, score in SCORES.items()]
    return tuned + [trial(*setting, tuned=False, score=0.95 - score) for setting, score in SCORES.items()]


def told(settings: Settings, key: str) -> str:
    return next(sentence for sentence in settings.sentences if key in sentence.partition(",")[0])


def test_each_setting_is_judged_by_its_best(tmp_path: Path) -> None:
    settings = compare_settings(study_of(tmp_path, every_setting()))
    assert settings.keys == ("model", "model.dropout")
    assert settings.nuisance == ("optimizer.lr", "model.kernel_size")
    assert [(row.values, round(row.score, 3), row.num_trials) for row in settings.rows] == [
        (("cnn", "0.2"), 0.9, 2),
        (("cnn", "0"), 0.8, 2),
        (("mlp", "0.2"), 0.75, 2),
        (("mlp", "0"), 0.7, 2),
        (("linear", "0"), 0.6, 2),
    ]


def test_the_sentences_say_what_wins_where_and_that_nothing_was_repeated(tmp_path: Path) -> None:
    study = study_of(tmp_path, every_setting())
    model, dropout = compare_settings(study).sentences
    assert model.startswith(
        "model = cnn is ahead of mlp at every model.dropout (2), by 12.5 points on average, each at its"
    )
    assert dropout.startswith("model.dropout = 0.2 is ahead of 0 at every model (2), by 7.5 points on average")
    assert all("no point was repeated, so this may be chance" in sentence for sentence in (model, dropout))
    assert [finding.section for finding in findings(study, analyse(study))][:2] == ["settings"] * 2


def test_replicates_count_by_their_mean_and_tell_the_noise(tmp_path: Path) -> None:
    lucky = [trial("mlp", 0.2, tuned=True, score=score) for score in (0.99, 0.51)]
    settings = compare_settings(study_of(tmp_path, [*every_setting()[:2], *every_setting()[3:5], *lucky]))
    mlp = next(row for row in settings.rows if row.values == ("mlp", "0.2"))
    assert (mlp.score, len(mlp.best)) == (pytest.approx(0.75), 2)
    assert settings.sentences[0].startswith("model = cnn is ahead of")
    assert all("within the noise (48.0 points, by 2 replicates)" in sentence for sentence in settings.sentences)


def test_a_lead_beyond_the_noise_is_a_win(tmp_path: Path) -> None:
    again = [trial("cnn", 0.2, tuned=True, score=0.899)]
    sentence = compare_settings(study_of(tmp_path, [*every_setting(), *again])).sentences[0]
    assert sentence.startswith("model = cnn beats mlp at every model.dropout (2)")
    assert "each at its best of 2 to 3 trials over optimizer.lr and model.kernel_size; more than the noise" in sentence


def test_what_depends_on_the_other_parameter_is_said_so(tmp_path: Path) -> None:
    scores = {("mlp", 0.0): 0.8, ("mlp", 0.2): 0.7, ("cnn", 0.0): 0.7, ("cnn", 0.2): 0.9}
    plans = [trial(*setting, tuned=True, score=score) for setting, score in scores.items()]
    settings = compare_settings(study_of(tmp_path, plans))
    assert told(settings, "model.dropout").startswith("Which model.dropout is better, 0.2 or 0, depends on model")


def test_pruned_trials_and_studies_without_roles_are_not_compared(tmp_path: Path) -> None:
    pruned = [Plan(plan.params, curves=plan.curves, state=TrialState.PRUNED, max_epochs=30) for plan in every_setting()]
    assert compare_settings(study_of(tmp_path, pruned)) == Settings()
    plain = {key: entry["values"] if isinstance(entry, dict) else entry for key, entry in SPACE.items()}
    assert (
        compare_settings(study_of(tmp_path / "plain", every_setting(), plain | {"model.kernel_size": "3,5"}))
        == Settings()
    )


def test_many_numbers_are_put_into_bins(tmp_path: Path) -> None:
    space = {"optimizer.lr": {"values": "tag(log, interval(1e-4, 1))", "role": "scientific"}}
    plans = [Plan({"optimizer.lr": 10 ** -(i / 3)}, curves=curves(4, seed=i), max_epochs=4) for i in range(12)]
    settings = compare_settings(study_of(tmp_path, plans, space))
    assert {row.values[0] for row in settings.rows} == {
        *("0.0001 to 0.001", "0.001 to 0.01", "0.01 to 0.1", "0.1 to 1"),
    }
