from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from studies import Plan, curves, cut, sample

from idealfit.report.html import StudyData, words
from idealfit.report.html.analysis import analyse
from idealfit.report.html.payload import build_payload
from idealfit.report.html.sentences import answer, findings, history_finding, rivals_finding
from idealfit.report.html.titles import pick_titles
from idealfit.spec import FailureKind, TrialState


def text_of(study: StudyData) -> str:
    return answer(study, analyse(study))


def test_the_answer_names_the_winner_its_score_its_parameters_and_its_overfitting(finished: StudyData) -> None:
    best = finished.best
    assert best is not None
    text = text_of(finished)
    assert text.startswith(f"Trial {best.number} is best: validation accuracy {100 * (best.row.value or 0):.2f} %")
    assert all(key in text for key in best.row.params)
    assert f"from epoch {best.row.onset_epoch} on it overfits" in text


def test_findings_speak_of_overfitting_importance_pruning_and_slots(finished: StudyData) -> None:
    sections = [finding.section for finding in findings(finished, analyse(finished))]
    assert {"map", "importance", "history", "pruning", "timeline"} <= set(sections)


def test_a_single_trial_is_not_compared(study_of: Callable[..., StudyData]) -> None:
    study = study_of(sample(1))
    assert text_of(study).startswith("Trial 0 ran alone: validation accuracy")
    assert not {"map", "history", "slices"} & {f.section for f in findings(study, analyse(study))}
    assert [pick["roles"] for pick in pick_titles(study)] == [["best", "median", "most overfit"]]


def test_when_all_failed_the_answer_says_why_and_what_to_do(study_of: Callable[..., StudyData]) -> None:
    failed = [
        Plan({}, state=TrialState.FAILED, failure=kind, message=f"no {i}")
        for i, kind in enumerate([FailureKind.OOM, FailureKind.OOM, FailureKind.BUG])
    ]
    study = study_of(*failed)
    assert text_of(study) == (
        "No answer. All 3 trials failed, 2 with cause 'oom'. A smaller batch, a narrower model, or fewer slots."
    )
    assert findings(study, analyse(study))[0].text == "3 of 3 trials failed (2 oom and 1 bug)."


def test_a_running_study_answers_so_far(study_of: Callable[..., StudyData]) -> None:
    study = study_of(sample(1), replace(sample(2), state=TrialState.RUNNING, curves=cut(sample(2).curves, 3)))
    assert text_of(study).startswith("So far, trial 0 is best")
    assert text_of(study_of(replace(sample(2), state=TrialState.RUNNING, curves={}))).startswith("No answer yet")


def test_without_training_metrics_the_gap_is_unknown(study_of: Callable[..., StudyData]) -> None:
    whole = curves(10)
    plan = Plan({}, {name: curve for name, curve in whole.items() if not name.startswith("train/")})
    assert "gap is unknown" in text_of(study_of(plan))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.003124, "0.00312"), (1e-5, "1e-05"), (64, "64"), (1204.0, "1,204"), (10**400, "100..."), (float("nan"), "-")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (58, "58 s"), (131, "2 min 11 s"), (720, "12 min"), (12_000, "3 h 20 min")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_a_share_that_is_nearly_nothing_is_not_nothing() -> None:
    assert [words.percent(share) for share in (0.0, 0.001, 0.5, 0.999, 1.0)] == [
        "0 %",
        "under 1 %",
        "50 %",
        "over 99 %",
        "100 %",
    ]


def test_trials_that_the_images_cannot_tell_from_the_best_are_counted(study_of: Callable[..., StudyData]) -> None:
    def plan(reach: float) -> Plan:
        return Plan({}, curves(30, reach=reach), facts={"num_val_images": 300})

    study = study_of(plan(0.96), plan(0.955), plan(0.90))
    assert rivals_finding(study).startswith("1 other complete trial lies within one standard error of the best (1.")
    assert rivals_finding(study_of(plan(0.96), plan(0.8))) == ""
    assert rivals_finding(study_of(Plan({}, curves(30)), Plan({}, curves(30)))) == "", "number of images unknown"


def with_rounds(study: StudyData, scores: tuple[float, ...], rounds: str) -> StudyData:
    return replace(
        study, trials=tuple(replace(t, row=replace(t.row, scores=scores, rounds=rounds)) for t in study.trials)
    )


def test_a_score_of_several_folds_comes_with_how_far_they_differ(study_of: Callable[..., StudyData]) -> None:
    study = study_of(Plan({}, curves(30)), Plan({}, curves(30, reach=0.5)))
    mean = 100 * (study.trials[0].row.value or 0)
    folded = with_rounds(study, (0.9, 0.92, 0.94), "3 folds")
    assert f"validation accuracy {mean:.2f} ± 2.00 % over 3 folds at epoch" in text_of(folded)
    payload = build_payload(folded, analyse(folded), made="", sweep="", surroundings={})
    assert payload["figures"][0]["value"] == f"{mean:.2f} ± 2.00 %"
    assert payload["figures"][0]["note"] == "trial 0, mean ± sd of 3 folds"
    assert [trial["sd"] for trial in payload["trials"]] == [0.02, 0.02]


def test_folds_validate_on_all_of_their_images_together(study_of: Callable[..., StudyData]) -> None:
    facts = {"num_val_images": 100}
    plans = [Plan({}, curves(30, reach=reach), facts=facts) for reach in (0.96, 0.955)]
    assert "on 100 validation images" in rivals_finding(study_of(*plans))
    folded = [replace(plan, facts=facts | {"num_scored_images": 299}) for plan in plans]
    assert "on 299 validation images" in rivals_finding(study_of(*folded))


def test_the_best_score_came_with_the_first_trial_that_had_it(study_of: Callable[..., StudyData]) -> None:
    study = study_of(*[sample(3)] * 4)
    assert study.best is not None
    assert study.best.number == 3  # of equals the last
    assert history_finding(study) == (
        "The best score came with trial 0, which trial 3 equals; the 3 scored trials after it brought no better one."
    )
