import warnings

import optuna
import pytest

from idealfit.space import Space
from idealfit.spec import SpaceError, StudyError
from idealfit.study.samplers import make_sampler, num_points

CONTINUOUS = Space.parse({"optimizer.lr": "tag(log, interval(1e-4, 1e-1))", "model.depth": "range(1, 5)"})
FINITE = Space.parse({"model.depth": "range(1, 4)", "model": "choice(mlp, cnn)"})


def draw(name: str, space: Space, num_trials: int, *, seed: int = 0, **options: object) -> list[dict[str, object]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=make_sampler(name, options, space=space, seed=seed))
    drawn = []
    for number in range(num_trials):
        trial = study.ask()
        drawn.append(dict(space.suggest(trial)))
        study.tell(trial, float(number % 3))
    return drawn


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "gp", "cmaes"])
def test_the_seed_decides_what_is_drawn(name: str) -> None:
    first = draw(name, CONTINUOUS, 4, seed=1)
    assert first == draw(name, CONTINUOUS, 4, seed=1)
    assert first != draw(name, CONTINUOUS, 4, seed=2)
    assert all(1e-4 <= params["optimizer.lr"] <= 1e-1 and params["model.depth"] in (1, 2, 3, 4) for params in first)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["tpe", "random", "cmaes", "gp"])
def test_a_study_of_any_length_can_be_resumed(name: str) -> None:
    trial = optuna.create_study(sampler=make_sampler(name, {}, space=CONTINUOUS, seed=2**32 - 1, num_trials=9999)).ask()
    assert CONTINUOUS.suggest(trial)


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_a_resumed_study_does_not_repeat_its_first_draws(name: str) -> None:
    study = optuna.create_study(sampler=make_sampler(name, {}, space=CONTINUOUS, seed=0))
    first = CONTINUOUS.suggest(study.ask())
    study.sampler = make_sampler(name, {}, space=CONTINUOUS, seed=0, num_trials=1)
    assert CONTINUOUS.suggest(study.ask()) != first


def test_a_grid_visits_every_point_once_and_then_ends() -> None:
    points = draw("grid", FINITE, 6)
    assert sorted((p["model.depth"], p["model"]) for p in points) == [(d, m) for d in (1, 2, 3) for m in ("cnn", "mlp")]
    assert num_points("grid", FINITE) == 6
    assert num_points("tpe", FINITE) is None


def test_a_grid_over_an_interval_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"optimizer\.lr"):
        make_sampler("grid", {}, space=CONTINUOUS, seed=0)


def test_options_are_optunas_own() -> None:
    make_sampler("tpe", {"n_startup_trials": 3, "group": True}, space=CONTINUOUS, seed=0)
    with pytest.raises(StudyError, match=r"tpe has no option 'n_startup_trails'\. Did you mean 'n_startup_trials'"):
        make_sampler("tpe", {"n_startup_trails": 3}, space=CONTINUOUS, seed=0)
    with pytest.raises(StudyError, match=r"Set study\.seed"):
        make_sampler("random", {"seed": 3}, space=CONTINUOUS, seed=0)
    with pytest.raises(StudyError, match="qmc refuses"):
        make_sampler("qmc", {"qmc_type": "sobel"}, space=CONTINUOUS, seed=0)


def test_an_unknown_sampler_names_the_nearest() -> None:
    with pytest.raises(StudyError, match=r"unknown sampler 'tpee'\. Did you mean 'tpe'"):
        make_sampler("tpee", {}, space=CONTINUOUS, seed=0)


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "grid", "gp", "cmaes"])
def test_no_sampler_warns(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_sampler(name, {}, space=FINITE, seed=0)
