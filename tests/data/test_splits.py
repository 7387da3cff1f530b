"""Splits: disjoint, seeded, stratified."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn.data import mnist_5k, split


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
