from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idealfit.data.split import Split, make_folds, make_split
from idealfit.spec import DataError


def split_of(counts: list[int], **changes: Any) -> tuple[np.ndarray, Split]:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    arguments: dict[str, Any] = {"val_fraction": 0.2, "test_fraction": 0.2, "seed": 0, "limit": None, **changes}
    return labels, make_split(labels, [f"c{index}" for index in range(len(counts))], **arguments)


@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=8),
    val_fraction=st.floats(0.01, 0.99),
    test_fraction=st.one_of(st.just(0.0), st.floats(0.01, 0.99)),
    seed=st.integers(-(2**40), 2**70),
)
def test_parts_are_disjoint_cover_all_and_hold_every_class(
    counts: list[int], val_fraction: float, test_fraction: float, seed: int
) -> None:
    labels, split = split_of(counts, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
    assert sorted([*split.train, *split.val, *split.test]) == list(range(sum(counts)))
    parts = [split.train, split.val, *([split.test] if test_fraction else [])]
    assert all(set(labels[part]) == set(range(len(counts))) for part in parts)
    assert set(split.eval_train) <= set(split.train)
    assert len(split.eval_train) == min(len(split.val), len(split.train))


@given(counts=st.lists(st.integers(20, 200), min_size=2, max_size=6), seed=st.integers(0, 1000))
def test_classes_keep_their_shares(counts: list[int], seed: int) -> None:
    labels, split = split_of(counts, val_fraction=0.25, test_fraction=0, seed=seed)
    assert len(split.val) == round(0.25 * sum(counts))
    assert np.abs(np.bincount(labels[split.val]) - 0.25 * np.array(counts)).max() <= 1


def test_a_seed_decides_the_split_for_ever() -> None:
    labels, names = np.arange(40) % 2, ["even", "odd"]
    split = make_split(labels, names, val_fraction=0.25, test_fraction=0.2, seed=7)
    assert split.test.tolist() == [2, 3, 15, 16, 19, 26, 31, 36]
    assert split.sha256 == make_split(labels, names, val_fraction=0.25, test_fraction=0.2, seed=7).sha256
    assert split.sha256 != make_split(labels, names, val_fraction=0.25, test_fraction=0.2, seed=8).sha256


def test_a_limit_keeps_a_stratified_part_and_leaves_validation_and_test_alone() -> None:
    labels, whole = split_of([500, 300, 200])
    _, small = split_of([500, 300, 200], limit=64)
    _, large = split_of([500, 300, 200], limit=128)
    assert np.array_equal(small.val, whole.val)
    assert np.array_equal(small.test, whole.test)
    assert np.bincount(labels[small.train]).tolist() == [32, 19, 13]
    assert set(small.train) < set(large.train) < set(whole.train)
    assert small.sha256 != whole.sha256
    assert len(small.eval_train) == 64


def test_a_limit_beyond_the_data_keeps_all() -> None:
    assert split_of([10, 10], limit=1000)[1].sha256 == split_of([10, 10])[1].sha256


def test_a_limit_below_the_number_of_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"data\.limit=2 is fewer than the 3 classes"):
        split_of([10, 10, 10], limit=2)


def test_three_images_a_class_are_enough_for_three_parts() -> None:
    _, split = split_of([3, 3])
    assert [len(part) for part in (split.train, split.val, split.test)] == [2, 2, 2]


def test_one_image_per_class_is_enough_for_nothing_and_the_class_is_named() -> None:
    with pytest.raises(DataError, match=r"2 of 3 classes have too few images .* 'c0' \(1\), 'c2' \(1\)"):
        split_of([1, 5, 1], test_fraction=0)
    with pytest.raises(DataError, match=r"train, validation and test, which take 3 of each.*test_fraction=0"):
        split_of([2, 5])


def test_ten_thousand_categories_split() -> None:
    labels, split = split_of([3] * 10_000, test_fraction=0)
    assert len(split.val) == 10_000
    assert len(np.unique(labels[split.train])) == 10_000


def folds_of(counts: list[int], **changes: Any) -> tuple[np.ndarray, list[Split]]:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    arguments: dict[str, Any] = {"folds": 3, "test_fraction": 0.2, "seed": 0, "limit": None, **changes}
    return labels, make_folds(labels, [f"c{index}" for index in range(len(counts))], **arguments)


@given(
    counts=st.lists(st.integers(20, 60), min_size=2, max_size=6),
    folds=st.integers(2, 8),
    test_fraction=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(-(2**40), 2**70),
)
def test_every_image_but_those_of_the_test_validates_in_one_fold(
    counts: list[int], folds: int, test_fraction: float, seed: int
) -> None:
    labels, splits = folds_of(counts, folds=folds, test_fraction=test_fraction, seed=seed)
    assert len(splits) == folds
    _, holdout = split_of(counts, test_fraction=test_fraction, seed=seed)
    everything = [index for split in splits for index in split.val]
    assert sorted([*everything, *holdout.test]) == list(range(sum(counts)))
    for split in splits:
        assert sorted([*split.train, *split.val, *split.test]) == list(range(sum(counts)))
        assert split.test.tolist() == holdout.test.tolist()
        assert set(split.eval_train) <= set(split.train)
    sizes = [np.bincount(labels[split.val], minlength=len(counts)) for split in splits]
    assert np.ptp(sizes, axis=0).max() <= 1
    assert np.ptp([size.sum() for size in sizes]) <= 1


def test_one_hash_stands_for_all_folds() -> None:
    _, splits = folds_of([30, 30])
    assert len({split.sha256 for split in splits}) == 1
    others = [folds_of([30, 30], **change)[1][0] for change in ({"seed": 1}, {"folds": 4}, {"limit": 10}, {})]
    assert len({split.sha256 for split in [*splits, *others]}) == 4
    assert others[-1].sha256 == splits[0].sha256


def test_a_seed_decides_the_folds_for_ever() -> None:
    labels, names = np.arange(40) % 2, ["even", "odd"]
    folds = make_folds(labels, names, folds=4, test_fraction=0.2, seed=7)
    assert folds[0].val.tolist() == [1, 18, 24, 27, 28, 32, 33, 37]


def test_folds_keep_a_limit_of_training_images() -> None:
    labels, splits = folds_of([30, 60], limit=12)
    assert [len(split.train) for split in splits] == [12, 12, 12]
    assert all(np.bincount(labels[split.train]).tolist() == [4, 8] for split in splits)


@pytest.mark.parametrize(
    ("counts", "changes", "message"),
    [
        ([40, 4], {"folds": 5, "test_fraction": 0}, "protocol.folds=5 is more than the 4 images of class 'c1':"),
        ([40, 6], {"folds": 6}, "without the test part of data.test_fraction=0.2"),
        ([40, 40], {"limit": 1}, "data.limit=1 is fewer than the 2 classes"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(counts: list[int], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        folds_of(counts, **changes)
