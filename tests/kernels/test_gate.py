"""PReLU and GLU against float64, in any layout."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from tests.reference import gate as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@DTYPES
@pytest.mark.parametrize("shape", [(5,), (130, 7), (3, 7, 11), (2, 7, 5, 3)])
@pytest.mark.parametrize("layout", ["plain", "last", "strided"])
@pytest.mark.parametrize("count", [1, 7])
def test_prelu(shape, layout, count, dtype, rng):
    if count > 1 and len(shape) == 1:
        pytest.skip("no channels")
    x, dy = rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    if layout == "last" and len(shape) > 2:
        x, dy = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (x, dy))
        x, dy = np.moveaxis(x, -1, 1), np.moveaxis(dy, -1, 1)
    if layout == "strided":
        x, dy = np.repeat(x, 2, 0)[::2], dy[::-1]
    w = rng.normal(size=count).astype(dtype)
    y = kernels.prelu(x, w)
    exact = reference.prelu(x.astype(float), w.astype(float))
    np.testing.assert_allclose(y, exact, rtol=np.finfo(dtype).eps)
    assert layout == "strided" or count == 1 or y.strides == x.strides
    dx, dw = kernels.prelu_backward(dy, x, w)
    np.testing.assert_allclose(dx, reference.prelu_slope(dy, x, w), rtol=np.finfo(dtype).eps)
    expected = reference.prelu_weight_gradient(dy.astype(float), x.astype(float), w)
    assert dw.shape == w.shape
    np.testing.assert_allclose(dw, expected, atol=20 * np.finfo(dtype).eps * np.sqrt(x.size))


@DTYPES
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_glu(dim, dtype, rng):
    x = rng.normal(scale=3, size=(4, 6, 34)).astype(dtype)
    exact = reference.glu(x.astype(float), dim)
    np.testing.assert_allclose(kernels.glu(x, dim), exact, rtol=2 * np.finfo(dtype).eps)
    assert np.isnan(kernels.glu(np.full((2, 2), np.nan, dtype))).all()
    dy = rng.normal(size=exact.shape).astype(dtype)
    a, b = np.split(x.astype(float), 2, axis=dim)
    s = 1 / (1 + np.exp(-b))
    expected = np.concatenate([dy * s, dy * a * s * (1 - s)], axis=dim)
    eps = np.finfo(dtype).eps
    allowed = 4 * eps * np.abs(dy * a).max()  # 1 - s loses what s was rounded by
    np.testing.assert_allclose(kernels.glu_backward(dy, x, dim), expected, rtol=4 * eps, atol=allowed)


@DTYPES
@pytest.mark.parametrize("shape", [(0,), (5,), (64,), (3, 7, 11)])
def test_rrelu_draws_a_slope_per_number(shape, dtype, rng):
    x, dy = rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    slopes = kernels.uniform(shape, 0.1, 0.4, seed=5, offset=2, dtype=dtype)
    factors = np.where(x > 0, dtype(1), slopes)
    np.testing.assert_array_equal(kernels.rrelu(x, 0.1, 0.4, 5, 2), x * factors)
    np.testing.assert_array_equal(kernels.rrelu_backward(dy[::-1], x, 0.1, 0.4, 5, 2), dy[::-1] * factors)
    y = x.copy()
    assert kernels.rrelu(y, 0.1, 0.4, 5, 2, out=y) is y
    np.testing.assert_array_equal(y, x * factors)
    with pytest.raises(ValueError, match="rrelu: seed must be from 0"):
        kernels.rrelu(x, 0.1, 0.4, -1)


def test_bad_arguments():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"prelu: weight has shape \(2,\) but input has \(2, 3\); expected \(1,\) or"):
        kernels.prelu(x, np.ones(2, np.float32))
    with pytest.raises(ValueError, match=r"prelu_backward: dy has shape \(3, 2\) but input has \(2, 3\)"):
        kernels.prelu_backward(x.T, x, np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"glu: dimension 1 of the input must be even to be halved, got shape \(2, 3"):
        kernels.glu(x)
    with pytest.raises(ValueError, match=r"glu_backward: dy has shape \(2, 3\) but half the input has \(1, 3\)"):
        kernels.glu_backward(x, x, 0)
    with pytest.raises(TypeError, match="prelu: weight must be float32 or float64"):
        kernels.prelu(x, np.ones(3, complex))
