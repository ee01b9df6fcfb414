"""Pruners: their defaults fit every length, and wrong options are told. Storages and reporters: tests/storage/."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from idealfit.pruning import make_pruner
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


def test_hyperband_knows_the_epochs_from_the_first_trial_on() -> None:
    assert make_pruner("hyperband", {}, 30)._max_resource == 30  # type: ignore[attr-defined]


def test_hyperband_compares_after_1_4_and_16_of_30_epochs() -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner("hyperband", {}, 30), study_name="brackets")
    ended_after = set()
    for number in range(60):
        trial, value = study.ask(), 1.0 / (number + 1)
        for num_epochs in range(1, 31):
            trial.report(value, num_epochs)
            if trial.should_prune():
                break
        ended_after.add(num_epochs)
        study.tell(trial, value)
    assert ended_after == {1, 4, 16, 30}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("hyperbnd", {}, "Did you mean 'hyperband'"),
        ("hyperband", {"reduction_facter": 3}, "Did you mean 'reduction_factor'"),
        ("none", {"reduction_factor": 3}, "reduction_factor is unknown to none"),
        ("hyperband", {"reduction_factor": 1}, "reduction_factor"),
        ("hyperband", {"min_resource": 0}, "min_resource"),
        ("hyperband", {"min_resource": 31}, "larger than max_resource"),
        ("hyperband", {"max_resource": "many"}, "max_resource"),
        ("asha", {"min_resource": "few"}, "min_resource"),
        ("asha", {"reduction_factor": "three"}, "does not fit asha"),
        ("median", {"n_startup_trials": -1}, "does not fit median"),
    ],
)
def test_a_wrong_option_is_told(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pruner(name, options, 30)
    assert words in str(caught.value)


@pytest.mark.parametrize(("name", "options"), [("hyperband", {"min_resource": 5}), ("median", {"n_startup_trials": 0})])
def test_the_user_s_options_win(name: str, options: dict[str, Any]) -> None:
    pruner: Any = make_pruner(name, options, 30)
    assert all(getattr(pruner, f"_{key}") == value for key, value in options.items())
