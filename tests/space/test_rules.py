"""Conditions, bounds that depend on other keys, forbidden combinations, roles: what they mean, and what is refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idealfit.space import Space, flatten_entries, split_sweep
from idealfit.space.derive import Derivation
from idealfit.space.expressions import Expression
from idealfit.spec import Params, SpaceError

FAMILIES: dict[str, Any] = {
    "model": {"values": "choice(linear, mlp, cnn)", "role": "scientific"},
    "model.dropout": "choice(0.0, 0.2)",
    "model.depth": {"values": "range(1, 4)", "when": {"model": ["mlp", "cnn"]}},
    "model.kernel_size": {"values": "choice(3, 5)", "when": {"model": "cnn", "model.depth": ">1"}, "role": "nuisance"},
}
FORBID = [{"model": "linear", "model.dropout": ">0"}]


def test_an_inactive_key_is_absent() -> None:
    space = Space.parse(FAMILIES)
    there = {tuple(point): point["model"] for point in space.points()}
    assert there == {
        ("model", "model.dropout"): "linear",
        ("model", "model.dropout", "model.depth"): "cnn",
        ("model", "model.dropout", "model.depth", "model.kernel_size"): "cnn",
    }
    assert space.size == len(space.points()) == 2 * (1 + 3 + (1 + 2 * 2))


def test_a_condition_on_an_absent_key_fails() -> None:
    space = Space.parse(
        {
            "model": "choice(mlp, cnn)",
            "model.depth": {"values": "choice(1,2)", "when": {"model": "cnn"}},
            "model.width": {"values": "choice(8,16)", "when": {"model.depth": 1}},
        }
    )
    assert {"model": "mlp"} in space.points()
    assert not any("model.width" in point for point in space.points() if point["model"] == "mlp")


def test_forbidden_combinations_are_no_points() -> None:
    space = Space.parse(FAMILIES, forbid=FORBID)
    assert space.size == 1 + 2 * (3 + (1 + 2 * 2))
    assert {"model": "linear", "model.dropout": 0.0} in space.points()
    assert space.problem({"model": "linear", "model.dropout": 0.2}) == "it is forbidden by study.forbid"


def test_a_bound_follows_another_key() -> None:
    space = Space.parse({"model.depth": "range(2, 5)", "model.width": "range(1, 2 * model.depth + 1, 2)"})
    points = space.points()
    assert {p["model.width"] for p in points if p["model.depth"] == 2} == {1, 3}
    assert {p["model.width"] for p in points if p["model.depth"] == 4} == {1, 3, 5, 7}
    assert str(space.dimensions["model.width"]) == "range(1, 8)", "wide enough for all"


def test_a_dependent_interval_may_shrink_to_a_point() -> None:
    space = Space.parse({"model.dropout": "interval(0, 0.6)", "data.val_fraction": "interval(model.dropout, 0.6)"})
    assert space.problem({"model.dropout": 0.6, "data.val_fraction": 0.6}) == ""
    assert "is outside" in space.problem({"model.dropout": 0.5, "data.val_fraction": 0.4})
    assert space.dimensions["data.val_fraction"].corners() == [0.0, 0.6]


def test_log_and_whole_numbers_may_depend_too() -> None:
    entries = {"model.depth": "choice(2, 4)", "model.width": "tag(log, int(interval(model.depth, 64 * model.depth)))"}
    space = Space.parse(entries)
    widths = space.entries["model.width"].at({"model.depth": 4})
    assert str(widths) == "tag(log, range(4, 257))"


def test_a_fixed_key_settles_what_names_it() -> None:
    entries = {key: entry for key, entry in FAMILIES.items() if key != "model"}
    as_cnn = Space.parse(entries, fixed={"model": "cnn"}, forbid=FORBID)
    assert as_cnn.keys == ["model.dropout", "model.depth", "model.kernel_size"]
    assert as_cnn.to_json()["model.depth"] == "range(1, 4)"
    as_linear = Space.parse(entries, fixed={"model": "linear"}, forbid=FORBID)
    assert as_linear.keys == ["model.dropout"]
    assert as_linear.points() == [{"model.dropout": 0.0}]
    bound = Space.parse({"model.width": "range(1, model.depth + 1)"}, fixed={"model.depth": 3})
    assert bound.to_json() == {"model.width": "range(1, 4)"}


def test_corners_are_allowed_points_that_show_every_option() -> None:
    space = Space.parse(FAMILIES, forbid=FORBID)
    corners = space.corners()
    assert all(space.problem(corner) == "" for corner in corners)
    assert {corner["model"] for corner in corners} == {"linear", "mlp", "cnn"}
    assert {corner.get("model.kernel_size") for corner in corners} == {None, 3, 5}
    assert {corner["model.dropout"] for corner in corners} == {0.0, 0.2}


def test_what_is_written_reads_back_the_same() -> None:
    space = Space.parse({**FAMILIES, "model.width": "range(1, 64)", "data.limit": "range(1, 9 * model.width)"})
    again = Space.parse(space.to_json(), forbid=space.forbidden_json())
    assert again.entries == space.entries
    assert again.to_json() == space.to_json()
    assert space.texts()["model.kernel_size"] == "choice(3, 5) when model=cnn and model.depth>1, nuisance"


@given(st.integers(0, 2**32))
def test_random_points_are_points(seed: int) -> None:
    space = Space.parse(FAMILIES, forbid=FORBID)
    point = space.random_point(random.Random(seed))
    assert point is not None
    assert space.problem(point) == ""


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"model.width": {"values": "range(1,3)", "when": {"modle": "cnn"}}}, "names modle.*Did you mean 'model'"),
        (
            {"model.width": {"values": "range(1,3)", "when": {"model": "cnn"}}, "model": "choice(mlp,cnn)"},
            "model.width.when names model, which is searched only after it. Move model up",
        ),
        (
            {
                "model.width": {"values": "range(1,3)", "when": {"model.depth": 1}},
                "model.depth": {"values": "range(1,3)", "when": {"model.width": 1}},
            },
            "in a circle: model.width -> model.depth -> model.width",
        ),
        ({"model.width": "range(1, model.width)"}, "model.width depends on itself"),
        ({"model.depth": "range(1,5)", "model.width": "range(1, model.depth)"}, "is empty with model.depth=1"),
        ({"model.depth": "range(1,5)", "model.width": "range(1, model.dpeth)"}, "names model.dpeth.*'model.depth'"),
        ({"model.act": "a,b", "model.width": "range(1, model.act)"}, "needs a number for model.act, got 'a'"),
        ({"model.depth": "range(1,5)", "model.width": "range(1, open(model.depth))"}, "calls 'open'"),
        (
            {
                "model": "choice(mlp,cnn)",
                "model.depth": {"values": "range(1,5)", "when": {"model": "cnn"}},
                "model.width": "range(1, model.depth + 1)",
            },
            "model.depth, which is there only when model=cnn: give model.width the same `when`",
        ),
        ({"model": "choice(mlp,cnn)", "model.width": "range(1, model.depth + 1)"}, "not searched while model is"),
        ({"model.depth": {"valuse": "range(1,3)"}}, "an entry has no 'valuse'. Did you mean 'values'"),
        ({"model.depth": {"values": "range(1,3)", "wen": {"model": "cnn"}}}, "no 'wen'. Did you mean 'when'"),
        ({"model.depth": {"when": {"model": "cnn"}}}, "model.depth has no values"),
        ({"model.depth": {"values": "range(1,3)", "role": "scientist"}}, "no role 'scientist'. Did you mean 'scient"),
        ({"model.depth": {"values": "range(1,3)", "when": "cnn"}}, "must map keys to values"),
        ({"model.depth": {"values": "range(1,3)", "when": {"model": {}}}}, "must map keys|needs a value"),
        (
            {"model": "mlp,cnn", "model.depth": {"values": "range(1,3)", "when": {"model": "cnnn"}}},
            "model is never 'cnnn'.*Did you mean 'cnn'",
        ),
        (
            {"model.depth": "range(1,3)", "model.width": {"values": "1,2", "when": {"model.depth": ">7"}}},
            "model.depth is never >7",
        ),
        ({"model.depth": "range(1,3)", "model.width": {"values": "1,2", "when": {"model.depth": ">x"}}}, "no number"),
        ({"model.width": {"values": "1,2", "when": {"data": "mnist"}}}, "the conditions of all its keys fail"),
    ],
)
def test_rules_that_make_no_sense_are_refused(space: dict[str, Any], says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        Space.parse(space, fixed={"model": "mlp", "data": "digits"} if "model" not in space else {"data": "digits"})


@pytest.mark.parametrize(
    ("forbid", "says"),
    [
        ([{"model": ["linear", "mlp", "cnn"]}], "forbids every point of the space"),
        ([{"model": "lienar"}], r"study.forbid\[0\]: model is never 'lienar'.*'linear'"),
        ([{"model.dropuot": 0.2}], r"names model.dropuot.*not searched while model is.*'model.dropout'"),
        ([{"data": "digits"}], "forbids every point: all that it names is fixed"),
        ([{}], "must map keys"),
        ({"model": "linear"}, "must list combinations"),
    ],
)
def test_what_forbids_too_much_or_nothing_is_refused(forbid: Any, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        Space.parse(FAMILIES, forbid=forbid, fixed={"data": "digits"})


def test_a_value_of_another_kind_is_no_match() -> None:
    space = Space.parse({"model.flag": "choice(true, 2)", "model.x": {"values": "1,2", "when": {"model.flag": True}}})
    assert [len(point) for point in space.points()] == [2, 2, 1]


def test_entries_and_nested_mappings_are_told_apart() -> None:
    nested = {"model": {"depth": "range(1,3)", "width": {"values": "8,16"}}, "optimizer.lr": "interval(0.1,1)"}
    assert dict(flatten_entries(nested)).keys() == {"model.depth", "model.width", "optimizer.lr"}


def test_a_whole_entry_may_come_from_the_command_line() -> None:
    plain, entries, fixed = split_sweep(["study.space.model.depth={values:'range(1,3)',when:{model:cnn}}"])
    assert (len(plain), entries, fixed) == (1, {}, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10 * optimizer.lr", 1.0),
        ("max(1, model.depth // 2) - -1", 2),
        ("2 ** model.depth", 8),
        ("round(sqrt(model.depth + 1) % 3, 2)", 2.0),
        ("min(model.depth, 2) / 4", 0.5),
    ],
)
def test_arithmetic(text: str, value: float) -> None:
    result = Expression(text, "study.derive.x").value({"optimizer.lr": 0.1, "model.depth": 3})
    assert (result, type(result)) == (pytest.approx(value), type(value))


HOSTILE = [
    *("__import__('os').system('x')", "model.depth.__class__()", "(lambda: 1)()", "[1][0]", "'a' * 9", "1 if 1 else 2"),
    *(
        "open('x')",
        "max(*[1])",
        "round(1, ndigits=2)",
        "model.depth = 3",
        "f'{1}'",
        "1j",
        "True",
        "x" * 400,
        "((((",
        "",
    ),
    *("a and b", "not a", "{}", "x := 3", "1 < 2", "~1", "1 << 99", "max"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_but_arithmetic_is_read(text: str) -> None:
    with pytest.raises(SpaceError, match=r"study.derive.x: "):
        Expression(text, "study.derive.x").value({"model.depth": 3})


@pytest.mark.parametrize("text", ["9 ** 9 ** 9", "1 / 0", "log(0)", "1e300 * 1e300", "sqrt(-1)", "int(1e999)"])
def test_what_has_no_value_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match=r"can't be computed|no number to use"):
        Expression(text, "study.derive.x").value({})


@given(st.text(st.characters(codec="utf-8"), max_size=25))
def test_any_text_is_arithmetic_or_a_space_error(text: str) -> None:
    try:
        value = Expression(text, "x").value({"model.depth": 2})
    except SpaceError:
        return
    assert isinstance(value, int | float)


CONFIG: Params = {"optimizer.lr": 0.1, "scheduler.max_lr": 0.5, "model.width": 32, "model.depth": 2}


def test_derived_values_follow_each_other_in_whatever_order_they_stand() -> None:
    derivation = Derivation.parse({"model.width": "16 * model.depth / 2", "model": {"depth": "10 * scheduler.max_lr"}})
    assert derivation.values(CONFIG) == {"model.depth": 5, "model.width": 40}


def test_a_key_that_a_trial_does_not_have_is_left_out_and_one_that_none_has_is_refused() -> None:
    derivation = Derivation.parse({"scheduler.max_lr": "10 * optimizer.lr"})
    assert derivation.values({"optimizer.lr": 0.1}) == {}
    derivation.check([{"optimizer.lr": 0.1}, CONFIG])
    with pytest.raises(SpaceError, match=r"there is no key 'scheduler.max_lr'"):
        derivation.check([{"optimizer.lr": 0.1}])


@pytest.mark.parametrize(
    ("derive", "says"),
    [
        ({"scheduler.max_lr": "10 * optimizer.rl"}, "names optimizer.rl, .*Did you mean 'optimizer.lr'"),
        ({"model.width": "model.depth", "model.depth": "model.width"}, "in a circle"),
        ({"optimizer.lr": "10"}, "is searched, so it can't be derived too"),
        ({"engine.slots": "10"}, "does not change a training run"),
        ({"scheduler.max_lr": True}, "must be arithmetic"),
        ({"scheduler.max_lr": ["a"]}, "must be arithmetic"),
    ],
)
def test_derivations_that_make_no_sense_are_refused(derive: dict[str, Any], says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        Derivation.parse(derive, searched=["optimizer.lr"]).values(CONFIG)
