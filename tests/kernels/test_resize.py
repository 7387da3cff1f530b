"""Resampling and its gradient against float64 NumPy, and what bad input gets."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from tests.reference import resize as reference

# input shape, size, mode, align_corners
CASES = [
    ((2, 3, 7), (11,), "linear", False),
    ((2, 3, 7), (7,), "nearest", False),
    ((2, 3, 5, 7), (10, 14), "nearest", False),
    ((2, 3, 5, 7), (3, 11), "nearest-exact", False),
    ((2, 3, 5, 7), (8, 3), "bilinear", False),
    ((2, 17, 5, 7), (9, 13), "bilinear", True),
    ((2, 3, 5, 1), (1, 3), "bilinear", True),
    ((2, 17, 1, 1), (3, 5), "bicubic", False),
    ((2, 3, 5, 7), (12, 4), "bicubic", False),
    ((2, 3, 5, 2), (9, 4), "bicubic", True),
    ((2, 3, 5, 7), (3, 9), "area", False),
    ((1, 2, 3, 4, 5), (5, 2, 8), "trilinear", False),
    ((0, 3, 5, 7), (3, 9), "bilinear", False),
]
DTYPES = [np.float32, np.float64]


def by_pixels(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_interpolation_and_its_gradient_match_the_reference(case, dtype):
    shape, size, mode, align = case
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, shape).astype(dtype)
    matrices = [reference.matrix(n, count, mode, align) for n, count in zip(shape[2:], size, strict=True)]
    expected = reference.interpolate(x, matrices)
    dy = rng.uniform(-1, 1, expected.shape).astype(dtype)
    dx = reference.interpolate(dy, [m.T for m in matrices])
    atol = reference.tolerance(dtype)
    for image, grad in ((x, dy), (by_pixels(x), by_pixels(dy)), (np.repeat(x, 2, -1)[..., ::2], dy)):
        y = kernels.interpolate(image, size, mode=mode, align_corners=align)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=0, atol=atol)
        got = kernels.interpolate_backward(grad, shape, size, mode=mode, align_corners=align)
        np.testing.assert_allclose(got, dx, rtol=0, atol=5 * atol)
    if x[:1, :1].size > 1:  # a single pixel lies both ways
        assert kernels.interpolate(by_pixels(x), size, mode=mode).transpose(0, *range(2, x.ndim), 1).flags.c_contiguous


def test_a_scale_factor_gives_size_and_positions():
    x = np.arange(7.0).reshape(1, 1, 7)
    for mode in ("nearest", "linear"):
        expected = reference.interpolate(x, [reference.matrix(7, 9, mode, False, 1.4)])
        np.testing.assert_allclose(kernels.interpolate(x, scale_factor=1.4, mode=mode), expected, rtol=1e-14)
        y = kernels.interpolate(x, scale_factor=1.4, mode=mode, recompute_scale_factor=True)
        np.testing.assert_allclose(y, kernels.interpolate(x, 9, mode=mode), rtol=1e-14)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear", "area"])
def test_long_rows(mode):
    """Tables of a result this long come from pooled memory."""
    x = np.random.default_rng(1).uniform(-1, 1, (1, 2, 37))
    for count in (8192, 8203, 40000):
        matrix = reference.matrix(37, count, mode, False)
        dy = np.random.default_rng(2).uniform(-1, 1, (1, 2, count))
        for dtype in DTYPES:
            y = kernels.interpolate(x.astype(dtype), count, mode=mode)
            expected = reference.interpolate(x.astype(dtype), [matrix])
            np.testing.assert_allclose(y, expected, rtol=0, atol=reference.tolerance(dtype))
            dx = kernels.interpolate_backward(dy.astype(dtype), x.shape, count, mode=mode)
            expected = reference.interpolate(dy.astype(dtype), [matrix.T])
            np.testing.assert_allclose(dx, expected, rtol=0, atol=count * reference.tolerance(dtype))
    x = np.random.default_rng(1).uniform(-1, 1, (2, 3, 9000))
    matrix = reference.matrix(9000, 11, mode, False)
    for lay in (np.ascontiguousarray, by_pixels):
        y = kernels.interpolate(lay(x), 11, mode=mode)
        np.testing.assert_allclose(y, reference.interpolate(x, [matrix]), rtol=0, atol=1e-13)
        dx = kernels.interpolate_backward(lay(y), x.shape, 11, mode=mode)
        np.testing.assert_allclose(dx, reference.interpolate(y, [matrix.T]), rtol=0, atol=1e-13)


def test_long_rows_of_images():
    ones = np.ones((1, 1, 2048), np.float32)
    np.testing.assert_array_equal(kernels.interpolate(ones, 8192), np.ones((1, 1, 8192)))
    x = np.random.default_rng(1).uniform(-1, 1, (1, 2, 3, 19))
    for mode in ("bilinear", "bicubic", "nearest", "area"):
        matrices = [reference.matrix(n, count, mode, False) for n, count in ((3, 2), (19, 9001))]
        for lay in (np.ascontiguousarray, by_pixels):
            y = kernels.interpolate(lay(x), (2, 9001), mode=mode)
            np.testing.assert_allclose(y, reference.interpolate(x, matrices), rtol=0, atol=1e-13)
            dx = kernels.interpolate_backward(lay(y), x.shape, (2, 9001), mode=mode)
            expected = reference.interpolate(y, [m.T for m in matrices])
            np.testing.assert_allclose(dx, expected, rtol=0, atol=1e-10)


def test_an_axis_that_keeps_its_length_or_doubles_it():
    """As PyTorch: in images "nearest" then goes by the sizes whatever the scale factor, and linear modes if kept."""
    x = np.arange(24.0).reshape(1, 1, 4, 6)
    for mode in ("nearest", "nearest-exact", "bilinear", "area"):
        np.testing.assert_array_equal(kernels.interpolate(x, scale_factor=1.05, mode=mode), x)
        np.testing.assert_array_equal(kernels.interpolate_backward(x, x.shape, scale_factor=1.05, mode=mode), x)
    y = kernels.interpolate(x, scale_factor=1.05, mode="bicubic")
    expected = [-0.11911848, 0.79449101, 1.73889834, 2.68493548, 3.63550777, 4.69697859]
    np.testing.assert_allclose(y[0, 0, 0], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(kernels.interpolate(x, scale_factor=2.05), x.repeat(2, 2).repeat(2, 3))
    np.testing.assert_array_equal(kernels.interpolate(x, scale_factor=(1.05, 2.05)), x.repeat(2, 3))
    columns = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5]
    np.testing.assert_array_equal(kernels.interpolate(x, scale_factor=(1.05, 2.3)), x[..., columns])
    row = x.reshape(1, 1, 24)[..., :13]
    for function in (lambda x: x, lambda x: x[..., None, None]):  # signals and volumes
        y = kernels.interpolate(function(row), scale_factor=(1.05, *[1.0] * (function(row).ndim - 3)))
        np.testing.assert_array_equal(y.ravel(), [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    y = kernels.interpolate(row, scale_factor=1.05, mode="nearest-exact")
    np.testing.assert_array_equal(y.ravel(), [np.floor((i + 0.5) / 1.05) for i in range(13)])
    assert y.ravel()[-1] == 11, "12.5 / 1.05 lies in the last pixel but one"


def test_infinity_stays_where_it_is():
    x = np.array([[[1.0, np.inf, 2.0, 3.0]]])
    np.testing.assert_array_equal(kernels.interpolate(x, 4, mode="linear"), x)
    np.testing.assert_array_equal(kernels.interpolate(x, 7, mode="linear", align_corners=True)[0, 0, 4:], [2, 2.5, 3])


@pytest.mark.parametrize("lay", [np.ascontiguousarray, by_pixels, lambda x: np.repeat(x, 2, -1)[..., ::2]])
@pytest.mark.parametrize(("r", "dtype"), [(1, np.float64), (2, np.float32), (3, np.float64)])
def test_pixels_change_places(r, dtype, lay):
    x = lay(np.random.default_rng(1).standard_normal((2, 3 * r * r, 5, 19)).astype(dtype))
    y = kernels.pixel_shuffle(x, r)
    np.testing.assert_array_equal(y, np.stack([reference.pixel_shuffle(image, r) for image in x]))
    np.testing.assert_array_equal(kernels.pixel_unshuffle(lay(y), r), x)
    np.testing.assert_array_equal(kernels.pixel_shuffle(x[0], r), y[0])
    if lay is by_pixels and r > 1:
        for made in (y, kernels.pixel_unshuffle(lay(y), r)):
            assert made.transpose(0, 2, 3, 1).flags.c_contiguous
    assert kernels.pixel_unshuffle(y[:0], r).shape == (0, *x.shape[1:])


@pytest.mark.parametrize("lay", [np.ascontiguousarray, by_pixels])
@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6, 12])
def test_channels_take_turns(groups, lay):
    x = lay(np.random.default_rng(1).standard_normal((2, 12, 3, 5)).astype(np.float32))
    y = kernels.channel_shuffle(x, groups)
    np.testing.assert_array_equal(y, x[:, np.arange(12).reshape(groups, -1).T.ravel()])
    np.testing.assert_array_equal(kernels.channel_shuffle(lay(y), 12 // groups), x)


X = np.zeros((1, 3, 4, 5), np.float32)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"interpolate: mode must be one of nearest, .*, got 'cubic'", lambda: kernels.interpolate(X, 3, mode="cubic")),
        ("interpolate: mode 'trilinear' does not fit an input", lambda: kernels.interpolate(X, 3, mode="trilinear")),
        ("interpolate: give one of size and scale_factor, got None and None", lambda: kernels.interpolate(X)),
        ("interpolate: give one of size and scale_factor, got 2 and 2", lambda: kernels.interpolate(X, 2, 2)),
        ("interpolate: size must be at least 1, got 0", lambda: kernels.interpolate(X, 0)),
        ("interpolate: size must be at least 1, got 0", lambda: kernels.interpolate(X, scale_factor=0.2)),
        ("interpolate: size or scale_factor must be a number or 2 of them", lambda: kernels.interpolate(X, (1, 2, 3))),
        ("interpolate: images must not be empty", lambda: kernels.interpolate(X[..., :0], 3)),
        (r"interpolate: input must be \(B, C, L\)", lambda: kernels.interpolate(X[0, 0], 3)),
        ("interpolate_backward: dy has shape", lambda: kernels.interpolate_backward(X, X.shape, 3)),
        (r"pixel_shuffle: 3 channels .* are no multiple of 2\*\*2", lambda: kernels.pixel_shuffle(X, 2)),
        ("pixel_shuffle: input must have at least 3 dimensions", lambda: kernels.pixel_shuffle(X[0, 0], 2)),
        ("pixel_unshuffle: height and width .* are no multiples of 2", lambda: kernels.pixel_unshuffle(X, 2)),
        ("channel_shuffle: input of shape .* does not divide into groups=2", lambda: kernels.channel_shuffle(X, 2)),
    ],
)
def test_bad_input_is_named(message, call):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "scale_factor must be positive and finite, got nan", {"scale_factor": float("nan")}),
        (ValueError, "scale_factor must be positive and finite, got inf", {"scale_factor": (1.0, float("inf"))}),
        (ValueError, "scale_factor must be positive and finite, got -1.5", {"scale_factor": -1.5}),
        (ValueError, "scale_factor must be positive and finite, got 1000", {"scale_factor": 10**400}),
        (ValueError, "size must be below 2", {"scale_factor": 1e300}),
        (ValueError, "size must be below 2", {"size": 10**400}),
        (ValueError, "an output of size .* does not fit into memory", {"size": 2**31 - 1}),
        (ValueError, "an output of size .* does not fit into memory", {"scale_factor": 2.0**28}),
        (TypeError, "scale_factor must be a number or one per axis, got '2'", {"scale_factor": "2"}),
        (TypeError, "scale_factor must be a number or one per axis, got True", {"scale_factor": True}),
        (TypeError, "scale_factor must be a number or one per axis, got None", {"scale_factor": (2.0, None)}),
        (ValueError, "align_corners is for linear and bicubic modes, got", {"size": 2, "align_corners": True}),
        (ValueError, "recompute_scale_factor is for a scale_factor", {"size": 2, "recompute_scale_factor": True}),
    ],
)
def test_bad_options_are_named(error, message, options):
    with pytest.raises(error, match=f"interpolate: {message}"):
        kernels.interpolate(X, **options)
    with pytest.raises(error, match=f"interpolate_backward: {message}"):
        kernels.interpolate_backward(X, X.shape, **options)


def test_sizes_are_refused_after_equal_ones_were_accepted():
    """1 == 1.0 == True, also as keys of the plans."""
    for first, second in ((2, 2.0), ((4, 1), (4.0, 1.0)), ((4, 1), (4, True)), (1, True)):
        expected = kernels.interpolate(X, first)
        with pytest.raises(TypeError, match="interpolate: size must be an integer"):
            kernels.interpolate(X, second)
        kernels.interpolate_backward(expected, X.shape, first)
        with pytest.raises(TypeError, match="interpolate_backward: size must be an integer"):
            kernels.interpolate_backward(expected, X.shape, second)
        with pytest.raises(TypeError, match="interpolate_backward: input_shape must be an integer"):
            kernels.interpolate_backward(expected, (2.0, *X.shape[1:]), first)
    np.testing.assert_array_equal(kernels.interpolate(X, np.array([4, 1])), kernels.interpolate(X, [4, 1]))
    np.testing.assert_array_equal(kernels.interpolate(X, (np.int32(4), 1)), kernels.interpolate(X, (4, 1)))
    with pytest.raises(TypeError, match="interpolate_backward: input_shape must be a tuple of integers, got 3"):
        kernels.interpolate_backward(X, 3, 2)
