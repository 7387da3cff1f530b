"""Running sums, products and logarithms of sums."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from tests.reference import scan as reference

SHAPES = [((), 0), ((1,), 0), ((5,), -1), ((4, 7), 0), ((4, 7), 1), ((3, 4, 130), 1), ((0, 3), 1), ((3, 0), 1)]
ORACLES = {"cumsum": np.cumsum, "cumprod": np.cumprod, "logcumsumexp": reference.logcumsumexp}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
@pytest.mark.parametrize("name", ORACLES)
def test_values(rng, name, shape, dim, dtype):
    x = rng.normal(size=shape).astype(dtype)
    y, expected = getattr(kernels, name)(x, dim), reference.along(ORACLES[name], x, dim)
    assert y.shape == shape and y.dtype == dtype
    tolerance = 8 * reference.EPS[y.dtype]
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    if name == "cumsum":
        backwards = np.flip(kernels.cumsum(np.flip(x, dim) if x.ndim else x, dim), dim) if x.ndim else y
        np.testing.assert_array_equal(kernels.cumsum(x, dim, True), backwards)


def test_float32_is_summed_in_float64():
    x = np.full(1 << 20, 0.1, np.float32)
    np.testing.assert_allclose(kernels.cumsum(x, 0)[-1], np.float64(x[0]) * len(x), rtol=1e-7)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_infinity_and_nan():
    inf, nan = np.inf, np.nan
    x = np.array([-inf, -inf, 1, 2, inf, 3, nan, 1])
    np.testing.assert_allclose(kernels.logcumsumexp(x, 0), [-inf, -inf, 1, np.log(np.e + np.e**2), inf, inf, nan, nan])
    np.testing.assert_array_equal(kernels.cumsum(np.array([1, inf, -inf, 1]), 0), [1, inf, nan, nan])
    np.testing.assert_array_equal(kernels.cumprod(np.array([2.0, inf, 0, 1]), 0), [2, inf, nan, nan])
    big = np.array([1000.0, 1000.0])
    np.testing.assert_allclose(kernels.logcumsumexp(big, 0), [1000, 1000 + np.log(2)])


def test_gradient_of_products_with_zeros():
    x = np.array([2.0, 0, 3, 0, 5])
    dx = kernels.cumprod_backward(np.ones(5), x, kernels.cumprod(x, 0), 0)
    np.testing.assert_array_equal(dx, [1, 2 + 2 * 3, 0, 0, 0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.cumsum(np.ones((2, 3)), 2), ValueError, "cumsum: dim must be from -2 to 1"),
        (lambda: kernels.cumprod(np.ones(2, complex), 0), TypeError, "cumprod: input must be float32 or float64"),
        (lambda: kernels.logcumsumexp(None, 0), TypeError, "logcumsumexp: input must be an array"),
        (
            lambda: kernels.cumprod_backward(np.ones(2), np.ones(3), np.ones(3), 0),
            ValueError,
            r"cumprod_backward: dy has shape \(2,\), input \(3,\)",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
