import random

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from idealfit.study import window
from idealfit.study.window import WindowedTPESampler, window_of

SPACE = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


@pytest.fixture(autouse=True)
def _small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.setattr(window, "NUM_BEST", 5)
    monkeypatch.setattr(window, "NUM_LATEST", 20)


def study_of(values: list[float], sampler: TPESampler | None = None) -> optuna.Study:
    source = random.Random(0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for value in values:
        params = {key: source.random() for key in SPACE}
        study.add_trial(create_trial(params=params, distributions=SPACE, value=value))
    return study


def numbers(trials: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


def test_a_study_that_fits_is_shown_whole() -> None:
    trials = study_of([0.1] * 25).get_trials()
    assert window_of(trials, StudyDirection.MAXIMIZE) == trials


@pytest.mark.parametrize(("direction", "best"), [("maximize", [35, 36, 37, 38, 39]), ("minimize", [0, 1, 2, 3, 4])])
def test_the_best_and_the_latest_of_many_are_shown(direction: str, best: list[int]) -> None:
    trials = study_of([number / 60 for number in range(60)]).get_trials()
    assert numbers(window_of(trials, StudyDirection[direction.upper()])) == [*best, *range(40, 60)]


def test_running_trials_are_all_shown_and_failed_ones_never() -> None:
    study = study_of([0.9] * 40)
    study.add_trial(create_trial(state=TrialState.FAIL))
    running = [study.ask().number for _ in range(50)]
    shown = numbers(window_of(study.get_trials(), StudyDirection.MAXIMIZE))
    assert shown == [*range(5), *range(20, 40), *running]


def test_a_pruned_trial_counts_among_the_latest_but_never_among_the_best() -> None:
    study = study_of([])
    for number in range(60):
        study.add_trial(
            create_trial(state=TrialState.PRUNED, params={"x": 0.5, "y": 0.5}, distributions=SPACE)
            if number % 2
            else create_trial(params={"x": 0.5, "y": 0.5}, distributions=SPACE, value=1.0)
        )
    assert numbers(window_of(study.get_trials(), StudyDirection.MAXIMIZE)) == [0, 2, 4, 6, 8, *range(40, 60)]


def test_a_good_trial_that_breaks_a_constraint_is_none_of_the_best() -> None:
    study = optuna.create_study(direction="maximize")
    for number in range(60):
        trial = study.ask(SPACE)
        trial.set_constraint("params <= 1000", 1.0 if number < 10 else -1.0)
        study.tell(trial, 1 - number / 100)
    assert numbers(window_of(study.get_trials(), StudyDirection.MAXIMIZE)) == [*range(10, 15), *range(40, 60)]


def test_of_several_metrics_all_trials_are_shown() -> None:
    draws = []
    for sampler in (WindowedTPESampler, TPESampler):
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler(seed=3))
        source = random.Random(1)
        for _ in range(60):
            params = {key: source.random() for key in SPACE}
            study.add_trial(create_trial(params=params, distributions=SPACE, values=[source.random(), source.random()]))
        draws.append(study.ask(SPACE).params)
    assert draws[0] == draws[1]


@pytest.mark.parametrize("options", [{}, {"group": True}, {"multivariate": False}, {"constant_liar": False}])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_it_draws_what_optuna_draws_from_those_trials_alone(options: dict[str, bool]) -> None:
    source = random.Random(1)
    study = study_of([source.random() for _ in range(80)], WindowedTPESampler(seed=3, **options))
    shown = window_of(study.get_trials(), StudyDirection.MAXIMIZE)
    alone = optuna.create_study(direction="maximize", sampler=TPESampler(seed=3, **options))
    alone.add_trials(shown)
    assert len(shown) == 25
    assert study.ask(SPACE).params == alone.ask(SPACE).params
