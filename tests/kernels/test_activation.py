"""Elementwise kernels against float64, at special values, and in any memory layout."""

from functools import partial

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels import _parallel
from fastnn_kernels.cpu.activation import FUNCTIONS
from tests.reference.activation import TABLE, own_error, ulp

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAMES = pytest.mark.parametrize("name", FUNCTIONS)


def forward(name):
    """Return the entry point of a row of the table."""
    return partial(kernels.gelu, approximate="tanh") if name == "gelu_tanh" else getattr(kernels, name)


def backward(name):
    """Return its gradient's entry point."""
    return (
        partial(kernels.gelu_backward, approximate="tanh")
        if name == "gelu_tanh"
        else getattr(kernels, f"{name}_backward")
    )


def points(name, dtype, count=20011):
    """Draw points all over the domain and around 0 (or, for logarithms, 1)."""
    low, high = TABLE[name][2]
    rng = np.random.default_rng(1)
    near = 10.0 ** rng.uniform(-8, 0, count // 2)
    if low > 0:
        return np.concatenate([np.exp(rng.uniform(np.log(low), np.log(high), count)), 1 + near, 1 - near]).astype(dtype)
    return np.concatenate([rng.uniform(low, high, count), near, -near]).astype(dtype)


def test_every_function_has_a_reference():
    assert TABLE.keys() == FUNCTIONS.keys()


@DTYPES
@NAMES
def test_forward(name, dtype):
    x = points(name, dtype)
    y = forward(name)(x)
    expected = TABLE[name][0](x.astype(np.float64))
    assert y.dtype == dtype
    allowed = TABLE[name][3] + (own_error(name, x) if dtype == np.float64 else 0)
    assert np.all(np.abs(y - expected) <= allowed * ulp(expected, dtype))


@DTYPES
@NAMES
def test_backward(name, dtype):
    x = points(name, dtype)
    dy = np.random.default_rng(2).normal(size=x.shape).astype(dtype)
    y = forward(name)(x)
    dx = backward(name)(dy, y if FUNCTIONS[name].gradient_of == "output" else x)
    expected = dy.astype(np.float64) * TABLE[name][1](x.astype(np.float64))
    assert dx.dtype == dtype
    # slopes that are taken from the output lose what the output's rounding lost: eps of the slope's factors
    np.testing.assert_allclose(dx, expected, rtol=200 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@DTYPES
@NAMES
def test_special_values(name, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    big = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, big, -big, 1e4, -1e4], dtype)
    with np.errstate(all="ignore"):
        expected = TABLE[name][0](x.astype(np.float64)).astype(dtype)
    if name.startswith("gelu"):
        expected[2], expected[7], expected[8], expected[9:] = np.nan, big, 0, (1e4, 0)  # -inf * 0, as in PyTorch
    y = forward(name)(x)
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps, atol=tiny)
    if name not in ("exp", "log", "relu"):
        assert np.array_equal(np.signbit(y[3:5]), np.signbit(expected[3:5]))


def test_exp_and_log_of_subnormals():
    x = np.float32([-88, -95, -103, -103.9])
    np.testing.assert_allclose(kernels.exp(x), np.exp(x.astype(np.float64)), atol=1e-45)
    x = np.float32([1e-45, 1e-40, 1.1754942e-38])
    np.testing.assert_allclose(kernels.log(x), np.log(x.astype(np.float64)), rtol=1e-7)


def test_relu_gradient_does_not_multiply_by_zero():
    dy = np.float32([np.inf, np.nan, np.inf, 1])
    np.testing.assert_array_equal(kernels.relu_backward(dy, np.float32([0, 0, 2, np.nan])), [0, 0, np.inf, 1])


LAYOUTS = {
    "contiguous": lambda x: x,
    "permuted": lambda x: x.transpose(2, 0, 1),
    "strided": lambda x: x[::2, :, 1::3],
    "reversed": lambda x: x[::-1, :, ::-1],
    "broadcast": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "empty": lambda x: x[:, :0],
    "scalar": lambda x: x[0, 0, 0].reshape(()),
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(layout, rng):
    x = layout(rng.normal(size=(4, 5, 7)))
    if isinstance(x, np.ndarray):
        x.flags.writeable = False
    before = np.array(x)
    y = kernels.tanh(x)
    np.testing.assert_allclose(y, np.tanh(before), rtol=1e-15)
    out = np.full(before.shape, np.nan)
    assert kernels.tanh(x, out=out) is out
    np.testing.assert_array_equal(out, y)
    np.testing.assert_allclose(kernels.tanh_backward(x, y), before * (1 - y * y), rtol=1e-12)
    np.testing.assert_array_equal(x, before)


def test_output_lies_in_memory_as_the_input_does(rng):
    x = rng.normal(size=(2, 6, 5, 3)).transpose(0, 3, 1, 2)
    assert kernels.relu(x).strides == x.strides
    out = np.full(x.shape, np.nan)[:, ::-1]
    kernels.relu(x, out=out)
    np.testing.assert_array_equal(out, np.maximum(x, 0))


@pytest.mark.parametrize("count", [1, 15, 16, 17, 31, 33, 127, 1009])
@DTYPES
def test_lengths_around_the_vector(count, dtype, rng):
    x = rng.normal(size=count + 1).astype(dtype)
    np.testing.assert_allclose(kernels.sigmoid(x[1:]), 1 / (1 + np.exp(-x[1:])), rtol=1e-6)


@NAMES
def test_same_bits_for_any_number_of_threads(name):
    x = points(name, np.float32, 300_000)
    results = []
    for count in (1, 2, 3, 8, 17):
        with _parallel.threads(count):
            results.append(forward(name)(x))
    for y in results[1:]:
        np.testing.assert_array_equal(y, results[0])


@pytest.mark.parametrize("bad", [np.arange(3), np.ones(3, np.float16), [1, 2], np.ones(3, complex), np.array("x")])
def test_other_dtypes_are_refused(bad):
    with pytest.raises(TypeError, match="^relu: input must be float32 or float64, got "):
        kernels.relu(bad)


def test_bad_arguments():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"tanh_backward: dy has shape \(3, 2\) but y has \(2, 3\)"):
        kernels.tanh_backward(x.reshape(3, 2), x)
    with pytest.raises(ValueError, match="gelu: approximate must be 'none' or 'tanh', got 'erf'"):
        kernels.gelu(x, "erf")
    with pytest.raises(ValueError, match="relu: out overlaps an input"):
        kernels.relu(x, out=x)
    with pytest.raises(ValueError, match="relu: out must have shape"):
        kernels.relu(x, out=np.empty(6, np.float32))
    with pytest.raises(TypeError, match="relu: out must be float32, got float64"):
        kernels.relu(x, out=np.empty((2, 3)))
    with pytest.raises(TypeError):
        kernels.leaky_relu(x, "steep")


def test_negative_slope(rng):
    x = rng.normal(size=9)
    np.testing.assert_allclose(kernels.leaky_relu(x, 0.2), np.where(x > 0, x, 0.2 * x))
    np.testing.assert_allclose(kernels.leaky_relu(x, negative_slope=-1), np.abs(x))
    np.testing.assert_allclose(kernels.leaky_relu_backward(x, x, 0.2), np.where(x > 0, x, 0.2 * x))
