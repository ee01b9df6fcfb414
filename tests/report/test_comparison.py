"""Studies and trials side by side, on records written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealfit.cli import main
from idealfit.objective import Constraint
from idealfit.record import Record
from idealfit.report.comparison import compare
from idealfit.spec import Objective, StudyError, TrialResult, TrialSpec, TrialState, record_path

pytestmark = pytest.mark.usefixtures("in_tmp_dir")
RUNS = Path("runs")
LOSS = Objective(metric="val/loss", direction="minimize")


def trial(
    name: str,
    value: float | None,
    *,
    depth: int = 2,
    seed: int = 0,
    objective: Objective = Objective(),  # noqa: B008 - frozen
    state: TrialState = TrialState.COMPLETE,
    scores: tuple[float, ...] = (),
    **config: object,
) -> None:
    study, _, number = name.rpartition("/")
    spec = TrialSpec(
        study=study,
        number=int(number),
        config={"seed": seed, "data": {"root": name, "split_seed": seed}, "model": {"depth": depth}, **config},
        objective=objective,
        params={"model.depth": depth},
        record_dir=str(record_path(RUNS, study, int(number))),
    )
    summaries = {"best/val_accuracy": 0.5, "overfit/gap_at_best": 0.01}
    Record.create(spec).write_result(TrialResult(state=state, value=value, summaries=summaries, scores=list(scores)))


def test_the_best_configuration_comes_first_with_what_differs() -> None:
    trial("a/0", 0.7, depth=1, loss="mse")
    trial("a/1", 0.9, depth=3, loss="mse")
    trial("b/0", 0.8, depth=3, loss="hinge")
    trial("b/1", None, state=TrialState.FAILED)
    found = compare(RUNS, ["a", "b"])
    assert [entry.label for entry in found.entries] == ["a/1", "b/0", "a/0"]
    assert found.keys == ("model.depth", "loss")
    assert found.num_without_score == 1
    best, ahead, shared, unsure = found.sentences()
    assert best == "Best: a/1, val/accuracy 0.9000."
    assert ahead.startswith("Ahead of b/0 by 0.1000, without replicates")
    assert shared == "Of 1 point that several studies tried, the best is a in 1."
    assert "luck is not known" in unsure


def test_seeds_are_replicates_and_say_how_sure_it_is() -> None:
    for seed, (better, worse) in enumerate(((0.90, 0.80), (0.92, 0.82), (0.91, 0.81))):
        trial(f"a/{seed}", better, depth=3, seed=seed)
        trial(f"a/{3 + seed}", worse, depth=1, seed=seed)
    first, second = compare(RUNS, ["a"]).entries
    assert first.scores == pytest.approx((0.92, 0.91, 0.90))
    assert first.half_width == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)  # Student's t of 2 degrees of freedom
    _, ahead = compare(RUNS, ["a"]).sentences()
    assert ahead == "Ahead of a/4 by 0.1000 \u00b1 0.0227 (95% confidence), more than chance explains."
    assert second.label == "a/4"


def test_a_small_lead_may_be_chance() -> None:
    for seed, (better, worse) in enumerate(((0.90, 0.94), (0.96, 0.88))):
        trial(f"a/{seed}", better, depth=3, seed=seed)
        trial(f"a/{2 + seed}", worse, depth=1, seed=seed)
    assert "chance alone may explain" in compare(RUNS, ["a"]).sentences()[1]


def test_the_same_seed_twice_is_no_replicate() -> None:
    trial("a/0", 0.9)
    trial("a/1", 0.9)
    (entry,) = compare(RUNS, ["a"]).entries
    assert (len(entry.trials), entry.half_width) == (2, None)


def test_a_pruned_trial_is_no_replicate_of_a_complete_one() -> None:
    trial("a/0", 0.9)
    trial("a/1", 0.5, seed=1, state=TrialState.PRUNED)
    assert len(compare(RUNS, ["a"]).entries) == 2


def test_what_was_pruned_or_breaks_a_constraint_comes_after_the_rest_and_says_so() -> None:
    limited = Objective(constraints=(Constraint(metric="gap", relation="<=", bound=0.005),))
    trial("a/0", 0.9)
    trial("a/1", 0.95, depth=3, state=TrialState.PRUNED)
    trial("b/0", 0.99, objective=limited)
    assert [entry.label for entry in compare(RUNS, ["a"]).entries] == ["a/0", "a/1"]
    assert compare(RUNS, ["a"]).cells()[1][3] == "0.9500 (pruned after 0 epochs)"
    found = compare(RUNS, ["a", "b"])
    assert [entry.label for entry in found.entries] == ["a/0", "a/1", "b/0"]
    assert "gap" in found.cells()[2][3]


def test_of_equal_scores_the_later_trial_comes_first() -> None:
    for number in (2, 10, 9):
        trial(f"a/{number}", 0.9, depth=number)
    found = compare(RUNS, ["a"])
    assert [entry.label for entry in found.entries] == ["a/10", "a/9", "a/2"]
    assert found.sentences()[1].startswith("Level with a/9, without replicates")


def test_the_best_trial_and_the_fresh_seeds_of_a_study_have_names() -> None:
    trial("a/0", 0.8)
    trial("a/1", 0.9, depth=3)
    for seed, value in enumerate((0.84, 0.86)):
        trial(f"a/promote/{seed}", value, seed=seed)
    assert [entry.label for entry in compare(RUNS, ["a/best", "a/0"]).entries] == ["a/1", "a/0"]
    assert compare(RUNS, ["a"]).sentences()[-1] == "Fresh seeds of its best: idealfit compare a/promote"
    (fresh,) = compare(RUNS, ["a/promote"]).entries
    assert (fresh.label, len(fresh.scores)) == ("a/promote/1", 2)
    for name in ("b/best", "a/promote/7"):
        with pytest.raises(StudyError, match=r"no study 'b'|no trial '7'"):
            compare(RUNS, [name])


def test_a_loss_is_better_when_smaller_and_mixed_objectives_rank_by_accuracy() -> None:
    trial("a/0", 0.3, objective=LOSS)
    trial("a/1", 0.2, depth=3, objective=LOSS)
    trial("b/0", 0.9)
    assert compare(RUNS, ["a"]).entries[0].label == "a/1"
    assert compare(RUNS, ["a", "b/0"]).metric == "best/val_accuracy"
    assert {entry.mean for entry in compare(RUNS, ["a", "b/0"]).entries} == {0.5}


def test_the_command_shows_the_top_of_each_study(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        trial(f"a/{number}", number / 10, depth=number + 1)
    trial("b/0", 0.05)
    assert main(["compare", "a", "b/0", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line.split()[:2] for line in lines if line[:1].isdigit()]
    assert table == [["1", "a/7"], ["2", "a/6"], ["8", "b/0"], ["3", "of"]]


def test_nothing_to_compare_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    trial("a/0", None, state=TrialState.FAILED)
    assert main(["compare", "a"]) == 0
    assert "No trial has a score yet" in capsys.readouterr().out
    for words in (["compare", "aa"], ["compare", "a/7"], ["compare", "runs_dir=x"], ["compare", "a", "--top=-1"]):
        assert main(words) == 2
    with pytest.raises(StudyError, match="Did you mean 'a'"):
        compare(RUNS, ["aa"])


def test_a_trial_of_several_seeds_is_as_many_replicates() -> None:
    protocol = {"name": "seeds", "seeds": 3}
    trial("a/0", 0.91, depth=3, scores=(0.90, 0.92, 0.91), protocol=protocol)
    trial("a/1", 0.81, depth=2, scores=(0.80, 0.82, 0.81), protocol=protocol)
    found = compare(RUNS, ["a"])
    assert [len(entry.scores) for entry in found.entries] == [3, 3]
    assert [line[3] for line in found.cells()] == ["0.9100 \u00b1 0.0248", "0.8100 \u00b1 0.0248"]
    assert "more than chance explains" in found.sentences()[1]


def test_folds_are_no_replicates_and_tell_how_far_they_differ() -> None:
    trial("a/0", 0.91, scores=(0.90, 0.92, 0.91), protocol={"name": "kfold", "folds": 3})
    found = compare(RUNS, ["a"])
    assert found.entries[0].half_width is None
    assert found.cells()[0][3] == "0.9100 (sd 0.0100 over 3 folds)"
