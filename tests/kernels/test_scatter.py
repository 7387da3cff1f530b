"""Rows that are joined with the rows that indices name."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.scatter import REDUCTIONS
from tests.reference.scan import EPS, index_reduce


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 40)])
def test_values(rng, shape, reduce, include_self, dtype):
    x, source = rng.normal(size=(6, *shape)).astype(dtype), rng.normal(size=(9, *shape)).astype(dtype)
    for index in (rng.integers(0, 6, 9), np.full(9, 5, np.uint8), np.arange(9)[::-1] % 6):
        y = kernels.index_reduce(x, index, source, reduce, include_self)
        assert y.dtype == dtype
        expected = index_reduce(x, index, source, reduce, include_self)
        np.testing.assert_allclose(y, expected, rtol=20 * EPS[y.dtype], atol=20 * EPS[y.dtype])


def test_zeros_of_a_number_of_rows():
    y = kernels.index_reduce(None, np.array([0, 2, 2]), np.ones((3, 2)), rows=4)
    np.testing.assert_array_equal(y, [[1, 1], [0, 0], [2, 2], [0, 0]])
    assert kernels.index_reduce(None, np.empty(0, int), np.ones((0, 2)), rows=0).shape == (0, 2)


def test_nan_wins():
    x, source = np.array([1.0, np.nan, 3.0]), np.array([np.nan, 2.0, 4.0])
    for reduce in ("amax", "amin"):
        y = kernels.index_reduce(x, np.array([0, 1, 2]), source, reduce)
        assert np.isnan(y[:2]).all() and y[2] == (4 if reduce == "amax" else 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones(3), np.array([3]), np.ones(1)), ValueError, "index_reduce: index must be from 0 to 2, got 3"),
        ((np.ones(3), np.array([-1]), np.ones(1)), ValueError, "index must be from 0 to 2, got -1"),
        ((np.ones(3), np.array([0.0]), np.ones(1)), TypeError, "index must be integers"),
        (
            (np.ones(3), np.array([0, 1]), np.ones(1)),
            ValueError,
            r"index has shape \(2,\) but source \(M, ...\) has \(1,\)",
        ),
        ((np.ones((3, 2)), np.array([0]), np.ones((1, 3))), ValueError, r"source has rows \(3,\)"),
        ((np.ones(3), np.array([0]), np.ones(1), "max"), ValueError, "reduce must be one of sum, prod, mean, amax"),
        ((None, np.array([0]), np.ones(1)), TypeError, "input must be an array, got None"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        kernels.index_reduce(*arguments)
