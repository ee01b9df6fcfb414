from dataclasses import replace
from pathlib import Path

from idealfit.report.summary import overfit_sentence, summary
from idealfit.spec import Objective, TrialState
from idealfit.study.outcome import StudyResult, TrialRow


def result_of(rows: list[TrialRow]) -> StudyResult:
    return StudyResult(
        name="s",
        ending="done",
        reason="the budget of 2 trials is used up",
        objective=Objective(),
        rows=rows,
        study_dir=Path("/r/s"),
        seconds=61,
        where="idealfit ui s",
    )


def row(**changes: object) -> TrialRow:
    base = {"study": "s", "number": 4, "state": TrialState.COMPLETE, "value": 0.9, "params": {"model.depth": 2}}
    return TrialRow(**{**base, **changes})  # type: ignore[arg-type]


def test_the_winner_and_how_to_go_on() -> None:
    text = summary(result_of([row(gap=0.02, onset_epoch=6, best_epoch=5), row(number=1, state=TrialState.PRUNED)]))
    assert "winner    trial 4: val/accuracy 0.9000 at epoch 5" in text
    assert "model.depth=2" in text
    assert "gap +0.0200 at its best epoch, overfits from epoch 6 on" in text
    assert "2 trials (1 complete, 1 pruned), 1:01. The budget of 2 trials is used up." in text
    assert "idealfit runs s" in text
    assert "idealfit ui s" in text


def test_no_winner_is_said() -> None:
    assert "none: no trial has a score" in summary(result_of([row(state=TrialState.FAILED, value=None)]))
    assert "none: no trial has a score" in summary(result_of([]))


def test_a_trial_that_never_overfits_says_so() -> None:
    assert overfit_sentence(row(gap=0.0)) == "gap +0.0000 at its best epoch, no overfit onset"


def test_an_interrupted_study_ends_with_how_to_go_on() -> None:
    result = replace(result_of([]), ending="interrupted", command="idealfit sweep s model.depth=3")
    assert summary(result).splitlines()[-1] == "go on     idealfit sweep s model.depth=3"
