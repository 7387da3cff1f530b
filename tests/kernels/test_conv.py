"""Convolution and its gradients against float64 NumPy, and what bad input gets."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground import memory, plans
from fastnn_kernels.ground.threads import threads
from tests.reference import conv as reference

# input shape, OC, kernel, stride, padding, dilation, groups
CASES = [
    ((2, 3, 11, 13), 5, (3, 3), 1, 0, 1, 1),
    ((2, 3, 11, 13), 5, (3, 3), 1, 1, 1, 1),
    ((3, 1, 28, 28), 7, (3, 3), 1, 0, 1, 1),
    ((5, 17, 7, 7), 33, (3, 3), 1, 1, 1, 1),
    ((1, 40, 19, 37), 31, (1, 1), 1, 0, 1, 1),
    ((3, 40, 7, 7), 130, (1, 1), 1, 0, 1, 1),
    ((2, 70, 11, 13), 290, (1, 1), 1, 0, 1, 1),
    ((1, 40, 25, 24), 1, (1, 1), 2, 0, 1, 1),
    ((1, 2, 5, 70), 3, (1, 7), 1, (0, 3), 1, 1),
    ((2, 3, 11, 13), 4, (5, 3), (3, 2), (2, 0), (1, 2), 1),
    ((2, 4, 9, 17), 8, (3, 2), 2, 1, 1, 2),
    ((1, 6, 13, 7), 6, (3, 3), 1, 1, 1, 6),
    ((1, 6, 13, 7), 12, (3, 3), (1, 3), 1, 2, 3),
    ((2, 19, 9, 18), 19, (5, 5), 2, 2, 1, 19),
    ((1, 5, 13, 40), 10, (3, 3), 1, 2, 2, 5),
    ((1, 17, 61, 70), 17, (3, 3), 2, 1, 1, 17),
    ((1, 17, 30, 35), 17, (5, 5), 1, 1, 1, 17),
    ((2, 40, 6, 3), 40, (3, 3), 1, 1, 1, 40),
    ((2, 1, 9, 11), 48, (3, 3), 1, 2, 1, 1),
    ((2, 1, 9, 10), 6, (5, 5), 1, 2, 1, 1),
    ((2, 3, 9, 11), 20, (3, 3), 1, 1, 1, 1),
    ((1, 3, 12, 11), 32, (3, 3), 2, 1, 1, 1),
    ((2, 1, 1, 22), 32, (1, 9), 1, (0, 4), 1, 1),
    ((1, 1, 2, 23), 32, (1, 9), 1, (1, 3), 1, 1),
    ((1, 18, 9, 20), 18, (2, 4), (3, 3), 1, 2, 18),
    ((2, 3, 11, 13), 4, (4, 5), 1, "same", (1, 2), 1),
    ((2, 3, 11, 13), 4, (3, 5), 2, "valid", 1, 1),
    ((2, 2, 5, 7), 3, (3, 3), 1, 5, 1, 1),  # padding larger than the kernel
    ((2, 2, 5, 7), 3, (5, 7), 1, 0, 1, 1),  # one output pixel
    ((1, 1, 1, 1), 1, (1, 1), 3, 0, 1, 1),
    ((2, 3, 2, 3), 4, (2, 2), 5, 3, 1, 1),
    ((0, 3, 8, 8), 4, (3, 3), 1, 1, 1, 1),
    ((2, 0, 8, 8), 4, (3, 3), 1, 1, 1, 1),
]
LAYOUTS = ("planes", "pixels", "strided")


def lay(x, layout):
    if layout == "pixels":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    elif layout == "strided":
        x = np.repeat(x, 2, 3)[..., ::2]
    x.flags.writeable = False
    return x


def draw(rng, dtype, *shapes):
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv2d_and_its_gradients_match_the_reference(case, dtype):
    shape, oc, kernel, *window, groups = case
    rng = np.random.default_rng(1)
    x, w, bias = draw(rng, dtype, shape, (oc, shape[1] // groups, *kernel), oc)
    expected = reference.conv2d(x, w, bias, *window, groups)
    dy = rng.standard_normal(expected.shape).astype(dtype)
    dx, dw, dbias = reference.conv2d_backward(dy, x, w, *window, groups)
    pixels, taps = dy[:, 0].size, w[0].size
    for layout in LAYOUTS:
        images, grad = lay(x, layout), lay(dy, layout)
        y = kernels.conv2d(images, w, bias, *window, groups)
        results = (
            (y, expected, taps),
            (kernels.conv2d_backward_input(grad, w, shape, *window, groups), dx, taps * oc),
            (kernels.conv2d_backward_weight(grad, images, w.shape, *window, groups), dw, pixels),
            (kernels.conv2d_backward_bias(grad), dbias, pixels),
        )
        for got, want, reduction in results:
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=0, atol=reference.tolerance(dtype, reduction, want))


def test_channels_last_images_give_channels_last_images():
    x, w = draw(np.random.default_rng(2), np.float32, (2, 3, 8, 9), (5, 3, 3, 3))
    y = kernels.conv2d(lay(x, "pixels"), w)
    assert y.shape == (2, 5, 6, 7)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert kernels.conv2d(x, w).flags.c_contiguous


def test_one_image_without_a_batch():
    x, w, bias = draw(np.random.default_rng(3), np.float64, (3, 8, 9), (5, 3, 3, 3), 5)
    y = kernels.conv2d(x, w, bias, padding=1)
    np.testing.assert_array_equal(y, kernels.conv2d(x[None], w, bias, padding=1)[0])
    dx = kernels.conv2d_backward_input(y, w, x.shape, padding=1)
    np.testing.assert_array_equal(dx, kernels.conv2d_backward_input(y[None], w, (1, *x.shape), padding=1)[0])
    dw = kernels.conv2d_backward_weight(y, x, w.shape, padding=1)
    np.testing.assert_array_equal(dw, kernels.conv2d_backward_weight(y[None], x[None], w.shape, padding=1))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_out_is_written_and_returned(layout):
    x, w = draw(np.random.default_rng(4), np.float32, (2, 3, 8, 9), (5, 3, 3, 3))
    out = lay(np.full((2, 5, 6, 7), np.nan, np.float32), layout)
    out.flags.writeable = True
    assert kernels.conv2d(x, w, out=out) is out
    np.testing.assert_array_equal(out, kernels.conv2d(x, w))
    dx = np.full(x.shape, np.nan, np.float32)
    assert kernels.conv2d_backward_input(out, w, x.shape, out=dx) is dx
    np.testing.assert_array_equal(dx, kernels.conv2d_backward_input(out, w, x.shape))
    dw = np.full(w.shape, np.nan, np.float32)
    assert kernels.conv2d_backward_weight(out, x, w.shape, out=dw) is dw
    np.testing.assert_array_equal(dw, kernels.conv2d_backward_weight(out, x, w.shape))


def test_an_algorithm_can_be_named_and_asked_for():
    x, w = draw(np.random.default_rng(8), np.float64, (2, 3, 8, 9), (5, 3, 5, 3))
    name, reason = kernels.conv.choose(x.shape, w.shape, stride=2, padding=1, dtype=x.dtype)
    assert name == "direct" and reason
    y = kernels.conv2d(x, w, None, 2, 1)
    np.testing.assert_array_equal(kernels.conv2d(x, w, None, 2, 1, algorithm="direct"), y)
    for algorithm in ("im2col", "reference"):
        given = kernels.conv2d(x, w, None, 2, 1, algorithm=algorithm, activation="relu")
        np.testing.assert_allclose(given, np.maximum(y, 0), rtol=0, atol=reference.tolerance(np.float64, 45, y))
    with kernels.use("reference"):
        assert kernels.conv.choose(x.shape, w.shape)[0] == "reference"
    with pytest.raises(ValueError, match="choose: weight_shape must name 4 sizes"):
        kernels.conv.choose((1, 3, 8, 8), (4, 3, 3))


def test_mixed_dtypes_promote():
    x, w = draw(np.random.default_rng(5), np.float32, (1, 2, 5, 5), (3, 2, 3, 3))
    assert kernels.conv2d(x, w.astype(np.float64)).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["planes", "pixels"])
def test_bits_do_not_depend_on_the_number_of_threads(dtype, layout):
    rng = np.random.default_rng(6)
    x, w, bias, dy = draw(rng, dtype, (19, 16, 13, 13), (32, 16, 3, 3), 32, (19, 32, 13, 13))
    x, dy = lay(x, layout), lay(dy, layout)

    def everything():
        return (
            kernels.conv2d(x, w, bias, padding=1),
            kernels.conv2d_backward_input(dy, w, x.shape, padding=1),
            kernels.conv2d_backward_weight(dy, x, w.shape, padding=1),
            kernels.conv2d_backward_bias(dy),
        )

    with threads(1):
        alone = everything()
    for n in (2, 3, 8, 17):
        with threads(n):
            for one, many in zip(alone, everything(), strict=True):
                assert one.tobytes() == many.tobytes()


@pytest.mark.parametrize("groups", [1, 32])
def test_streaming_stores_give_the_same_bits(groups, monkeypatch):
    x, w = draw(np.random.default_rng(8), np.float32, (3, 32, 13, 40), (32, 32 // groups, 3, 3))
    x = lay(x, "pixels")
    near = kernels.conv2d(x, w, padding=1, groups=groups, algorithm="depthwise" if groups > 1 else "direct")
    monkeypatch.setattr(memory, "FAR", 0)
    plans.forget()
    far = kernels.conv2d(x, w, padding=1, groups=groups, algorithm="depthwise" if groups > 1 else "direct")
    plans.forget()
    assert far.ctypes.data % memory.ALIGNMENT == 0
    assert near.tobytes() == far.tobytes()


def test_depthwise_sums_of_gradients_see_no_infinity_outside_their_windows():
    x, dy = np.ones((1, 2, 5, 9), np.float32), np.ones((1, 2, 3, 7), np.float32)
    x[..., 7:] = np.inf
    for layout in ("planes", "pixels"):
        dw = kernels.conv2d_backward_weight(lay(dy, layout), lay(x, layout), (2, 1, 3, 3), groups=2)
        np.testing.assert_array_equal(np.isinf(dw[:, 0]), [[[False, True, True]] * 3] * 2)
        assert np.all(dw[..., 0] == 21)


@pytest.mark.parametrize("layout", ["planes", "pixels"])
@pytest.mark.parametrize("size", [7, 13])
def test_kernels_of_one_pixel_take_prepared_filters_and_any_number_of_threads(layout, size):
    x, w, bias = draw(np.random.default_rng(7), np.float32, (2, 150, size, size), (290, 150, 1, 1), 290)
    x = lay(x, layout)
    want = np.maximum(reference.conv2d(x, w, bias), 0)
    for weight in (w, kernels.prepare_conv2d(w)):
        with threads(1):
            alone = kernels.conv2d(x, weight, bias, activation="relu")
        np.testing.assert_allclose(alone, want, rtol=0, atol=reference.tolerance(np.float32, 150, want))
        for n in (2, 3, 8, 17):
            with threads(n):
                assert kernels.conv2d(x, weight, bias, activation="relu").tobytes() == alone.tobytes()


def test_nan_and_infinity_stay_in_their_windows():
    x = np.zeros((1, 1, 6, 6), np.float32)
    x[0, 0, 0, 0], x[0, 0, 5, 5] = np.nan, np.inf
    y = kernels.conv2d(x, np.ones((1, 1, 2, 2), np.float32))
    assert np.isnan(y[0, 0, 0, 0]) and y[0, 0, 4, 4] == np.inf
    assert np.count_nonzero(y) == 2


X, W = np.zeros((1, 3, 8, 8), np.float32), np.zeros((16, 3, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("error", "message", "args", "options"),
    [
        (
            ValueError,
            r"input has 3 channels \(shape \(1, 3, 8, 8\)\) but weight expects 8 \(shape \(16, 4, 3, 3\), groups=2\)",
            (X, np.zeros((16, 4, 3, 3), np.float32)),
            {"groups": 2},
        ),
        (ValueError, r"conv2d: 16 filters .* do not divide into groups=3", (X, W[:, :1]), {"groups": 3}),
        (ValueError, r"conv2d: groups must be at least 1, got 0", (X, W), {"groups": 0}),
        (ValueError, r"conv2d: stride must be at least 1, got 0", (X, W), {"stride": 0}),
        (ValueError, r"conv2d: dilation must be at least 1, got -2", (X, W), {"dilation": (1, -2)}),
        (ValueError, r"conv2d: padding must be at least 0, got -1", (X, W), {"padding": -1}),
        (ValueError, r"conv2d: padding='same' needs stride 1", (X, W), {"padding": "same", "stride": 2}),
        (ValueError, r"conv2d: padding must be 'same', 'valid'", (X, W), {"padding": "full"}),
        (TypeError, r"conv2d: stride must be an integer", (X, W), {"stride": 1.5}),
        (ValueError, r"conv2d: stride must be an integer or a pair", (X, W), {"stride": (1, 2, 3)}),
        (ValueError, r"conv2d: kernel \(3, 3\) .*is larger than the padded input \(8, 2\)", (X[..., :2], W), {}),
        (ValueError, r"conv2d: kernel \(3, 3\) with dilation \(4, 4\)", (X, W), {"dilation": 4}),
        (ValueError, r"conv2d: weight must have filters .*\(16, 3, 0, 3\)", (X, W[:, :, :0]), {}),
        (ValueError, r"conv2d: weight must have 4 dimensions", (X, W[0]), {}),
        (ValueError, r"conv2d: input must have 3 or 4 dimensions, got shape \(8, 8\)", (X[0, 0], W), {}),
        (TypeError, r"conv2d: input must be float32 or float64, got complex128", (X.astype(complex), W), {}),
        (TypeError, r"conv2d: weight must be float32 or float64, got object", (X, W.astype(object)), {}),
        (ValueError, r"conv2d: bias must have shape \(16,\)", (X, W, np.zeros(3, np.float32)), {}),
        (ValueError, r"conv2d: activation must be one of", (X, W), {"activation": "swish"}),
        (ValueError, r"conv2d: algorithm must be one of", (X, W), {"algorithm": "fft"}),
        (
            ValueError,
            r"conv2d: algorithm 'depthwise' needs one channel per group, not 3",
            (X, W),
            {"algorithm": "depthwise"},
        ),
        (ValueError, r"conv2d: out must have shape", (X, W), {"out": np.zeros((1, 16, 8, 8), np.float32)}),
        (ValueError, r"conv2d: padding must be below 2\*\*31", (X, W), {"padding": 2**40}),
        (ValueError, r"conv2d: an output of shape .* does not fit into memory", (X, W), {"padding": 2**30}),
    ],
    ids=lambda v: v[:40] if isinstance(v, str) else None,
)
def test_bad_input_is_named(error, message, args, options):
    with pytest.raises(error, match=message):
        kernels.conv2d(*args, **options)


def test_bad_gradients_are_named():
    with pytest.raises(ValueError, match=r"conv2d_backward_input: dy has shape .* output has \(1, 16, 6, 6\)"):
        kernels.conv2d_backward_input(np.zeros((1, 16, 8, 8), np.float32), W, X.shape)
    with pytest.raises(ValueError, match=r"conv2d_backward_weight: dy has shape"):
        kernels.conv2d_backward_weight(np.zeros((2, 16, 6, 6), np.float32), X, W.shape)
    with pytest.raises(ValueError, match=r"conv2d_backward_weight: weight_shape must"):
        kernels.conv2d_backward_weight(np.zeros((1, 16, 6, 6), np.float32), X, (16, 3, 3))
    with pytest.raises(TypeError, match=r"conv2d_backward_bias: dy must be float32"):
        kernels.conv2d_backward_bias(np.zeros((1, 2, 3, 3), complex))


def test_out_must_not_overlap_the_input():
    x = np.zeros((1, 3, 8, 8), np.float32)
    with pytest.raises(ValueError, match="conv2d: out overlaps an input"):
        kernels.conv2d(x, np.zeros((3, 3, 1, 1), np.float32), out=x)
