"""Convolutions: missing and far too large arguments are named; prepared filters can be pickled."""

import copy
import pickle

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.conv import choose

FORWARD = [f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)]
LARGE = [2**31, 2**63, 10**400, -(10**400)]


def arrays(name):
    """Return dy, an input and a weight of a convolution: of three channels to three, by kernels of 2."""
    n, size = int(name[-2]), 6 if "transpose" in name else 4
    rng = np.random.default_rng(n)
    shapes = (2, 3, *[size] * n), (2, 3, *[5] * n), (3, 3, *[2] * n)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("name", FORWARD)
def test_missing_arrays_are_named(name):
    dy, x, w = arrays(name)
    for place, missing in enumerate(("input", "weight")):
        given = [x, w]
        given[place] = None
        with pytest.raises(TypeError, match=f"^{name}: {missing} must be an array, got None"):
            getattr(kernels, name)(*given)
    for place, missing in enumerate(("dy", "input", "weight")):
        given = [dy, x, w]
        given[place] = None
        with pytest.raises(TypeError, match=f"^{name}_backward: {missing} must be an array, got None"):
            getattr(kernels, f"{name}_backward")(*given)
    with pytest.raises(TypeError, match=f"^prepare_{name}: weight must be an array, got None"):
        getattr(kernels, f"prepare_{name}")(None)


def test_missing_arrays_of_single_gradients_are_named():
    dy, x, w = arrays("conv2d")
    for function, given, missing in (
        (kernels.conv2d_backward_input, (None, w, x.shape), "dy must be an array"),
        (kernels.conv2d_backward_input, (dy, None, x.shape), "weight must be an array"),
        (kernels.conv2d_backward_input, (dy, w, None), "input_shape must be a shape"),
        (kernels.conv2d_backward_weight, (None, x, w.shape), "dy must be an array"),
        (kernels.conv2d_backward_weight, (dy, None, w.shape), "input must be an array"),
        (kernels.conv2d_backward_weight, (dy, x, None), "weight_shape must be a shape"),
        (kernels.conv2d_backward_bias, (None,), "dy must be an array"),
        (kernels.unfold, (None, 2), "input must be an array"),
        (kernels.fold, (None, 2, 2), "input must be an array"),
        (choose, (None, w.shape), "input_shape must be a shape"),
        (choose, (x.shape, 3), "weight_shape must be a shape"),
    ):
        with pytest.raises(TypeError, match=f"^{function.__name__}: {missing}, got (None|3)"):
            function(*given)


@pytest.mark.parametrize("number", LARGE, ids=lambda n: f"{n.bit_length()} bits")
@pytest.mark.parametrize("name", FORWARD)
def test_numbers_far_too_large_are_named(name, number):
    dy, x, w = arrays(name)
    options = ["stride", "padding", "dilation", "groups"] + ["output_padding"] * ("transpose" in name)
    for option in options:
        with pytest.raises(ValueError, match=f"^{name}: {option} must be (below|at least)"):
            getattr(kernels, name)(x, w, **{option: number})
        with pytest.raises(ValueError, match=f"^{name}_backward: {option} must be (below|at least)"):
            getattr(kernels, f"{name}_backward")(dy, x, w, **{option: number})
    with pytest.raises(ValueError, match=f"^prepare_{name}: input_shape must be (below|at least)"):
        getattr(kernels, f"prepare_{name}")(w, (1, number, *x.shape[2:]))


def test_shapes_far_too_large_are_named():
    dy, x, w = arrays("conv2d")
    with pytest.raises(ValueError, match=r"^conv2d_backward_input: input_shape must be below 2\*\*31"):
        kernels.conv2d_backward_input(dy, w, (2, 3, 10**400, 5))
    with pytest.raises(ValueError, match=r"^conv2d_backward_weight: weight_shape must be below 2\*\*31"):
        kernels.conv2d_backward_weight(dy, x, (3, 3, 10**400, 2))
    with pytest.raises(ValueError, match=r"^prepare_conv1d: input_shape must name 2 or 3 sizes, got \(5,\)"):
        kernels.prepare_conv1d(w[..., 0], (5,))
    with pytest.raises(ValueError, match=r"^unfold: kernel_size must be below 2\*\*31"):
        kernels.unfold(x, 10**400)


@pytest.mark.parametrize("name", FORWARD)
def test_prepared_filters_travel(name):
    _, x, w = arrays(name)
    function, prepared = getattr(kernels, name), getattr(kernels, f"prepare_{name}")(w)
    expected = function(x, prepared)
    function(x, prepared)
    for other in (pickle.loads(pickle.dumps(prepared)), copy.deepcopy(prepared), copy.copy(prepared)):
        assert other.shape == w.shape and other.dtype is np.dtype(np.float32)
        np.testing.assert_array_equal(function(x, other), expected)


@pytest.mark.parametrize("name", FORWARD)
def test_arrays_that_were_pickled(name):
    dy, x, w = given = arrays(name)
    other_dy, other_x, other_w = pickle.loads(pickle.dumps(given))
    assert other_x.dtype is not x.dtype
    function, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    expected = function(x, w)
    np.testing.assert_array_equal(function(other_x, other_w), expected)
    np.testing.assert_array_equal(function(other_x, w), expected)
    np.testing.assert_array_equal(function(other_x, getattr(kernels, f"prepare_{name}")(other_w)), expected)
    out = pickle.loads(pickle.dumps(np.zeros_like(expected)))
    assert function(x, w, out=out) is out
    np.testing.assert_array_equal(out, expected)
    for made, right in zip(backward(other_dy, other_x, other_w), backward(dy, x, w), strict=True):
        np.testing.assert_array_equal(made, right)
        assert made.dtype is np.dtype(np.float32)


@pytest.mark.parametrize("form", ["odd address", "reversed", "big-endian"])
def test_outs_do_not_overlap_what_is_copied(form):
    """Inputs whose layout kernels cannot read are copied, but `out` may not overlap the originals either."""

    def make(shape):
        memory = np.zeros(4 * int(np.prod(shape)) + 1, np.uint8)
        if form == "odd address":
            array = memory[1:].view(np.float32).reshape(shape)
            return array, array
        array = memory[:-1].view(np.float32).reshape(shape)
        return (array.view(array.dtype.newbyteorder()) if form == "big-endian" else array[::-1]), array

    shape = 3, 3, 1, 1
    plain = np.ones(shape, np.float32)
    calls = [
        lambda array, out: kernels.conv2d(array, plain, out=out),
        lambda array, out: kernels.conv2d(plain, array, out=out),
        lambda array, out: kernels.conv_transpose2d(plain, array, out=out),
        lambda array, out: kernels.conv2d_backward_input(array, plain, shape, out=out),
        lambda array, out: kernels.conv2d_backward_input(plain, array, shape, out=out),
        lambda array, out: kernels.conv2d_backward_weight(array, plain, shape, out=out),
        lambda array, out: kernels.conv2d_backward_weight(plain, array, shape, out=out),
        lambda array, out: kernels.conv2d_backward_bias(array, out=out[0, :, 0, 0]),
        lambda array, out: kernels.unfold(array, 1, out=out.reshape(3, 3, 1)),
        lambda array, out: kernels.fold(array.reshape(3, 3, 1), 1, 1, out=out),
    ]
    for call in calls:
        array, out = make(shape)
        with pytest.raises(ValueError, match="out overlaps an input"):
            call(array, out)
        assert not out.any()
