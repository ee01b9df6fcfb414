"""Between the command line and a space."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from idealfit.space import Space, split_sweep, to_overrides
from idealfit.spec import SpaceError


def test_sweeps_plain_values_and_the_rest_are_told_apart() -> None:
    plain, entries, fixed = split_sweep(
        [
            *(
                "data=mnist",
                "data.batch_size=32",
                "optimizer.betas=[0.9,0.99]",
                "++x.y=3",
                "~augment",
                "hydra.verbose=true",
            ),
            *("model=mlp,cnn", "model.depth=range(1,5)", "optimizer.lr=tag(log, interval(1e-4, 1))", "mnist", "a=[1,"),
            "study.space.data.limit=choice(100,null)",
        ]
    )
    assert entries == {
        "model": "mlp,cnn",
        "model.depth": "range(1,5)",
        "optimizer.lr": "tag(log, interval(1e-4, 1))",
        "data.limit": "choice(100,null)",
    }
    assert plain == [
        *(
            "data=mnist",
            "data.batch_size=32",
            "optimizer.betas=[0.9,0.99]",
            "++x.y=3",
            "~augment",
            "hydra.verbose=true",
        ),
        *("mnist", "a=[1,"),
    ]
    assert fixed == ["data", "data.batch_size", "optimizer.betas", "hydra.verbose"]
    assert Space.parse(entries).keys == list(entries)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["model.depth=3", "model.depth=1,2"], "both fixed and searched"),
        (["model.depth=1,2", "model.depth=3"], "both fixed and searched"),
        (["model.depth=1,2", "model.depth=range(1,3)"], "searched twice"),
        (["model.depth=1,2", "study.space.model.depth=1,2"], "searched twice"),
        (["+model.depth=1,2"], "can't be searched"),
        (["hydra.job.name=a,b"], "can't be searched"),
        (["model@x=mlp,cnn"], "can't be searched"),
    ],
)
def test_contradictions_are_refused(overrides: list[str], says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        split_sweep(overrides)


def test_points_are_written_as_overrides() -> None:
    assert to_overrides({"model": "cnn", "model.depth": 3, "optimizer.lr": 1e-5, "data.limit": None, "x": True}) == [
        *("model=cnn", "model.depth=3", "optimizer.lr=1e-05", "data.limit=null", "x=true"),
    ]
    assert to_overrides({"a": "null", "b": "1", "c": "x y", "d": "it's", "e": ""}) == [
        *("a='null'", "b='1'", "c='x y'", "d='it\\'s'", "e=''"),
    ]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=30),
)


@given(VALUES)
def test_a_written_override_reads_back_the_same_value_and_type(value: Any) -> None:
    [override] = to_overrides({"model.depth": value})
    read = OverridesParser.create().parse_override(override).value()
    assert read == value
    assert type(read) is type(value)
    assert not isinstance(value, float) or math.copysign(1, read) == math.copysign(1, value)
