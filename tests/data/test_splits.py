"""Splits: disjoint, seeded, stratified."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn.data import KFold, StratifiedKFold, mnist_5k, split, train_test_split


def test_digits_split_evenly():
    x, y = mnist_5k()
    (x_train, y_train), (x_test, y_test) = split(x, y, (4000, 1000), seed=3)
    assert x_train.shape == (4000, 1, 28, 28) and x_test.shape == (1000, 1, 28, 28)
    assert np.bincount(y_train).tolist() == [400] * 10 and np.bincount(y_test).tolist() == [100] * 10
    assert len(np.unique(y_train[:50])) > 5, "the parts must come shuffled, not sorted by class"


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    fractions=st.sampled_from([(0.8, 0.2), (0.5, 0.25, 0.25), (0.1, 0.1), (1.0,)]),
    seed=st.integers(0, 5),
)
def test_parts_are_disjoint_and_stratified(counts, fractions, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    n = len(y)
    sizes = np.rint(np.cumsum([0, *fractions]) * n)
    if min(np.diff(sizes)) < 1:
        return
    parts = split(np.arange(n), y, fractions, seed=seed)
    everything = np.concatenate([x for x, _ in parts])
    assert len(np.unique(everything)) == len(everything) == sizes[-1]
    for x_part, y_part in parts:
        np.testing.assert_array_equal(y_part, y[x_part])
        share = len(y_part) / n
        assert np.all(np.abs(np.bincount(y_part, minlength=len(counts)) - np.array(counts) * share) < 2.5)


def test_the_seed_decides():
    x, y = np.arange(100), np.repeat([0, 1], 50)
    same, again, other = (split(x, y, (50, 50), seed=seed)[0][0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(same, again)
    assert not np.array_equal(same, other)


def test_without_stratification_any_targets_do():
    x = np.arange(10.0)
    (a, ya), (b, yb) = split(x, x * 2, (7, 3), stratify=False)
    np.testing.assert_array_equal(np.sort(np.concatenate([a, b])), x)
    np.testing.assert_array_equal(ya, a * 2)
    with pytest.raises(ValueError, match="stratify=False"):
        split(x, x * 2, (7, 3))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((8, 3), "ask for 11 samples, there are 10"),
        ((0.8, 0.3), "add up to 1.1"),
        ((5, 0), "leave a part empty"),
        ((5, -1), "leave a part empty"),
        ((0.5, 5), "all integers or all fractions"),
        ((0.5, -0.5), "all integers or all fractions"),
        ((0.96, 0.04), "leave a part empty"),
        ((), "empty"),
    ],
)
def test_bad_sizes(sizes, message):
    with pytest.raises(ValueError, match=message):
        split(np.zeros((10, 2)), np.zeros(10, int), sizes)


def test_mismatched_lengths():
    with pytest.raises(ValueError, match=r"\(10, 2\) and \(9,\)"):
        split(np.zeros((10, 2)), np.zeros(9, int))


# --- in turns, and with scikit-learn's names


@pytest.mark.parametrize("options", [{}, {"test_size": 0.3}, {"train_size": 0.62}, {"test_size": 3, "train_size": 5}])
@pytest.mark.parametrize("shuffle", [False, True])
def test_parts_are_as_large_as_scikit_learns(options, shuffle):
    theirs = pytest.importorskip("sklearn.model_selection").train_test_split
    x, y = np.arange(34.0).reshape(17, 2), np.arange(17)
    mine = train_test_split(x, y, shuffle=shuffle, **options)
    expected = theirs(x, y, shuffle=shuffle, random_state=0, **options)
    assert [part.shape for part in mine] == [part.shape for part in expected]
    np.testing.assert_array_equal(mine[0][:, 0], 2 * mine[2])
    assert not set(mine[2]) & set(mine[3])
    if not shuffle:
        for part, other in zip(mine, expected, strict=True):
            np.testing.assert_array_equal(part, other)


def test_stratified_parts():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    _, tested = train_test_split(labels, test_size=0.2, stratify=labels)
    assert np.bincount(tested).tolist() == [12, 6, 2]
    first, again, other = (train_test_split(labels, random_state=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({}, (15, 5)),
        ({"train_size": 12}, (12, 8)),
        ({"test_size": 0.33}, (13, 7)),
        ({"train_size": 0.33}, (6, 14)),
        ({"train_size": 12, "test_size": 3}, (12, 3)),
        ({"train_size": 2, "test_size": 11}, (2, 11)),
    ],
)
def test_sizes(sizes, expected, shuffle):
    train, test = train_test_split(np.arange(20), shuffle=shuffle, **sizes)
    assert (len(train), len(test)) == expected and len({*train, *test}) == sum(expected)
    assert shuffle or np.array_equal(np.concatenate([train, test]), np.arange(sum(expected)))


def test_folds_by_hand():
    assert [test.tolist() for _, test in KFold(2).split(np.zeros(5))] == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize("n", [5, 7, 23])
def test_folds_are_scikit_learns(n):
    theirs = pytest.importorskip("sklearn.model_selection").KFold(5)
    for mine, expected in zip(KFold(5).split(np.zeros(n)), theirs.split(np.zeros(n)), strict=True):
        np.testing.assert_array_equal(mine[0], expected[0])
        np.testing.assert_array_equal(mine[1], expected[1])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", [KFold, StratifiedKFold])
def test_every_sample_is_tested_once(kind, shuffle):
    labels = np.random.default_rng(0).integers(0, 3, 50)
    folds = list(kind(4, shuffle=shuffle, random_state=3).split(labels, labels))
    assert len(folds) == 4
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(50))
    for train, test in folds:
        assert len(test) in (12, 13) and len(train) + len(test) == 50 and not set(train) & set(test)
        if kind is StratifiedKFold:
            assert np.abs(np.bincount(labels[test], minlength=3) - np.bincount(labels) / 4).max() <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train_test_split(), "got shapes none"),
        (lambda: train_test_split(np.zeros(3), np.zeros(4)), r"\(3,\), \(4,\)"),
        (lambda: train_test_split(np.zeros(1)), "0 training and 1 test samples cannot be had from 1"),
        (lambda: train_test_split(np.zeros(9), test_size=10), "cannot be had from 9"),
        (lambda: train_test_split(np.zeros(9), test_size=1.5), "a share between 0 and 1, got 1.5"),
        (lambda: train_test_split(np.zeros(9), train_size=-2), "train_size must be a number"),
        (lambda: train_test_split(np.zeros(9), shuffle=False, stratify=np.zeros(9, int)), "needs shuffle=True"),
        (lambda: train_test_split(np.zeros(9), stratify=np.zeros(8, int)), r"labels of shape \(9,\), got \(8,\)"),
        (lambda: train_test_split(np.zeros(9), stratify=np.zeros(9)), "stratify needs integer labels"),
        (lambda: KFold(1), "n_splits must be an integer of at least 2, got 1"),
        (lambda: list(KFold(5).split(np.zeros(4))), "4 samples cannot be cut into 5 parts"),
        (lambda: list(StratifiedKFold(5).split(np.zeros(9))), "9 samples need labels"),
        (lambda: list(StratifiedKFold(5).split(np.zeros(9), np.arange(9))), "no class has 5 samples"),
    ],
)
def test_bad_turns(call, message):
    with pytest.raises(ValueError, match=message):
        call()
