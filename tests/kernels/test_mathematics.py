"""Functions of mathematics against 50 digits and at special values."""

import mpmath as mp
import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels import MATHEMATICS
from fastnn_kernels.ground import threads
from tests.reference.activation import DIGITS, errors
from tests.reference.arithmetic import MATHEMATICS as REFERENCE

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAMES = pytest.mark.parametrize("name", MATHEMATICS)
UFUNCS = {
    "neg": np.negative, "round": np.rint, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
}  # fmt: skip


def points(name, dtype, count=200):
    """Draw points all over the domain and around 0."""
    _, low, high = REFERENCE[name]
    rng = np.random.default_rng(1)
    if low > 0:
        return np.exp(rng.uniform(np.log(low), np.log(high), count)).astype(dtype)
    near = 10.0 ** rng.uniform(-8, 0, count // 2)
    middle = rng.uniform(-3, 3, count)
    return np.clip(np.concatenate([rng.uniform(low, high, count), middle, near, -near]), low, high).astype(dtype)


def exact(name, x):
    with mp.workdps(DIGITS):
        return [mp.mpf(REFERENCE[name][0](mp.mpf(float(v)))) for v in x]


def test_every_function_has_a_reference():
    assert REFERENCE.keys() == MATHEMATICS.keys()


@DTYPES
@NAMES
def test_forward(name, dtype):
    x = points(name, dtype)
    y = getattr(kernels, name)(x)
    assert y.dtype == dtype
    error = errors(y, exact(name, x))
    assert error.max() <= MATHEMATICS[name].ulp[dtype == np.float64], x[error.argmax()]


@DTYPES
@NAMES
def test_backward(name, dtype):
    x = points(name, dtype, 40)
    dy = np.random.default_rng(2).normal(size=x.shape).astype(dtype)
    y = getattr(kernels, name)(x)
    dx = getattr(kernels, f"{name}_backward")(dy, y if MATHEMATICS[name].gradient_of == "output" else x)
    with mp.workdps(DIGITS):
        steps = {"sign", "floor", "ceil", "trunc", "round", "frac"}
        slope = [
            float(name == "frac") if name in steps else float(mp.diff(REFERENCE[name][0], mp.mpf(float(v)))) for v in x
        ]
    assert dx.dtype == dtype
    np.testing.assert_allclose(dx, dy * slope, rtol=300 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@DTYPES
@NAMES
def test_special_values(name, dtype):
    ufunc = UFUNCS.get(name) or getattr(np, name, None)
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 1e-40, -1e-40, 3e38, -3e38, 0.5, 2.5, -2.5], dtype)
    if ufunc is None:
        return
    with np.errstate(all="ignore"):
        expected = ufunc(x.astype(np.float64)).astype(dtype)
    y = getattr(kernels, name)(x)
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)
    assert (np.signbit(y) == np.signbit(expected))[[3, 4]].all()  # the sign of zero


def test_other_special_values():
    x = np.array([np.nan, np.inf, -np.inf, 0, 4, -4])
    np.testing.assert_array_equal(kernels.rsqrt(x), [np.nan, 0, np.nan, np.inf, 0.5, np.nan])
    np.testing.assert_array_equal(kernels.frac(x[3:]), [0, 0, 0])
    np.testing.assert_array_equal(kernels.erfc(x[:3]), [np.nan, 0, 2])
    np.testing.assert_array_equal(kernels.abs_backward(np.ones(6), x), [np.nan, 1, -1, 0, 1, -1])


@DTYPES
def test_far_arguments_of_sine_and_cosine(dtype):
    x = np.array([1, 1e4, 99_999, 100_001, 1e6, 1e10, 1e20, 1e38, -1e30, 3.0], dtype)
    for name in ("sin", "cos"):
        y = getattr(kernels, name)(x)
        assert errors(y, exact(name, x)).max() <= 1
        for i in range(len(x)):  # the neighbours have no part in it
            assert y[i] == getattr(kernels, name)(x[i : i + 1])[0]
        dx = getattr(kernels, f"{name}_backward")(np.ones_like(x), x)
        np.testing.assert_array_equal(dx, kernels.cos(x) if name == "sin" else -kernels.sin(x))
    x = np.resize(x[:3], 300_001)
    x[200_000] = 1e20
    results = []
    for count in (1, 3, 8):
        with threads.threads(count):
            results.append(kernels.sin(x).tobytes())
    assert len(set(results)) == 1


def test_stated_errors_are_within_the_promise():
    library = {name for name, spec in MATHEMATICS.items() if "C library" in spec.doc}
    assert all(max(spec.ulp) <= 2 for name, spec in MATHEMATICS.items() if name not in library)
