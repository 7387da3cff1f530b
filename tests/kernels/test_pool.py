"""Pooling and its gradients against float64 NumPy, and what bad input gets."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels._parallel import threads
from tests.reference import pool as reference

# input shape, kernel, stride, padding
CASES = [
    ((2, 3, 8, 12), 2, None, 0),
    ((2, 3, 7, 67), 2, 2, 0),
    ((1, 2, 29, 31), 3, 2, 1),
    ((2, 3, 11, 13), (3, 5), (7, 3), (1, 2)),
    ((1, 1, 5, 5), 5, 1, 0),
    ((2, 3, 7, 5), 2, 1, 1),
    ((2, 5, 1, 1), 1, 1, 0),
    ((0, 3, 8, 8), 2, 2, 0),
    ((2, 0, 8, 8), 2, 2, 0),
]
LAYOUTS = ("planes", "pixels", "strided")


def lay(x, layout):
    if layout == "pixels":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    elif layout == "strided":
        x = np.repeat(x, 2, 3)[..., ::2]
    x.flags.writeable = False
    return x


def draw(shape, dtype, special=True):
    """Few different values, so that there are ties, and some NaN and infinities."""
    rng = np.random.default_rng(1)
    x = rng.integers(-2, 3, shape).astype(dtype)
    if special:
        for value in (np.nan, np.inf, -np.inf):
            x[rng.random(shape) < 0.05] = value
    return x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_max_pool2d_and_its_gradient_match_the_reference(case, layout, dtype):
    shape, *window = case
    x = lay(draw(shape, dtype), layout)
    expected, places = reference.max_pool2d(x, *window)
    y, indices = kernels.max_pool2d(x, *window, return_indices=True)
    assert y.dtype == dtype and indices.dtype == np.int64
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_array_equal(kernels.max_pool2d(x, *window), expected)
    dy = lay(draw(y.shape, dtype, special=False), layout)
    dx = kernels.max_pool2d_backward(dy, indices, shape)
    np.testing.assert_array_equal(dx, reference.max_pool2d_backward(dy, places, shape))
    for other in LAYOUTS:  # dy may lie otherwise than x
        dx = kernels.max_pool2d_gradient(lay(np.array(dy), other), x, *window)
        np.testing.assert_array_equal(dx, reference.max_pool2d_backward(dy, places, shape))
    y = kernels.max_pool2d(x, *window, activation="relu")
    np.testing.assert_array_equal(y, np.where(expected < 0, 0, expected))
    dx = kernels.max_pool2d_gradient(dy, x, *window, activation="relu")
    np.testing.assert_array_equal(dx, reference.max_pool2d_backward(np.where(expected <= 0, 0, dy), places, shape))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_avg_pool2d_and_its_gradient_match_the_reference(case, count_include_pad, layout, dtype):
    shape, kernel, stride, padding = case
    x = lay(draw(shape, dtype, special=False), layout)
    expected = reference.avg_pool2d(x, kernel, stride, padding, count_include_pad)
    y = kernels.avg_pool2d(x, kernel, stride, padding, count_include_pad=count_include_pad)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=0, atol=reference.tolerance(dtype, np.prod(kernel)))
    dy = lay(draw(y.shape, dtype, special=False), layout)
    dx = kernels.avg_pool2d_backward(dy, shape, kernel, stride, padding, count_include_pad=count_include_pad)
    expected = reference.avg_pool2d_backward(dy, shape, kernel, stride, padding, count_include_pad)
    np.testing.assert_allclose(dx, expected, rtol=0, atol=reference.tolerance(dtype, np.prod(kernel)))


def test_ceil_mode_lets_the_last_window_hang_over():
    x = np.arange(25, dtype=np.float64).reshape(1, 5, 5)
    np.testing.assert_array_equal(kernels.max_pool2d(x, 2, ceil_mode=True), [[[6, 8, 9], [16, 18, 19], [21, 23, 24]]])
    y = kernels.avg_pool2d(x, 2, ceil_mode=True)
    np.testing.assert_array_equal(y, [[[3, 5, 6.5], [13, 15, 16.5], [20.5, 22.5, 24]]])
    # a window may not start in the padding on the right
    assert kernels.max_pool2d(x, 3, 3, 1, ceil_mode=True).shape == (1, 2, 2)


def test_dilation_and_divisor_override():
    x = np.arange(25, dtype=np.float64).reshape(1, 5, 5)
    np.testing.assert_array_equal(kernels.max_pool2d(x, 2, 1, dilation=4), [[[24]]])
    np.testing.assert_array_equal(kernels.avg_pool2d(x, 2, 4, divisor_override=2), [[[6]]])


def test_out_and_layouts():
    x = draw((2, 3, 8, 8), np.float32)
    out = np.full((2, 3, 4, 4), np.nan, np.float32)
    assert kernels.max_pool2d(x, 2, out=out) is out
    np.testing.assert_array_equal(out, reference.max_pool2d(x, 2)[0])
    for function in (kernels.max_pool2d, kernels.avg_pool2d):
        assert function(lay(x, "pixels"), 2).transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("layout", ["planes", "pixels"])
def test_bits_do_not_depend_on_the_number_of_threads(layout):
    rng = np.random.default_rng(2)
    x = lay(rng.standard_normal((7, 13, 29, 29)).astype(np.float32), layout)
    dy = lay(rng.standard_normal((7, 13, 15, 15)).astype(np.float32), layout)

    def everything():
        y, indices = kernels.max_pool2d(x, 3, 2, 1, return_indices=True)
        dx = kernels.max_pool2d_backward(dy, indices, x.shape)
        mean = kernels.avg_pool2d(x, 3, 2, 1)
        return y, indices, dx, mean, kernels.avg_pool2d_backward(dy, x.shape, 3, 2, 1)

    with threads(1):
        alone = everything()
    for n in (2, 3, 8, 17):
        with threads(n):
            for one, many in zip(alone, everything(), strict=True):
                assert one.tobytes() == many.tobytes()


X = np.zeros((1, 3, 8, 8), np.float32)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(
    ("error", "message", "x", "window"),
    [
        (ValueError, "kernel_size must be at least 1, got 0", X, (0,)),
        (ValueError, "kernel_size must be at least 1, got -2", X, ((2, -2),)),
        (ValueError, "stride must be at least 1, got 0", X, (2, 0)),
        (ValueError, "padding must be at least 0, got -1", X, (2, 2, -1)),
        (ValueError, r"padding must be at most half of the kernel, got padding \(2, 2\)", X, (3, 1, 2)),
        (ValueError, r"kernel \(9, 9\) is larger than the padded input \(8, 8\)", X, (9,)),
        (TypeError, "kernel_size must be an integer", X, (2.5,)),
        (ValueError, "kernel_size must be an integer or a pair", X, ((1, 2, 3),)),
        (TypeError, "input must be float32 or float64, got int32", X.astype(np.int32), (2,)),
        (ValueError, r"input must have 3 or 4 dimensions, got shape \(8, 8\)", X[0, 0], (2,)),
        (ValueError, r"images must not be empty, got shape \(1, 3, 0, 8\)", X[:, :, :0], (2,)),
        (ValueError, r"kernel_size must be below 2\*\*31", X, (2**40,)),
    ],
)
def test_bad_input_is_named(name, error, message, x, window):
    with pytest.raises(error, match=f"{name}: {message}"):
        getattr(kernels, name)(x, *window)


def test_bad_gradients_are_named():
    dy, indices = np.zeros((1, 3, 4, 4), np.float32), np.zeros((1, 3, 4, 4), np.int64)
    with pytest.raises(ValueError, match="max_pool2d_backward: indices have shape"):
        kernels.max_pool2d_backward(dy, indices[..., 1:], X.shape)
    with pytest.raises(TypeError, match="max_pool2d_backward: indices must be integers"):
        kernels.max_pool2d_backward(dy, dy, X.shape)
    with pytest.raises(ValueError, match="max_pool2d_backward: dy has shape .* does not fit"):
        kernels.max_pool2d_backward(dy, indices, (1, 2, 8, 8))
    with pytest.raises(ValueError, match=r"avg_pool2d_backward: dy has shape .* gives \(1, 3, 8, 8\)"):
        kernels.avg_pool2d_backward(dy, X.shape, 1)


def test_indices_outside_the_image_are_ignored():
    dy = np.ones((1, 1, 1, 3), np.float32)
    dx = kernels.max_pool2d_backward(dy, np.array([[[[-1, 3, 1 << 40]]]]), (1, 1, 2, 2))
    np.testing.assert_array_equal(dx, [[[[0, 0], [0, 1]]]])
