"""Batches: every sample once per epoch, in a seeded order."""

import numpy as np
import pytest

from fastnn.data import Batches

X, Y = np.arange(20.0).reshape(10, 2), np.arange(10)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 64])
def test_every_sample_once(shuffle, batch_size):
    batches = Batches(X, Y, batch_size, shuffle=shuffle, generator=np.random.default_rng(0))
    drawn = list(batches)
    assert len(drawn) == len(batches)
    y = np.concatenate([y for _, y in drawn])
    x = np.concatenate([x for x, _ in drawn])
    np.testing.assert_array_equal(x, X[y])
    np.testing.assert_array_equal(np.sort(y), Y)
    assert np.array_equal(y, Y) != shuffle


def test_drop_last():
    batches = Batches(X, Y, 4, drop_last=True)
    assert [len(x) for x, _ in batches] == [4, 4] and len(batches) == 2 and batches.samples == 8
    with pytest.raises(ValueError, match="leaves nothing"):
        Batches(X, Y, 11, drop_last=True)


def test_seeded_and_new_every_epoch():
    first = Batches(X, Y, 4, shuffle=True, generator=np.random.default_rng(7))
    second = Batches(X, Y, 4, shuffle=True, generator=np.random.default_rng(7))
    epochs = [np.concatenate([y for _, y in batches]) for batches in (first, second, first)]
    np.testing.assert_array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], epochs[2])


def test_reuse_hands_out_the_same_arrays():
    batches = Batches(X, Y, 5, shuffle=True, generator=np.random.default_rng(0), reuse=True)
    assert len({id(x) for x, _ in batches}) == 1


@pytest.mark.parametrize("bad", [0, -3, 2.5, None])
def test_bad_batch_size(bad):
    with pytest.raises(ValueError, match="batch_size"):
        Batches(X, Y, bad)


def test_bad_arrays():
    with pytest.raises(ValueError, match=r"\(10, 2\) and \(9,\)"):
        Batches(X, Y[:9])
    with pytest.raises(ValueError, match=r"empty: x has shape \(0, 2\)"):
        Batches(X[:0], Y[:0])


def test_transform_changes_x_only():
    batches = Batches(X, Y, 4, shuffle=True, generator=np.random.default_rng(0), transform=lambda x, generator: -x)
    for x, y in batches:
        np.testing.assert_array_equal(x, -X[y])
