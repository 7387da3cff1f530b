"""Distances between rows."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from tests.reference.scan import EPS


def oracle(x, y, p, eps=0.0):
    d = np.abs(np.asarray(x, np.float64)[..., :, None, :] - np.asarray(y, np.float64)[..., None, :, :] + eps)
    if p == 0:
        return (d != 0).sum(-1)
    return d.max(-1, initial=0) if p == np.inf else (d**p).sum(-1) ** (1 / p)


SHAPES = [((3, 40), (5, 40)), ((3, 70), (5, 70)), ((2, 3, 7), (2, 1, 7)), ((0, 3), (4, 3)), ((2, 0), (3, 0))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3.5, np.inf])
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_values(rng, a, b, p, dtype):
    x, y = rng.normal(size=a).astype(dtype), rng.normal(size=b).astype(dtype)
    for eps in (0.0, 1e-3):
        d = kernels.cdist(x, y, p, eps)
        assert d.dtype == dtype and d.shape == (*a[:-1], b[-2])
        tolerance = 100 * EPS[d.dtype]
        np.testing.assert_allclose(d, oracle(x, y, p, dtype(eps)), rtol=tolerance, atol=tolerance)


def test_close_rows_lose_no_digits():
    x = np.full((1, 64), 1000.0, np.float32)
    np.testing.assert_allclose(kernels.cdist(x, x + np.float32(0.0625)), 0.5, rtol=1e-6)
    assert not kernels.cdist(x, x).any()


def test_no_gradient_between_equal_rows():
    x = np.ones((2, 3))
    for p in (0, 0.5, 1, 2, np.inf):
        for dx in kernels.cdist_backward(np.ones((2, 2)), x, x, np.zeros((2, 2)), p):
            np.testing.assert_array_equal(dx, np.zeros((2, 3)))
    needs = kernels.cdist_backward(np.ones((2, 2)), x, x, np.zeros((2, 2)), needs=(False, True))
    assert needs[0] is None and needs[1].shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((2, 3)), np.ones((2, 4))), r"cdist: x1 has shape \(2, 3\) and x2 \(2, 4\)"),
        ((np.ones((2, 3)), np.ones((1, 2, 3))), "cdist: x1 has shape"),
        ((np.ones(3), np.ones(3)), "cdist: x1 has shape"),
        ((np.ones((2, 3)), np.ones((2, 3)), -1), "cdist: p must not be negative, got -1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        kernels.cdist(*arguments)
