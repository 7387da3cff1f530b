"""Sorting, running sums and their kin, counts: the values of NumPy, and what is refused."""

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F

NAN = np.nan


def ties(rng, *shape):
    return np.round(rng.normal(size=shape) * 2)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, ">f8"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_sorting(rng, dim, dtype):
    for x in (ties(rng, 5, 6).astype(dtype), ties(rng, 5, 6).astype(dtype)[::-1], ties(rng, 1, 0).astype(dtype)):
        order = np.argsort(x, dim, kind="stable")
        np.testing.assert_array_equal(F.argsort(x, dim), order)
        values, indices = F.sort(x, dim)
        np.testing.assert_array_equal(values, np.sort(x, dim))
        np.testing.assert_array_equal(indices, order)
        falling = F.sort(x, dim, descending=True)
        np.testing.assert_array_equal(falling.indices, np.argsort(-x, dim, kind="stable"))
        k = x.shape[dim] // 2
        for largest, source in ((True, falling.values), (False, values)):
            best = F.topk(x, k, dim, largest)
            np.testing.assert_array_equal(best.values, np.take(source, range(k), dim))
            np.testing.assert_array_equal(np.take_along_axis(x, best.indices, dim), best.values)
        if k:
            np.testing.assert_array_equal(F.kthvalue(x, k, dim).values, np.take(values, k - 1, dim))
    np.testing.assert_array_equal(F.msort(x), np.sort(x, 0))


def test_nan_is_the_largest():
    x = np.array([1.0, NAN, 3.0])
    np.testing.assert_array_equal(F.sort(x).values, [1, 3, NAN])
    np.testing.assert_array_equal(F.sort(x, descending=True).indices, [1, 2, 0])
    np.testing.assert_array_equal(F.topk(x, 2).values, [NAN, 3])
    np.testing.assert_array_equal(F.cummax(x, 0).values, [1, NAN, NAN])
    np.testing.assert_array_equal(F.cummin(np.array([2.0, 1, 1, 3]), 0).indices, [0, 1, 2, 2])


def test_running_sums(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(F.cumsum(x, 0), np.cumsum(x, 0))
    np.testing.assert_allclose(F.cumprod(x, 1), np.cumprod(x, 1))
    np.testing.assert_allclose(F.logcumsumexp(x, 1), np.log(np.cumsum(np.exp(x), 1)))
    integers = np.array([[3, 4], [5, 250]], np.uint8)
    np.testing.assert_array_equal(F.cumsum(integers, 1), [[3, 7], [5, 255]])
    assert F.cumsum(integers > 3, 0).dtype == np.int64
    assert F.cumsum(integers, 0, dtype=np.float32).dtype == F.cumprod(x, 0, dtype="float32").dtype == np.float32
    y = F.cumsum(Tensor(x, requires_grad=True), 0, dtype=np.float32)
    assert y.requires_grad and y.dtype == np.float32


def test_differences(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(F.diff(x, 2, 0), np.diff(x, 2, 0))
    np.testing.assert_allclose(F.diff(x, prepend=x[:, :1], append=x), np.diff(x, prepend=x[:, :1], append=x))
    np.testing.assert_array_equal(F.diff(np.array([True, False, False])), [True, False])
    assert F.diff(x, 9).shape == (3, 0)


def test_counts(rng):
    x = rng.integers(0, 5, 20)
    weights = rng.normal(size=20)
    np.testing.assert_array_equal(F.bincount(x, minlength=9), np.bincount(x, minlength=9))
    np.testing.assert_allclose(F.bincount(x, weights), np.bincount(x, weights))
    np.testing.assert_array_equal(F.histc(weights, 4, -1, 1), np.histogram(weights, 4, (-1, 1))[0])
    np.testing.assert_array_equal(F.histc(np.ones(3, np.float32), 2), [0, 3])
    assert isinstance(F.bincount(Tensor(x)), Tensor)


def test_places_in_sorted_lists():
    edges, x = np.array([1.0, 3, 5, 7]), np.array([[0.0, 3], [5.5, 9]])
    np.testing.assert_array_equal(F.bucketize(x, edges), [[0, 1], [3, 4]])
    np.testing.assert_array_equal(F.bucketize(x, edges, right=True), [[0, 2], [3, 4]])
    assert F.searchsorted(edges, x, out_int32=True).dtype == np.int32
    rows = np.array([[1.0, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(F.searchsorted(rows, np.array([[2.0], [9.0]]), side="right"), [[2], [3]])
    np.testing.assert_array_equal(F.searchsorted(edges[::-1], x, sorter=np.arange(4)[::-1]), F.bucketize(x, edges))


def test_different_elements():
    x = np.array([[2, 1, 1], [2, 2, 3]])
    values, inverse, counts = F.unique(x, return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 3] and counts.tolist() == [2, 3, 1]
    np.testing.assert_array_equal(values[inverse], x)
    assert F.unique(np.array([[1, 2], [1, 2], [0, 9]]), dim=0).tolist() == [[0, 9], [1, 2]]
    assert F.unique(np.array([NAN, NAN])).size == 2
    values, inverse, counts = F.unique_consecutive(x, return_inverse=True, return_counts=True)
    assert values.tolist() == [2, 1, 2, 3] and counts.tolist() == [1, 2, 2, 1]
    np.testing.assert_array_equal(values[inverse], x)
    assert F.unique_consecutive(np.array([[1, 1, 2], [5, 5, 2]]), dim=1).tolist() == [[1, 2], [5, 2]]
    rows, columns = F.unravel_index(np.array([0, 5]), (2, 3))
    assert rows.tolist() == [0, 1] and columns.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.topk(x, 5), ValueError, r"topk: k is 5, but dim 1 of shape \(3, 4\) has 4 elements"),
        (lambda x: F.topk(x, 1.5), TypeError, "topk: k must be an integer"),
        (lambda x: F.kthvalue(x, 0), ValueError, "kthvalue: k must be at least 1"),
        (lambda x: F.sort(x, 2), ValueError, "sort: dim must be from -2 to 1"),
        (lambda x: F.sort(None), TypeError, "sort: input must be a tensor or an array, got None"),
        (lambda x: F.cumsum([1.0], 0), TypeError, "cumsum: input must be a tensor or an array, got list"),
        (lambda x: F.diff(x[0, 0]), ValueError, "diff: input must have at least 1 dimension"),
        (lambda x: F.bincount(x), ValueError, "bincount: input must be a vector of integers from 0 on, got float64"),
        (lambda x: F.bincount(np.array([-1])), ValueError, "bincount: input must be a vector of integers from 0 on"),
        (lambda x: F.histc(x, 3, 1, 0), ValueError, "histc: min must not be above max"),
        (lambda x: F.bucketize(x, x), ValueError, "bucketize: boundaries must be a vector"),
        (lambda x: F.searchsorted(x, x[0]), ValueError, "searchsorted: sorted_sequence of shape"),
        (lambda x: F.searchsorted(x[0], x, side="up"), ValueError, "searchsorted: side must be one of left, right"),
        (lambda x: F.unravel_index(np.array([99]), (2, 3)), ValueError, "unravel_index: indices do not fit"),
        (lambda x: F.index_put(x, np.array([0]), 1.0), TypeError, "index_put: indices must be a tuple of arrays"),
        (lambda x: F.index_put(x, (np.array([0]),), np.ones(3)), ValueError, r"index_put: values of shape \(3,\)"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(np.zeros((3, 4)))
