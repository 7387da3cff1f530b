"""Padding and its gradient against NumPy, and what bad input gets."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from tests.reference import pad as reference

# shape, pad
CASES = [
    ((3, 4, 7, 5), (2, 1, 3, 4)),
    ((3, 4, 7, 5), (0, 0, 2, 0)),
    ((3, 4, 7, 5), (-2, -1, 3, -4)),
    ((2, 3, 4, 5, 6), (1, 2, 0, 0, 3, 1)),
    ((2, 3, 4, 5, 6), (1, 2, 3, 2, 1, 0, 2, 2)),
    ((11,), (10, 3)),
    ((4, 6), ()),
    ((4, 6), (-3, -3)),
]
MODES = sorted(reference.MODES)


def by_pixels(x):
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return np.moveaxis(last, -1, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_pad_and_its_gradient_match_the_reference(case, mode, dtype):
    shape, pad = case
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape).astype(dtype)
    layouts = [x, np.repeat(x, 2, -1)[..., ::2], by_pixels(x) if x.ndim > 2 else x]
    expected = reference.pad(x, pad, mode, 2.5 if mode == "constant" else 0)
    dy = rng.integers(-9, 9, expected.shape).astype(dtype)
    dx = reference.pad_backward(dy, shape, pad, mode)
    for image in layouts:
        y = kernels.pad(image, pad, mode, 2.5)
        assert y.dtype == dtype and not np.may_share_memory(y, image)
        np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(kernels.pad_backward(dy, shape, pad, mode), dx)
    if x.ndim > 2:
        assert np.moveaxis(y, 1, -1).flags.c_contiguous, "channels-last images stay so"
        np.testing.assert_array_equal(kernels.pad_backward(by_pixels(dy), shape, pad, mode), dx)


def test_mixed_signs_mean_what_they_mean_in_pytorch():
    x = np.arange(5.0)
    np.testing.assert_array_equal(kernels.pad(x, (-3, 4), "reflect"), [3, 4, 3, 2, 1, 0])  # reaches what was cut off
    np.testing.assert_array_equal(kernels.pad(x, (-3, 2), "circular"), [3, 4, 3, 4])  # goes around what is left
    np.testing.assert_array_equal(kernels.pad(x, (-5, 2)), [0, 0])


def test_out_and_empty_input():
    x, out = np.ones((2, 3), np.float32), np.full((4, 4), np.nan, np.float32)
    assert kernels.pad(x, (1, 0, 0, 2), value=3, out=out) is out
    np.testing.assert_array_equal(out, reference.pad(x, (1, 0, 0, 2), value=3))
    np.testing.assert_array_equal(kernels.pad(x[:0], (1, 1, 1, 0), value=7), [[7] * 5])
    assert kernels.pad(x[:0], (1, 1), "reflect").shape == (0, 5)


X = np.zeros((2, 3, 4, 5), np.float32)


@pytest.mark.parametrize(
    ("error", "message", "x", "arguments"),
    [
        (TypeError, "input must be float32 or float64, got complex128", np.ones(3, complex), ((1, 1),)),
        (TypeError, "pad must be a sequence of integers, got 1", X, (1,)),
        (TypeError, "pad must be an integer, got 1.5", X, ((1, 1.5),)),
        (ValueError, r"pad must be one pair per axis of shape \(2, 3, 4, 5\) at most, got \(1,\)", X, ((1,),)),
        (ValueError, "pad must be one pair per axis of shape", X[0, 0, 0], ((1, 2, 3, 4),)),
        (ValueError, "mode must be one of constant, .*, got 'zeros'", X, ((1, 1), "zeros")),
        (ValueError, r"pad \(5, 0\) is too wide for mode 'reflect' and shape", X, ((5, 0), "reflect")),
        (ValueError, r"pad \(-1, 5\) is too wide for mode 'circular' and shape", X, ((-1, 5), "circular")),
        (ValueError, r"pad \(1, 0\) is too wide for mode 'replicate' and shape", X[..., :0], ((1, 0), "replicate")),
        (ValueError, r"pad \(1, 0\) is too wide for mode 'reflect' and shape", X[..., :0], ((1, 0), "reflect")),
        (ValueError, r"pad \(-3, -3\) cuts more than there is off shape", X, ((-3, -3),)),
        (ValueError, r"pad \(-6, 6\) cuts more than there is off shape", X, ((-6, 6),)),
        (ValueError, "an output of shape .* does not fit into memory", X, ((2**30, 0, 2**30, 0),)),
    ],
)
def test_bad_input_is_named(error, message, x, arguments):
    with pytest.raises(error, match=f"pad: {message}"):
        kernels.pad(x, *arguments)


def test_bad_gradients_are_named():
    with pytest.raises(ValueError, match=r"pad_backward: dy has shape \(2, 3, 4, 5\), an input \(2, 3, 4, 5\) gives"):
        kernels.pad_backward(X, X.shape, (1, 0))
    with pytest.raises(TypeError, match="pad_backward: input_shape must be a tuple of integers, got 3"):
        kernels.pad_backward(X, 3, (1, 0))
    with pytest.raises(TypeError, match="pad_backward: dy must be an array, got None"):
        kernels.pad_backward(None, X.shape, (1, 0))


@pytest.mark.parametrize("value", [None, "1", 1j, [1.0], np.ones(2)])
def test_a_value_that_is_no_number_is_named(value):
    with pytest.raises(TypeError, match="pad: value must be a number, got"):
        kernels.pad(X, (1, 1), value=value)
    with pytest.raises(ValueError, match="pad: value is too large for a float"):
        kernels.pad(X, (1, 1), value=10**400)
    assert kernels.pad(X, (1, 0), value=np.float32(3))[0, 0, 0, 0] == 3


def test_pads_are_refused_after_equal_ones_were_accepted():
    """1 == 1.0 == True, also as keys of the plans."""
    for _ in range(2):
        y = kernels.pad(X, (1, 2))
        kernels.pad_backward(y, X.shape, (1, 2))
        for bad in ((1.0, 2), (True, 2), [1, 2.0]):
            with pytest.raises(TypeError, match="pad: pad must be an integer"):
                kernels.pad(X, bad)
            with pytest.raises(TypeError, match="pad_backward: pad must be an integer"):
                kernels.pad_backward(y, X.shape, bad)
        with pytest.raises(TypeError, match="pad_backward: input_shape must be an integer"):
            kernels.pad_backward(y, (2.0, *X.shape[1:]), (1, 2))
