"""The space means the same under every sampler, reads back what it writes, and refuses what makes no sense."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import BaseSampler, CmaEsSampler, GridSampler, QMCSampler, RandomSampler, TPESampler

from idealfit.space import Space
from idealfit.space.space import MAX_CORNERS
from idealfit.spec import SpaceError


def entry(text: Any, key: str = "model.depth") -> Space:
    return Space.parse({key: text})


def drawn(space: Space, sampler: BaseSampler, trials: int) -> list[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    points: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        points.append(space.suggest(trial))
        return trial.number % 7

    study.optimize(objective, n_trials=trials)
    return points


def samplers(space: Space) -> dict[str, BaseSampler]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "tpe": TPESampler(seed=0, n_startup_trials=4),
            "random": RandomSampler(seed=0),
            "qmc": QMCSampler(seed=0, scramble=True, warn_independent_sampling=False),
            "cmaes": CmaEsSampler(seed=0, n_startup_trials=4, warn_independent_sampling=False),
            "grid": GridSampler(space.grid(), seed=0),
        }


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "cmaes", "grid"])
@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("range(1,5)", [1, 2, 3, 4]),
        ("int(interval(1,4))", [1, 2, 3, 4]),
        ("range(0,0.5,0.1)", [0.0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_range_has_the_same_points_under_every_sampler(name: str, text: str, points: list[float]) -> None:
    space = Space.parse({"model.depth": text, "model.width": "range(3,5)"})
    values = [point["model.depth"] for point in drawn(space, samplers(space)[name], 40)]
    assert set(values) <= set(points), "exactly these floats"
    assert {type(value) for value in values} == {type(points[0])}
    if name != "cmaes":  # it follows the objective and may leave out an end
        assert set(values) == set(points)
    assert len(values) == (space.size if name == "grid" else 40)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("range(5)", [0, 1, 2, 3, 4]),
        ("range(2,9,3)", [2, 5, 8]),
        ("range(5,1,-1)", [2, 3, 4, 5]),
        ("range(1.0,3.0)", [1.0, 2.0]),
        ("range(1,0,-0.25)", [0.25, 0.5, 0.75, 1.0]),
        ("choice(relu, gelu)", ["relu", "gelu"]),
        ("relu,gelu", ["relu", "gelu"]),
        ("choice(true, null, 2.5, '3', 'two words')", [True, None, 2.5, "3", "two words"]),
        (["relu", None, 0.5, False], ["relu", None, 0.5, False]),
        ("sort(3,1,2)", [1, 2, 3]),
        ("float(choice(1,2))", [1.0, 2.0]),
        ("tag(log, range(1,4))", [1, 2, 3]),
    ],
)
def test_finite_entries_list_their_points(text: Any, points: list[Any]) -> None:
    space = entry(text)
    assert space.grid() == {"model.depth": points}
    assert [type(value) for value in space.grid()["model.depth"]] == [type(value) for value in points]
    assert space.size == len(points)


def test_an_interval_is_continuous_and_log_is_log() -> None:
    space = entry("tag(log, interval(1e-4, 1))", "optimizer.lr")
    assert space.size is None
    values = sorted(point["optimizer.lr"] for point in drawn(space, RandomSampler(seed=0), 200))
    assert 1e-4 <= values[0] < values[-1] <= 1
    assert 1e-3 < values[100] < 1e-1, "the middle of a log scale"


def test_groups_and_nested_mappings() -> None:
    space = Space.parse(
        {
            "model": ["mlp", "cnn"],
            "optimizer": "adam,sgd",
            "model.depth": "range(1,3)",
            "trainer": {"max_epochs": [5, 10]},
        }
    )
    assert space.keys == ["model", "optimizer", "model.depth", "trainer.max_epochs"]
    assert [key for key in space.keys if space.is_group(key)] == ["model", "optimizer"]
    assert space.size == 16
    assert list(space.distributions()) == space.keys


def test_an_empty_space_has_one_point() -> None:
    assert (Space.parse({}).size, Space.parse({}).corners(), Space.parse({}).grid()) == (1, [{}], {})


def test_corners_show_every_option_and_both_ends_for_each_combination_of_groups() -> None:
    space = Space.parse(
        {"model": "mlp,cnn", "model.activation": "a,b,c", "model.depth": "range(1,5)", "optimizer": "adam,sgd"}
    )
    corners = space.corners()
    for groups in ({"model": m, "optimizer": o} for m in ("mlp", "cnn") for o in ("adam", "sgd")):
        mine = [corner for corner in corners if groups.items() <= corner.items()]
        assert {corner["model.activation"] for corner in mine} == {"a", "b", "c"}
        assert {corner["model.depth"] for corner in mine} == {1, 4}
    assert all(list(corner) == space.keys for corner in corners)


def test_corners_stay_few_however_large_the_space() -> None:
    names = ",".join(f"o{i}" for i in range(30))
    space = Space.parse({"model": names, "data": names, "optimizer": names, "model.depth": "range(1,5)"})
    corners = space.corners()
    assert len(corners) <= MAX_CORNERS
    assert all({corner[key] for corner in corners} == set(names.split(",")) for key in ("model", "data", "optimizer"))


BAD = {
    "interval(5,1)": "is empty: its lower end 5 must be below its upper end 1",
    "interval(2,2)": "is empty",
    "interval(0,inf)": "both ends .* must be finite",
    "tag(log,interval(0,1))": "a log scale must start above 0, got 0",
    "tag(log,interval(-1,1))": "a log scale must start above 0, got -1",
    "tag(log,range(0,5))": "a log scale must start above 0",
    "tag(log,range(1,9,2))": "no step but 1",
    "tag(log,range(1,2,0.5))": "no step",
    "tag(log,choice(1,2))": "can't be log",
    "tag(lag,interval(1,2))": "unknown tag 'lag'. Did you mean 'log'",
    "range(5,1)": "is empty: no value from 5 in steps of 1 lies before 1",
    "range(1,5,0)": "a step other than 0",
    "range(1,inf)": "finite ends",
    "choice()": "the choice is empty",
    "choice(1,1)": "1 is named twice",
    "choice(1,true)": "True is named twice",
    "choice(nan,1)": "nan is no value to choose",
    "choice([1,2],3)": r"not \[1, 2\]",
    "choice(range(1,3),4)": "not another sweep",
    "choice(1,2": "it stops too early",
    "": "it stops too early",
    "intervall(1,2)": "there is no 'intervall'. Did you mean 'interval'",
    "interval(1)": "missing a required argument: 'end'",
    "interval(a,b)": "its start can't be a str",
    "glob(*)": "there is no 'glob'",
    "shuffle(1,2)": "there is no 'shuffle'",
    "3": "is a single value, nothing to search.*use `model.depth=3`",
    "relu": "is a single value, nothing to search",
}


@pytest.mark.parametrize("text", BAD)
def test_what_makes_no_sense_is_refused_with_its_key(text: str) -> None:
    with pytest.raises(SpaceError, match=BAD[text]) as caught:
        entry(text)
    assert str(caught.value).startswith("study.space.model.depth: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"model.depth": []}, "the choice is empty"),
        ({"model.depth": [[1], 2]}, r"not \[1\]"),
        ({"model.depth": 3}, "single value"),
        ({"model.depth": None}, "single value"),
        ({"model": "interval(0,1)"}, r"name its options: choice\(x,y\)"),
        ({"model": ["mlp", None]}, "`none` stands for nothing"),
        ({"model": "range(1,3)"}, "searches a config group"),
        ({"modle.depth": "range(1,3)"}, "'modle.depth' does not change a training run. Did you mean 'model'"),
        ({"engine.slots": "range(1,3)"}, "does not change a training run"),
        ({"model": {"depth": "range(1,3)"}, "model.depth": "range(1,4)"}, "model.depth is given twice"),
        ({"model..depth": "range(1,3)"}, "is no key"),
        ({3: "range(1,3)"}, "3 is no key"),
    ],
)
def test_bad_spaces(space: dict[Any, Any], says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        Space.parse(space)


def test_a_grid_needs_an_end() -> None:
    with pytest.raises(SpaceError, match=r"study.space.model.dropout: .*can't make a grid.*range\(a,b,step\)"):
        Space.parse({"model.depth": "range(1,5)", "model.dropout": "interval(0,1)"}).grid()
    with pytest.raises(SpaceError, match="a grid of 1000000000000 points is too large"):
        entry("range(0,1000000000000)").grid()


FLOATS = st.floats(-1e6, 1e6, allow_nan=False)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), FLOATS, st.text(max_size=8))
INTERVALS = st.tuples(FLOATS, FLOATS).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: f"interval{ends}")
LOG = st.tuples(st.floats(1e-9, 1), st.floats(2, 1e9)).map(lambda ends: f"tag(log, interval{ends})")
RANGES = st.tuples(st.integers(-99, 99), st.integers(1, 99), st.sampled_from([1, 2, 7])).map(
    lambda r: f"range({r[0]},{r[0] + r[1]},{r[2]})"
)
STEPS = st.tuples(st.integers(-99, 99), st.integers(1, 99), st.sampled_from(["0.1", "0.25", "1e-3", "-0.3"])).map(
    lambda r: f"range({r[0] / 10},{r[0] / 10 + (r[1] if r[2][0] != '-' else -r[1])},{r[2]})"
)
CHOICES = st.lists(VALUES, min_size=1, max_size=5).filter(
    lambda values: all(a != b for i, a in enumerate(values) for b in values[:i])
)


@given(st.one_of(INTERVALS, LOG, RANGES, STEPS, CHOICES))
def test_what_is_written_reads_back_the_same(text: Any) -> None:
    space = entry(text)
    again = Space.parse(space.to_json())
    assert again.dimensions == space.dimensions
    assert again.to_json() == space.to_json()
    assert space.distributions() == again.distributions()


@given(st.one_of(INTERVALS, LOG, RANGES, STEPS, CHOICES))
def test_every_draw_is_a_point_of_the_space(text: Any) -> None:
    space = entry(text)
    for distribution, params in ((space.distributions()["model.depth"], corner) for corner in space.corners()):
        trial = optuna.trial.FixedTrial({"model.depth": params["model.depth"]})
        value = space.suggest(trial)["model.depth"]  # type: ignore[arg-type]
        assert value == params["model.depth"]
        assert distribution._contains(distribution.to_internal_repr(value))


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_is_an_entry_or_a_space_error(text: str) -> None:
    with suppress(SpaceError):
        entry(text)
