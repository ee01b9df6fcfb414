"""Pruners: their defaults fit every length, and wrong options are told. Storages and reporters: tests/storage/."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from idealfit.pruning import make_pruner
from idealfit.pruning.hyperband import SharedHyperbandPruner
from idealfit.spec import ConfigError


@pytest.mark.parametrize("max_epochs", [1, 2, 5, 30, 1000])
@pytest.mark.parametrize("name", ["hyperband", "asha", "median", "none"])
def test_every_pruner_fits_every_length(name: str, max_epochs: int) -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner(name, {}, max_epochs))
    for value in (0.5, 0.4, 0.6):
        trial = study.ask()
        for epoch in range(max_epochs):
            trial.report(value, epoch)
            trial.should_prune()
        study.tell(trial, value)


def ended_after(values: list[float], max_epochs: int, name: str = "study") -> list[int]:
    """Epochs of trials that stand still at their `values`, one after the other, by hyperband."""
    study = optuna.create_study(direction="maximize", pruner=make_pruner("hyperband", {}, max_epochs), study_name=name)
    ended = []
    for value in values:
        trial = study.ask()
        for num_epochs in range(1, max_epochs + 1):
            trial.report(value, num_epochs)
            if trial.should_prune():
                break
        ended.append(num_epochs)
        study.tell(trial, value)
    return ended


def test_hyperband_compares_after_1_4_and_16_of_30_epochs() -> None:
    assert set(ended_after([1.0 / (number + 1) for number in range(60)], 30)) == {1, 4, 16, 30}


def test_hyperband_s_brackets_have_the_paper_s_shares_from_the_first_trials_on() -> None:
    pruner = make_pruner("hyperband", {}, 30)
    assert isinstance(pruner, SharedHyperbandPruner)
    brackets = [pruner.bracket_of(number) for number in range(1000)]
    weights = [3 * 16 / 3, 3 * 4 / 2, 3 * 1 / 1]  # Li et al. (2018), algorithm 1: B eta^s / (s + 1)
    for num_trials in (20, 100, 1000):
        for bracket, weight in enumerate(weights):
            share = brackets[:num_trials].count(bracket) / num_trials
            assert share == pytest.approx(weight / sum(weights), abs=1.5 / num_trials)


def test_hyperband_compares_with_all_that_got_to_a_rung_whatever_their_bracket() -> None:
    pruner = make_pruner("hyperband", {}, 30)
    assert isinstance(pruner, SharedHyperbandPruner)
    second = next(number for number in range(100) if pruner.bracket_of(number) == 1)
    assert {pruner.bracket_of(number) for number in range(second)} == {0}
    # The first of its bracket, and yet the first trial, which went on after 1 and 4 epochs, is there to beat.
    values = [0.9, *[0.1] * (second - 1), 0.5]
    assert ended_after(values, 30) == [30, *[1] * (second - 1), 4]


def test_hyperband_prunes_alike_whatever_the_study_is_called() -> None:
    values = [(7 * number % 40) / 40 for number in range(40)]
    assert ended_after(values, 30, "one") == ended_after(values, 30, "another")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("hyperbnd", {}, "Did you mean 'hyperband'"),
        ("hyperband", {"reduction_facter": 3}, "Did you mean 'reduction_factor'"),
        ("none", {"reduction_factor": 3}, "reduction_factor is unknown to none"),
        ("hyperband", {"reduction_factor": 1}, "reduction_factor"),
        ("hyperband", {"min_resource": 0}, "min_resource"),
        ("hyperband", {"min_resource": 31}, "larger than max_resource"),
        ("hyperband", {"max_resource": "many"}, "max_resource must be a whole number, got 'many'"),
        ("hyperband", {"reduction_factor": 2.5}, "reduction_factor must be a whole number, got 2.5"),
        ("asha", {"min_resource": "few"}, "min_resource"),
        ("asha", {"reduction_factor": "three"}, "does not fit asha"),
        ("median", {"n_startup_trials": -1}, "does not fit median"),
    ],
)
def test_a_wrong_option_is_told(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pruner(name, options, 30)
    assert words in str(caught.value)


@pytest.mark.parametrize(("name", "options"), [("asha", {"min_resource": 5}), ("median", {"n_startup_trials": 0})])
def test_the_user_s_options_win(name: str, options: dict[str, Any]) -> None:
    pruner: Any = make_pruner(name, options, 30)
    assert all(getattr(pruner, f"_{key}") == value for key, value in options.items())
