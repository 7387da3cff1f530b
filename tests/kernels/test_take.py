"""Rows that are gathered."""

import numpy as np
import pytest

import fastnn_kernels as kernels


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, np.bool_, np.complex128, ">f4"])
@pytest.mark.parametrize("shape", [(1,), (), (3, 5), (0,), (700,)])
def test_take(rng, shape, dtype):
    a = rng.integers(0, 99, (50, *shape)).astype(dtype)
    indices = rng.integers(0, 50, 31)
    for kind in (np.int64, np.int32, np.uint8):
        np.testing.assert_array_equal(kernels.take(a, indices.astype(kind)), a[indices])
    np.testing.assert_array_equal(kernels.take(a[::2], indices // 2), a[::2][indices // 2])
    edges = np.array([-7, 0, 49, 99, 3])
    np.testing.assert_array_equal(kernels.take(a, edges, "clip"), a[[0, 0, 49, 49, 3]])
    if not a.dtype.isnative:
        return
    out = np.zeros((31, *shape), a.dtype)
    assert kernels.take(a, indices, out=out) is out
    np.testing.assert_array_equal(out, a[indices])


@pytest.mark.parametrize(
    ("a", "indices", "error", "message"),
    [
        (np.zeros((3, 2)), np.array([0, 3]), IndexError, r"take: indices must be in 0..2, got 0..3"),
        (np.zeros((3, 2)), np.array([-1, 0]), IndexError, "got -1..0"),
        (np.zeros((3, 2)), np.array([0.0]), ValueError, r"got \(3, 2\) and float64 \(1,\)"),
        (np.zeros(()), np.array([0]), ValueError, r"got \(\) and int64"),
        (np.zeros((3, 2)), np.array([[0]]), ValueError, r"int64 \(1, 1\)"),
        (np.zeros(3, object), np.array([0]), TypeError, "array of objects"),
    ],
)
def test_bad_input(a, indices, error, message):
    with pytest.raises(error, match=message):
        kernels.take(a, indices)
