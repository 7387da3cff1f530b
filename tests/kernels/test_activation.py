"""Elementwise kernels against 50 digits, at special values, and in any memory layout."""

from functools import partial

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.cpu.activation import FUNCTIONS
from fastnn_kernels.ground import threads
from tests.reference import activation as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAMES = pytest.mark.parametrize("name", FUNCTIONS)


def forward(name):
    """Return the entry point of a row of the table, with parameters."""
    if name.startswith("gelu"):
        return partial(kernels.gelu, approximate="tanh" if name == "gelu_tanh" else "none")
    return partial(call, getattr(kernels, name), parameters(name))


def backward(name):
    """Return its gradient's entry point."""
    if name.startswith("gelu"):
        return partial(kernels.gelu_backward, approximate="tanh" if name == "gelu_tanh" else "none")
    return partial(call, getattr(kernels, f"{name}_backward"), parameters(name))


def call(entry, parameters, *arrays, **options):
    return entry(*arrays, *parameters, **options)


def parameters(name):
    return reference.PARAMETERS.get(name, FUNCTIONS[name].usual_parameters)


def points(name, dtype, count=300):
    """Draw points all over the domain and around 0 (or, for logarithms, 1)."""
    _, low, high = reference.TABLE[name]
    rng = np.random.default_rng(1)
    near = 10.0 ** rng.uniform(-8, 0, count // 2)
    if low > 0:
        return np.concatenate([np.exp(rng.uniform(np.log(low), np.log(high), count)), 1 + near, 1 - near]).astype(dtype)
    middle = rng.uniform(-3, 3, count)
    return np.concatenate([rng.uniform(low, high, count), middle, near, -near]).astype(dtype)


def exact(name, x):
    return reference.evaluate(name, x, [float(x.dtype.type(p)) for p in parameters(name)])


def test_every_function_has_a_reference():
    assert reference.TABLE.keys() == FUNCTIONS.keys()


@DTYPES
@NAMES
def test_forward(name, dtype):
    x = points(name, dtype)
    y = forward(name)(x)
    assert y.dtype == dtype
    assert reference.errors(y, exact(name, x)).max() <= FUNCTIONS[name].ulp[dtype == np.float64]


@NAMES
def test_every_4093rd_float32(name):
    from tests.exhaustive import float32_error

    error, where = float32_error(name, step=4093)
    assert error <= FUNCTIONS[name].ulp[0], where


@NAMES
def test_stated_errors_are_within_the_promise(name):
    assert max(FUNCTIONS[name].ulp) <= 2


@DTYPES
@NAMES
def test_backward(name, dtype):
    x = points(name, dtype, 40)
    dy = np.random.default_rng(2).normal(size=x.shape).astype(dtype)
    y = forward(name)(x)
    dx = backward(name)(dy, y if FUNCTIONS[name].gradient_of == "output" else x)
    expected = dy * reference.slope(name, x, parameters(name))
    assert dx.dtype == dtype
    # slopes that are taken from the output lose what the output's rounding lost: eps of the slope's factors
    np.testing.assert_allclose(dx, expected, rtol=200 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


# at nan, inf, -inf, 0, -0, a subnormal and its negative, the largest number and its negative, 1e4, -1e4; as in PyTorch
TINY, BIG = "tiny", "big"
SPECIAL = {
    "relu": (np.inf, 0, 0, 0, TINY, 0, BIG, 0, 1e4, 0),
    "relu6": (6, 0, 0, 0, TINY, 0, 6, 0, 6, 0),
    "hardtanh": (1, -1, 0, 0, TINY, "-tiny", 1, -1, 1, -1),
    "hardsigmoid": (1, 0, 0.5, 0.5, 0.5, 0.5, 1, 0, 1, 0),
    "hardswish": (np.inf, np.nan, 0, 0, "any", "any", BIG, 0, 1e4, 0),
    "sigmoid": (1, 0, 0.5, 0.5, 0.5, 0.5, 1, 0, 1, 0),
    "logsigmoid": (0, -np.inf, -np.log(2), -np.log(2), -np.log(2), -np.log(2), 0, "-big", 0, -1e4),
    "tanh": (1, -1, 0, 0, TINY, "-tiny", 1, -1, 1, -1),
    "tanhshrink": (np.inf, -np.inf, 0, 0, 0, 0, BIG, "-big", 9999, -9999),
    "softsign": (np.nan, np.nan, 0, 0, TINY, "-tiny", 1, -1, "any", "any"),
    "elu": (np.inf, -1, 0, 0, TINY, "-tiny", BIG, -1, 1e4, -1),
    "softplus": (np.inf, 0, np.log(2), np.log(2), np.log(2), np.log(2), BIG, 0, 1e4, 0),
    "silu": (np.inf, np.nan, 0, 0, "any", "any", BIG, 0, 1e4, 0),
    "mish": (np.inf, np.nan, 0, 0, "any", "any", BIG, 0, 1e4, 0),
    "gelu": (np.inf, np.nan, 0, 0, "any", "any", BIG, 0, 1e4, 0),
    "gelu_tanh": (np.inf, np.nan, 0, 0, "any", "any", BIG, 0, 1e4, 0),
    "exp": (np.inf, 0, 1, 1, 1, 1, np.inf, 0, np.inf, 0),
    "erf": (1, -1, 0, 0, "any", "any", 1, -1, 1, -1),
    "binary_step": (1, 0, 1, 1, 1, 0, 1, 0, 1, 0),
    "bipolar_step": (1, -1, 1, 1, 1, -1, 1, -1, 1, -1),
}


@DTYPES
@NAMES
def test_special_values(name, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    big = np.finfo(dtype).max
    x = np.array([np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, big, -big, 1e4, -1e4], dtype)
    y = forward(name)(x)
    words = {"tiny": tiny, "-tiny": -tiny, "big": big, "-big": -big}
    for got, expected in zip(y, SPECIAL.get(name, ()), strict=name in SPECIAL):
        if not isinstance(expected, str) or expected in words:
            np.testing.assert_allclose(got, words.get(expected, expected), rtol=4 * np.finfo(dtype).eps, atol=0)
    assert np.isnan(forward(name)(np.full(3, np.nan, dtype))).all()
    if name in ("relu", "leaky_relu", "tanh", "gelu", "erf", "softsign", "tanhshrink", "elu"):
        assert np.signbit(y[3]) and not np.signbit(y[2])  # the sign of zero


@NAMES
def test_in_place(name):
    x = points(name, np.float32, 40)
    for view in (x, x.reshape(4, -1), x.reshape(4, -1).T, x[::2]):
        expected, changed = forward(name)(view), view.copy(order="K")
        assert forward(name)(changed, out=changed) is changed
        np.testing.assert_array_equal(changed, expected)


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
    x = np.resize(points(name, np.float32), 600_001)
    results = []
    for count in (1, 2, 3, 8, 17):
        with threads.threads(count):
            results.append(forward(name)(x))
    for y in results[1:]:
        np.testing.assert_array_equal(y, results[0])


@pytest.mark.parametrize("bad", [np.ones(3, complex), np.array("x"), np.ones(3, np.longdouble)])
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
        kernels.relu(x[:, :2], out=x[:, 1:])
    with pytest.raises(ValueError, match="relu: out must have shape"):
        kernels.relu(x, out=np.empty(6, np.float32))
    with pytest.raises(TypeError, match="relu: out must be float32, got float64"):
        kernels.relu(x, out=np.empty((2, 3)))
    for bad in ("steep", None, [0.1], np.ones(2)):
        with pytest.raises(TypeError, match="leaky_relu: negative_slope must be a number, got"):
            kernels.leaky_relu(x, bad)
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'threshold' and 'value'"):
        kernels.threshold(x)
    with pytest.raises(TypeError, match="takes from 1 to 2 positional arguments but 3 were given"):
        kernels.elu(x, 1.0, 2.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'beta'"):
        kernels.elu(x, beta=1.0)
    with pytest.raises(TypeError, match="multiple values for argument 'alpha'"):
        kernels.elu(x, 1.0, alpha=1.0)


def test_negative_slope(rng):
    x = rng.normal(size=9)
    np.testing.assert_allclose(kernels.leaky_relu(x, 0.2), np.where(x > 0, x, 0.2 * x))
    np.testing.assert_allclose(kernels.leaky_relu(x, negative_slope=-1), np.abs(x))
    np.testing.assert_allclose(kernels.leaky_relu_backward(x, x, 0.2), np.where(x > 0, x, 0.2 * x))
