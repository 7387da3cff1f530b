"""Convolutions of signals and volumes, transposed ones, and windows, against float64 NumPy; and what bad input gets."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.conv import choose
from fastnn_kernels.cpu.conv import im2col as conv_im2col
from fastnn_kernels.ground import plans
from fastnn_kernels.ground.threads import threads
from tests.reference import conv_nd as reference
from tests.reference.conv import tolerance

# input shape, OC, kernel, stride, padding, dilation, groups
CONVOLUTIONS = [
    ((2, 3, 41), 5, (3,), 1, 1, 1, 1),
    ((1, 4, 37), 6, (5,), 3, 2, 2, 2),
    ((2, 3, 23), 4, (4,), 1, "same", 3, 1),
    ((2, 4, 40), 6, (3,), 1, 8, 4, 2),  # dilated signals whose lengths divide are images
    ((1, 3, 36), 5, (2,), 1, 0, 12, 1),
    ((3, 1, 50), 33, (9,), (2,), "valid", 1, 1),
    ((1, 2, 3), 3, (7,), 1, 5, 1, 1),  # a kernel longer than the signal
    ((0, 3, 11), 4, (3,), 1, 0, 1, 1),
    ((1, 3, 7, 6, 5), 4, (3, 3, 3), 1, 1, 1, 1),
    ((3, 2, 4, 5, 7), 3, (2, 3, 1), (2, 1, 3), (1, 0, 2), 1, 1),
    ((2, 4, 5, 5, 4), 6, (2, 2, 3), 1, "same", (2, 1, 1), 2),
    ((2, 6, 5, 3, 4), 6, (3, 2, 2), (2, 2, 1), 4, 1, 6),  # padding larger than the kernel
    ((2, 3, 5, 4, 3), 4, (1, 1, 1), 1, 0, 1, 1),
    ((2, 0, 5, 4, 3), 4, (2, 2, 2), 1, 0, 1, 1),
]
# input shape, OC, kernel, stride, padding, output_padding, groups, dilation
TRANSPOSED = [
    ((2, 3, 11), 5, (4,), 2, 1, 0, 1, 1),
    ((1, 4, 7), 6, (3,), 5, 0, 3, 2, 2),  # strides longer than the kernel leave gaps
    ((2, 4, 12), 6, (3,), 1, 6, 0, 2, 6),
    ((1, 2, 7, 11), 1, (3, 2), 3, (1, 2), (2, 0), 1, (1, 2)),  # pixels that nothing reaches
    ((2, 5, 4, 6), 3, (4, 4), 2, 1, 0, 1, 1),
    ((2, 4, 3, 5), 6, (2, 3), (1, 3), (0, 2), (0, 1), 2, (3, 1)),
    ((1, 3, 2, 2), 4, (3, 3), 1, 1, 1, 1, (2, 2)),  # output_padding up to the dilation
    ((0, 3, 4, 4), 4, (3, 3), 2, 1, 1, 1, 1),
    ((2, 3, 2, 3, 4), 4, (4, 2, 3), (2, 1, 2), (1, 0, 1), 0, 1, 1),
    ((1, 4, 3, 2, 2), 4, (2, 3, 2), 3, 1, (2, 0, 1), 2, (2, 1, 1)),
]
LAYOUTS = ("plain", "last", "strided")


def lay(x, layout):
    if layout == "last":
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    elif layout == "strided":
        x = np.repeat(x, 2, -1)[..., ::2]
    return x


def compare(operation, x, w, bias, arguments, expected, gradient, taps):
    """Compare an operation and its gradients with those of the reference, in all layouts."""
    forward, backward = getattr(kernels, operation), getattr(kernels, f"{operation}_backward")
    dtype = x.dtype
    y = expected(x, w, bias, *arguments)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(dtype)
    dx, dw, dbias = gradient(dy, x, w, *arguments)
    places = y[:, 0].size + x[:, :1].size
    for layout in LAYOUTS:
        inputs, grad = lay(x, layout), lay(dy, layout)
        results = backward(grad, inputs, w, None, None, *arguments)
        made = forward(inputs, w, bias, *arguments), *results
        for got, want, reduction in zip(made, (y, dx, dw, dbias), (taps, taps, places, places), strict=True):
            assert got.dtype == dtype and got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance(dtype, reduction, want))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions_and_their_gradients_match_the_reference(case, dtype):
    shape, oc, kernel, *window, groups = case
    rng = np.random.default_rng(1)
    x, w, bias = (rng.standard_normal(s).astype(dtype) for s in (shape, (oc, shape[1] // groups, *kernel), oc))
    operation = f"conv{len(kernel)}d"
    arguments = (*window, groups)
    compare(operation, x, w, bias, arguments, reference.convolve, reference.convolve_backward, w[0].size * oc)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", TRANSPOSED, ids=str)
def test_transposed_convolutions_and_their_gradients_match_the_reference(case, dtype):
    shape, oc, kernel, stride, padding, more, groups, dilation = case
    rng = np.random.default_rng(1)
    x, w, bias = (rng.standard_normal(s).astype(dtype) for s in (shape, (shape[1], oc // groups, *kernel), oc))
    operation = f"conv_transpose{len(kernel)}d"
    arguments = stride, padding, more, groups, dilation
    expected, gradient = reference.convolve_transpose, reference.convolve_transpose_backward
    compare(operation, x, w, bias, arguments, expected, gradient, w.size)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_the_reference_back_end_computes_convolutions(case):
    with kernels.use("reference"):
        test_convolutions_and_their_gradients_match_the_reference(case, np.float32)


@pytest.mark.parametrize("case", TRANSPOSED, ids=str)
def test_the_reference_back_end_computes_transposed_convolutions(case):
    with kernels.use("reference"):
        test_transposed_convolutions_and_their_gradients_match_the_reference(case, np.float64)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "leaky_relu", "gelu"])
@pytest.mark.parametrize("operation", ["conv1d", "conv2d", "conv_transpose3d"])
def test_back_ends_agree_about_activations_and_prepared_filters(operation, activation):
    n, rng = int(operation[-2]), np.random.default_rng(13)
    x, w, bias = (rng.standard_normal(s) for s in ((2, 4, *(5,) * n), (4, 2, *(2,) * n), 4))
    w[0, 0], x[0, 0, 0] = 0, np.nan
    convolve, backward = getattr(kernels, operation), getattr(kernels, f"{operation}_backward")
    prepared = getattr(kernels, f"prepare_{operation}")(w)

    def results():
        y = convolve(x[1], prepared, bias, 2, 1, groups=2, activation=activation)
        out = np.full(y.shape[::-1], np.nan).T
        assert convolve(x[1], w, bias, 2, 1, groups=2, activation=activation, out=out) is out
        each = [y, out, convolve(x, w, bias, 2, 1, groups=2, activation=activation)]
        if activation != "gelu":
            each += backward(y, x[1], w, y, activation, 2, 1, groups=2, needs=(True, True, False))[:2]
        return each

    with kernels.use("reference"):
        expected = results()
    for given, right in zip(results(), expected, strict=True):
        np.testing.assert_allclose(given, right, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("operation", ["conv1d", "conv3d", "conv_transpose2d"])
def test_activations_and_single_samples(operation, activation):
    n = int(operation[-2])
    rng = np.random.default_rng(3)
    x, w, bias = (rng.standard_normal(s) for s in ((2, 3, *(5,) * n), (3, 3, *(2,) * n), 3))
    convolve = getattr(kernels, operation)
    y = convolve(x, w, bias, 2, 1, activation=activation)
    np.testing.assert_allclose(y, getattr(kernels, activation)(convolve(x, w, bias, 2, 1)), atol=1e-14)
    np.testing.assert_array_equal(convolve(x[0], w, bias, 2, 1, activation=activation), y[0])
    out = np.full(y.shape, np.nan)
    assert convolve(x, w, bias, 2, 1, activation=activation, out=out) is out
    np.testing.assert_array_equal(out, y)
    if activation != "gelu":
        backward = getattr(kernels, f"{operation}_backward")
        dx, dw, dbias = backward(y[0], x[0], w, y[0], activation, 2, 1)
        assert dx.shape == x.shape[1:] and dw.shape == w.shape and dbias.shape == bias.shape
        assert backward(y, x, w, y, activation, 2, 1, needs=(False, True, False))[::2] == (None, None)


@pytest.mark.parametrize("shape", [(3, 6, 21), (3, 6, 9, 7), (2, 6, 4, 5, 3)], ids=str)
def test_prepared_filters_give_the_same_and_do_not_follow_the_weight(shape):
    n = len(shape) - 2
    rng = np.random.default_rng(8)
    x, w, bias = (rng.standard_normal(s).astype(np.float32) for s in (shape, (6, 3, *(3,) * n), 6))
    for operation in (f"conv{n}d", f"conv_transpose{n}d"):
        convolve, prepare = getattr(kernels, operation), getattr(kernels, f"prepare_{operation}")
        options = {"groups": 2, "stride": 2, "padding": 1}
        prepared, early = prepare(w), prepare(w, shape, **options)
        assert str(w.shape) in repr(prepared)
        expected = convolve(x, w, bias, **options)
        weight, w[...] = w.copy(), 0
        for packed in (prepared, prepared, early):
            np.testing.assert_allclose(convolve(x, packed, bias, **options), expected, atol=1e-4)
        w[...] = weight
        few = x if operation[4] == "_" else x[:, :3]  # with groups=1
        np.testing.assert_allclose(convolve(few, prepared), convolve(few, w), atol=1e-4)
        with pytest.raises(TypeError, match=f"{operation}: the prepared weight is float32 but input is float64"):
            convolve(x.astype(float), prepared, groups=2)


def test_channels_last_stays_so():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((2, 3, 4, 5, 6)), rng.standard_normal((5, 3, 2, 2, 2))
    y = kernels.conv3d(lay(x, "last"), w)
    assert y.transpose(0, 2, 3, 4, 1).flags.c_contiguous and kernels.conv3d(x, w).flags.c_contiguous
    signal = lay(x[:, :, 0, 0], "last")
    assert kernels.conv1d(signal, w[:, :, 0, 0]).transpose(0, 2, 1).flags.c_contiguous
    assert kernels.conv_transpose1d(signal, w[:3, :, 0, 0]).transpose(0, 2, 1).flags.c_contiguous


def test_bits_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(5)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((3, 8, 7, 19, 18), (16, 8, 3, 3, 3)))
    signal = rng.standard_normal((1, 32, 3001)).astype(np.float32)
    filters = rng.standard_normal((32, 32, 9)).astype(np.float32)

    def everything():
        y, z = kernels.conv3d(x, w), kernels.conv1d(signal, filters)
        up = kernels.conv_transpose3d(y, w, stride=2)
        return (y, z, up, *kernels.conv3d_backward(y, x, w), *kernels.conv1d_backward(z, signal, filters))

    with threads(1):
        alone = everything()
    for n in (2, 17):
        with threads(n):
            for one, many in zip(alone, everything(), strict=True):
                assert one.tobytes() == many.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("size", "arguments"),
    [((6, 7), (3,)), ((5, 9), ((2, 3), (2, 1), (1, 0), (3, 2))), ((3, 2), (5, 1, 2)), ((4, 4), (2, 1, 0, 2))],
    ids=str,
)
def test_unfold_and_fold(size, arguments, dtype):
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    columns = kernels.unfold(lay(x, "last"), *arguments)
    np.testing.assert_array_equal(columns, reference.unfold(x, *arguments))
    np.testing.assert_array_equal(kernels.unfold(x[0], *arguments), columns[0])
    weights = rng.standard_normal(columns.shape)
    images = kernels.fold(weights, size, *arguments)
    np.testing.assert_allclose((images * x).sum(), (weights * columns).sum(), rtol=1e-5)  # each undoes the other
    np.testing.assert_array_equal(kernels.fold(weights[0], size, *arguments), images[0])
    out = np.full(columns.shape[::-1], np.nan, dtype).T
    assert kernels.unfold(x, *arguments, out=out) is out
    np.testing.assert_array_equal(out, columns)


@pytest.mark.parametrize("length", [9, 31, 64])
@pytest.mark.parametrize("taps", [7, 9])
def test_signals_folded_into_images(length, taps):
    rng = np.random.default_rng(9)
    x, w, bias = (rng.standard_normal(s).astype(np.float32) for s in ((2, 18, length), (33, 18, taps), 33))
    for layout in LAYOUTS:
        for padding in (0, 4, 11):
            images = lay(x, layout).reshape(2, 18, 1, length)
            y = kernels.conv2d(images, w[:, :, None], bias, 1, (0, padding), algorithm="folded", activation="relu")
            expected = np.maximum(reference.convolve(x, w, bias, 1, padding), 0)
            np.testing.assert_allclose(y[:, :, 0], expected, rtol=0, atol=2e-5 * expected.max())
    with pytest.raises(ValueError, match="algorithm 'folded' needs signals and kernels of 7 to 9"):
        kernels.conv2d(images, w[:, :, None, :3], algorithm="folded")
    with pytest.raises(ValueError, match="algorithm 'folded' is for float32 only"):
        kernels.conv2d(images.astype(float), w[:, :, None], algorithm="folded")


@pytest.mark.parametrize("batch, share", [(2, 0.5), (1, 1), (1, 0.25)])
def test_few_pixels_are_multiplied_with_filters_as_they_lie(batch, share, monkeypatch):
    monkeypatch.setattr(conv_im2col, "MANY_WEIGHTS", 1 << 17)
    shape = batch, 128, int(conv_im2col.ROWS * share)  # as many as its tiles are wide, on any CPU
    plans.forget()
    rng = np.random.default_rng(11)
    x, w, bias = (rng.standard_normal(s).astype(np.float32) for s in (shape, (512, 128, 5), 512))
    name, reason = choose((*shape[:2], 1, shape[2]), (512, 128, 1, 5), 1, (0, 2))
    assert (name, reason[:10]) == ("im2col", "few pixels")
    more = choose((1, 128, 1, conv_im2col.ROWS + 1), (512, 128, 1, 5), 1, (0, 2))
    assert not more[1].startswith("few pixels")
    y = kernels.conv1d(lay(x, "last"), w, bias, padding=2, activation="relu")
    expected = np.maximum(reference.convolve(x, w, bias, 1, 2), 0)
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance(np.float32, w[0].size, expected))
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = kernels.conv1d_backward(dy, x, w, y, "relu", 1, 2)[0]
    expected = reference.convolve_backward(dy * (y > 0), x, w, 1, 2)[0]
    np.testing.assert_allclose(dx, expected, rtol=0, atol=tolerance(np.float32, 5 * 512, expected))
    with pytest.raises(ValueError, match="algorithm 'im2col' is for groups=1"):
        kernels.conv2d(x[:, :, None], w[:, :64, None], groups=2, algorithm="im2col")
    plans.forget()


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_transposed_convolution_of_single_pixels(batch):
    rng = np.random.default_rng(12)
    x, w, bias = (rng.standard_normal(s).astype(np.float32) for s in ((batch, 70, 1, 1), (70, 6, 4, 4), 6))
    expected = np.maximum(np.einsum("bchw,cokl->bokl", x.astype(float), w) + bias[:, None, None], 0)
    for weight in (w, kernels.prepare_conv_transpose2d(w)):
        for out in (None, np.full((batch, 6, 4, 8), np.nan, np.float32)[..., ::2]):
            y = kernels.conv_transpose2d(x, weight, bias, 2, activation="relu", out=out)
            np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance(np.float32, 70, expected))


def test_long_filters_over_many_channels_are_folded():
    rng = np.random.default_rng(10)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((1, 64, 500), (64, 64, 9)))
    assert choose((1, 64, 1, 500), (64, 64, 1, 9), 1, (0, 4))[0] == "folded"
    y = kernels.conv1d(x, w, padding=4)
    expected = reference.convolve(x, w, None, 1, 4)
    assert np.abs(y - expected).max() <= 2e-5 * np.abs(expected).max()
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = kernels.conv1d_backward(dy, x, w, np.maximum(y, 0), "relu", 1, 4)[0]
    expected = reference.convolve_backward(dy * (y > 0), x, w, 1, 4)[0]
    assert np.abs(dx - expected).max() <= 2e-5 * np.abs(expected).max()


X, W = np.zeros((1, 3, 8), np.float32), np.zeros((16, 3, 3), np.float32)
Y, V = np.zeros((1, 3, 4, 4, 4), np.float32), np.zeros((8, 3, 2, 2, 2), np.float32)
Z, U = np.zeros((1, 3, 4, 4), np.float32), np.zeros((3, 8, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (
            ValueError,
            r"conv1d: input has 3 channels \(shape \(1, 3, 8\)\) but weight expects 4",
            (X, W[:, [0, 1, 2, 0]]),
        ),
        (ValueError, r"conv1d: weight must have 3 dimensions", (X, W[0])),
        (ValueError, r"conv1d: input must have 2 or 3 dimensions, got shape \(8,\)", (X[0, 0], W)),
        (ValueError, r"conv1d: kernel \(3,\) is larger than the padded input \(2,\)", (X[..., :2], W)),
        (ValueError, r"conv1d: 16 filters .* do not divide into groups=3", (X, W[:, :1], None, 1, 0, 1, 3)),
        (ValueError, r"conv1d: stride must be at least 1, got 0", (X, W, None, 0)),
        (ValueError, r"conv1d: stride must be an integer, got \(1, 2\)", (X, W, None, (1, 2))),
        (ValueError, r"conv1d: padding='same' needs stride 1", (X, W, None, 2, "same")),
        (ValueError, r"conv1d: bias must have shape \(16,\)", (X, W, np.zeros(3, np.float32))),
        (TypeError, r"conv1d: input must be float32 or float64, got complex128", (X.astype(complex), W)),
        (ValueError, r"conv3d: weight must have filters", (Y, V[:, :, :0])),
        (ValueError, r"conv3d: dilation must be an integer or 3 of them, got \(1, 2\)", (Y, V, None, 1, 0, (1, 2))),
        (ValueError, r"conv3d: kernel \(2, 2, 2\) with dilation \(4, 4, 4\) is larger", (Y, V, None, 1, 0, 4)),
        (ValueError, r"conv_transpose2d: input has 3 channels .* but weight expects 2", (Z, U[:2])),
        (ValueError, r"conv_transpose2d: bias must have shape \(8,\)", (Z, U, np.zeros(3, np.float32))),
        (ValueError, r"conv_transpose2d: output_padding must be smaller than stride or", (Z, U, None, 2, 0, 2)),
        (ValueError, r"conv_transpose2d: nothing would come out", (Z, U, None, 1, 5)),
        (
            TypeError,
            r"conv_transpose2d: padding must be an integer or a pair of them, got 'same'",
            (Z, U, None, 1, "same"),
        ),
        (ValueError, r"unfold: kernel \(5, 5\) is larger than the padded input \(4, 4\)", (Z, 5)),
        (ValueError, r"fold: input has shape \(1, 3, 8\), but images of size \(4, 4\) have 9 windows", (X, (4, 4), 2)),
        (ValueError, r"fold: output_size must be at least 1", (X, (0, 4), 2)),
    ],
    ids=lambda v: v[:40] if isinstance(v, str) else None,
)
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        getattr(kernels, message.partition(":")[0])(*call)


def test_bad_gradients_are_named():
    with pytest.raises(ValueError, match=r"conv1d_backward: dy has shape \(1, 16, 8\), .* output has \(1, 16, 6\)"):
        kernels.conv1d_backward(np.zeros((1, 16, 8), np.float32), X, W)
    dy = np.zeros((1, 8, 3, 3, 3), np.float32)
    with pytest.raises(ValueError, match=r"conv3d_backward: the gradient of activation 'gelu' cannot be had"):
        kernels.conv3d_backward(dy, Y, V, dy, "gelu")
    with pytest.raises(ValueError, match=r"conv3d_backward: the gradient of activation 'relu' needs the output"):
        kernels.conv3d_backward(dy, Y, V, None, "relu")
    with pytest.raises(ValueError, match=r"conv1d: activation must be one of"):
        kernels.conv1d(X, W, activation="swish")
    with pytest.raises(ValueError, match=r"conv1d: out overlaps an input"):
        kernels.conv1d(X, np.zeros((3, 3, 1), np.float32), out=X)
