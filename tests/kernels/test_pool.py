"""Pooling and its gradients against float64 NumPy, and what bad input gets."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.cpu.pool.window_tables import Windows
from fastnn_kernels.ground import plans
from fastnn_kernels.ground.threads import threads
from tests.reference import pool as reference

# input shape; kernel, stride, padding, dilation, ceil_mode
CASES = [
    ((2, 3, 8, 12), (2, None, 0, 1, False)),
    ((2, 3, 7, 67), (2, 2, 0, 1, True)),
    ((1, 2, 29, 37), (3, 2, 1, 1, False)),
    ((2, 3, 19, 40), (3, 1, 1, 1, False)),
    ((2, 3, 11, 13), ((3, 5), (7, 3), (1, 2), 1, True)),
    ((1, 1, 5, 5), (5, 1, 0, 1, False)),
    ((2, 3, 7, 5), (2, 1, 1, 2, True)),
    ((2, 5, 1, 1), (1, 1, 0, 1, False)),
    ((0, 3, 8, 8), (3, 2, 0, 1, False)),
    ((2, 0, 8, 8), (2, 2, 0, 1, False)),
    ((1, 2, 9, 1024), (5, 4, 2, 1, False)),  # the longest row whose columns are combined first
    ((1, 1, 5, 1025), (3, 4, 1, 1, False)),
    ((2, 3, 97), (5, 3, 2, 1, True)),
    ((2, 3, 40), (3, 4, 0, 2, False)),
    ((2, 17, 5, 6, 9), (3, 2, 1, 1, False)),
    ((1, 2, 4, 5, 7), ((2, 3, 1), 1, 0, (2, 1, 3), True)),
]
ADAPTIVE = [
    ((2, 3, 7, 37), 1),
    ((2, 3, 7, 37), (3, 5)),
    ((1, 17, 8, 12), (4, 12)),
    ((1, 2, 61, 60), 6),
    ((1, 2, 5, 6), (7, 3)),
    ((2, 3, 40), 17),
    ((2, 3, 4, 5, 6), (2, 5, 4)),
]
LAYOUTS = ("planes", "pixels", "strided")


def lay(x, layout):
    if layout == "pixels":
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    elif layout == "strided":
        x = np.repeat(x, 2, -1)[..., ::2]
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


def call(name, x, *arguments, **options):
    return getattr(kernels, f"{name}{x.ndim - 2}d")(x, *arguments, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "window"), CASES, ids=str)
def test_max_pool_and_its_gradient_match_the_reference(shape, window, layout, dtype):
    x, dims = lay(draw(shape, dtype), layout), len(shape) - 2
    expected, places = reference.max_pool(x, reference.sliding(shape[2:], *window))
    y, indices = call("max_pool", x, *window, return_indices=True)
    assert y.dtype == dtype and indices.dtype == np.int64
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_array_equal(call("max_pool", x, *window), expected)
    dy = lay(draw(y.shape, dtype, special=False), layout)
    expected_dx = reference.scatter(dy, places, shape)
    for other in LAYOUTS:  # dy may lie otherwise than x
        dx = kernels.max_pool_backward(dims, lay(np.array(dy), other), x, window, indices)
        np.testing.assert_array_equal(dx, expected_dx)
    np.testing.assert_array_equal(kernels.max_pool_backward(dims, dy, x, window), expected_dx)
    y = call("max_pool", x, *window, activation="relu")
    np.testing.assert_array_equal(y, np.where(expected < 0, 0, expected))
    positive = reference.scatter(np.where(expected <= 0, 0, dy), places, shape)
    y, first = call("max_pool", x, *window, activation="relu", return_indices=True)
    np.testing.assert_array_equal(y, np.where(expected < 0, 0, expected))
    np.testing.assert_array_equal(first, places)
    y, places = call("max_pool", x, *window, activation="relu", return_indices="compact")
    np.testing.assert_array_equal(y, np.where(expected < 0, 0, expected))
    assert places is None or places.dtype == np.int32
    np.testing.assert_array_equal(
        kernels.max_pool_backward(dims, dy, x, window, places, "relu", check_indices=False), positive
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize(("shape", "window"), [c for c in CASES if c[1][3] == 1], ids=str)
def test_avg_pool_and_its_gradient_match_the_reference(shape, window, count_include_pad, layout, dtype):
    kernel, stride, padding, _, ceil_mode = window
    x, dims = lay(draw(shape, dtype, special=False), layout), len(shape) - 2
    axes = reference.sliding(shape[2:], *window)
    expected = reference.avg_pool(x, axes, count_include_pad)
    y = call("avg_pool", x, kernel, stride, padding, ceil_mode, count_include_pad)
    assert y.dtype == dtype
    atol = 2 * reference.tolerance(dtype, 27)
    np.testing.assert_allclose(y, expected, rtol=0, atol=atol)
    dy = lay(draw(y.shape, dtype, special=False), layout)
    dx = kernels.avg_pool_backward(dims, dy, shape, (kernel, stride, padding, ceil_mode, count_include_pad, None))
    np.testing.assert_allclose(dx, reference.avg_pool_backward(dy, shape, axes, count_include_pad), rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "size"), ADAPTIVE, ids=str)
def test_adaptive_pooling_matches_the_reference(shape, size, layout, dtype):
    x, dims = lay(draw(shape, dtype, special=False), layout), len(shape) - 2
    axes = reference.adaptive(shape[2:], size)
    atol = reference.tolerance(dtype, 300)
    y, places = call("adaptive_max_pool", x, size, return_indices=True)
    for got, expected in zip((y, places), reference.max_pool(x, axes), strict=True):
        np.testing.assert_array_equal(got, expected)
    dy = draw(y.shape, dtype, special=False)
    dx = kernels.max_pool_backward(dims, dy, x, (size,), places)
    np.testing.assert_array_equal(dx, reference.scatter(dy, places, shape))
    np.testing.assert_allclose(call("adaptive_avg_pool", x, size), reference.avg_pool(x, axes), rtol=0, atol=atol)
    dx = kernels.avg_pool_backward(dims, lay(dy, layout), shape, (size,))
    np.testing.assert_allclose(dx, reference.avg_pool_backward(dy, shape, axes), rtol=0, atol=atol)


def test_sums_norms_and_divisors():
    x = np.abs(draw((2, 3, 7, 9), np.float64, special=False)) + 1
    axes = reference.sliding(x.shape[2:], 3, 2, 0, 1, True)
    np.testing.assert_array_equal(kernels.sum_pool2d(x, 3, 2, 0, True), reference.avg_pool(x, axes, divisor=1))
    y = kernels.avg_pool2d(x, 3, 2, 0, True, divisor_override=4)
    np.testing.assert_array_equal(y, reference.avg_pool(x, axes, divisor=4))
    np.testing.assert_array_equal(kernels.avg_pool2d(x, (3,), (2,), (0,), True, divisor_override=-4), -y)
    np.testing.assert_array_equal(kernels.max_pool2d(x, (3,), (2,), (1,), (1,)), kernels.max_pool2d(x, 3, 2, 1))
    with pytest.raises(ValueError, match="avg_pool2d: divisor_override must not be 0"):
        kernels.avg_pool2d(x, 3, divisor_override=0)
    for p in (1, 2, 3.5):
        np.testing.assert_allclose(kernels.lp_pool2d(x, p, 3, 2, True), reference.lp_pool(x, p, axes, 9), rtol=1e-13)
    assert np.isnan(kernels.lp_pool2d(-x, 3.5, 3, 2)).all()
    zero = np.zeros((1, 2, 2))
    assert not kernels.lp_pool_backward(2, np.ones((1, 1, 1)), zero, kernels.lp_pool2d(zero, 2, 2), 2, 2).any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unpooling_puts_maxima_back(layout):
    x = lay(np.random.default_rng(1).standard_normal((2, 3, 7, 9)), layout)
    y, places = kernels.max_pool2d(x, 2, return_indices=True)
    back = kernels.max_unpool2d(y, places, 2, output_size=x.shape)
    np.testing.assert_array_equal(back, reference.scatter(y, places, x.shape))
    small, where = kernels.max_pool2d(x[0, :, :6, :8], 2, return_indices=True)
    assert kernels.max_unpool2d(small, where, 2).shape == (3, 6, 8)
    np.testing.assert_array_equal(kernels.max_unpool_backward(2, back, places), y)
    with pytest.raises(ValueError, match="max_unpool2d: indices must be from 0 to 47 for output size"):
        kernels.max_unpool2d(y, places, 2)
    with pytest.raises(ValueError, match=r"max_unpool2d: output_size must be \(6, 8\) or less than a stride from it"):
        kernels.max_unpool2d(y, places, 2, output_size=(9, 9))
    with pytest.raises(ValueError, match="max_unpool2d: indices have shape"):
        kernels.max_unpool2d(y, places[..., 1:], 2, output_size=x.shape)


def test_ceil_mode_lets_the_last_window_hang_over():
    x = np.arange(25, dtype=np.float64).reshape(1, 5, 5)
    np.testing.assert_array_equal(kernels.max_pool2d(x, 2, ceil_mode=True), [[[6, 8, 9], [16, 18, 19], [21, 23, 24]]])
    y = kernels.avg_pool2d(x, 2, ceil_mode=True)
    np.testing.assert_array_equal(y, [[[3, 5, 6.5], [13, 15, 16.5], [20.5, 22.5, 24]]])
    # a window may not start in the padding on the right
    assert kernels.max_pool2d(x, 3, 3, 1, ceil_mode=True).shape == (1, 2, 2)


def test_a_window_that_sees_padding_only_is_minus_infinity():
    y, places = kernels.max_pool1d(np.ones((1, 1, 1)), 2, 1, 1, 2, return_indices=True)
    assert y == -np.inf and places == -1
    assert not kernels.max_pool_backward(1, y, np.ones((1, 1, 1)), (2, 1, 1, 2, False), places).any()


def test_out_and_layouts():
    x = draw((2, 3, 8, 8), np.float32)
    for window, shape in ((2, (2, 3, 4, 4)), (3, (2, 3, 2, 2))):
        out = np.full(shape, np.nan, np.float32)
        assert kernels.max_pool2d(x, window, out=out) is out
        np.testing.assert_array_equal(out, kernels.max_pool2d(x, window))
        turned = np.full(shape[::-1], np.nan, np.float32).T
        assert kernels.avg_pool2d(x, window, out=turned) is turned
        np.testing.assert_array_equal(turned, kernels.avg_pool2d(x, window))
    for function in (kernels.max_pool2d, kernels.avg_pool2d):
        assert function(lay(x, "pixels"), 2).transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("activation", [None, "relu"])
def test_values_and_indices_into_any_array(layout, activation):
    x = lay(draw((2, 3, 9, 8), np.float32), layout)
    y, indices = kernels.max_pool2d(x, 3, 2, 1, return_indices=True, activation=activation)
    unaligned = np.frombuffer(bytearray(y.nbytes + 1), np.uint8)[1:].view(np.float32).reshape(y.shape)
    for out in (np.full(y.shape, np.nan, np.float32), np.full(y.shape[::-1], np.nan, np.float32).T, unaligned):
        given, found = kernels.max_pool2d(x, 3, 2, 1, return_indices=True, activation=activation, out=out)
        assert given is out
        np.testing.assert_array_equal(out, y)
        np.testing.assert_array_equal(found, indices)
    values, compact = kernels.max_pool2d(x, 2, return_indices="compact")
    assert compact is None
    np.testing.assert_array_equal(values, kernels.max_pool2d(x, 2))


def test_indices_outside_the_image_get_no_gradient_unchecked():
    x, dy = np.zeros((1, 2, 3, 3), np.float32), np.ones((1, 2, 3, 3), np.float32)
    indices = np.full(dy.shape, 99, np.int32)
    for layout in LAYOUTS:
        dx = kernels.max_pool_backward(2, dy, lay(x.copy(), layout), (1, 1, 0, 1, False), indices, check_indices=False)
        assert not dx.any()


@pytest.mark.parametrize("layout", ["planes", "pixels"])
def test_bits_do_not_depend_on_the_number_of_threads(layout):
    rng = np.random.default_rng(2)
    x = lay(rng.standard_normal((7, 13, 29, 29)).astype(np.float32), layout)
    dy = lay(rng.standard_normal((7, 13, 15, 15)).astype(np.float32), layout)

    def everything():
        y, indices = kernels.max_pool2d(x, 3, 2, 1, return_indices=True)
        dx = kernels.max_pool_backward(2, dy, x, (3, 2, 1, 1, False), indices)
        mean = kernels.avg_pool2d(x, 3, 2, 1)
        return y, indices, dx, mean, kernels.avg_pool_backward(2, dy, x.shape, (3, 2, 1, False, True, None))

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
        (TypeError, "input must be float32 or float64, got complex128", X.astype(complex), (2,)),
        (ValueError, r"input must have 3 or 4 dimensions, got shape \(8, 8\)", X[0, 0], (2,)),
        (ValueError, r"images must not be empty, got size \(0, 8\)", X[:, :, :0], (2,)),
        (ValueError, r"kernel_size must be below 2\*\*31", X, (2**40,)),
    ],
)
def test_bad_input_is_named(name, error, message, x, window):
    with pytest.raises(error, match=f"{name}: {message}"):
        getattr(kernels, name)(x, *window)


def test_bad_sizes_and_gradients_are_named():
    dy, indices, window = np.zeros((1, 3, 4, 4), np.float32), np.zeros((1, 3, 4, 4), np.int64), (2, 2, 0, 1, False)
    with pytest.raises(ValueError, match="max_pool2d_backward: indices have shape"):
        kernels.max_pool_backward(2, dy, X, window, indices[..., 1:])
    with pytest.raises(TypeError, match="max_pool2d_backward: indices must be integers"):
        kernels.max_pool_backward(2, dy, X, window, dy)
    with pytest.raises(ValueError, match="max_pool2d_backward: dy has shape .* an input .* gives"):
        kernels.max_pool_backward(2, dy, X[:, 1:], window, indices)
    with pytest.raises(ValueError, match=r"avg_pool2d_backward: dy has shape .* gives \(1, 3, 8, 8\)"):
        kernels.avg_pool_backward(2, dy, X.shape, (1, None, 0, False, True, None))
    with pytest.raises(ValueError, match="avg_pool2d_backward: dy has shape .* does not fit"):
        kernels.avg_pool_backward(2, dy, X.shape[1:], (2, None, 0, False, True, None))
    with pytest.raises(ValueError, match="max_pool: dims must be 1, 2 or 3, got 4"):
        kernels.max_pool_backward(4, dy, X, window)
    with pytest.raises(ValueError, match="adaptive_avg_pool2d: output_size must be an integer or 2 of them"):
        kernels.adaptive_avg_pool2d(X, (1, 2, 3))
    with pytest.raises(ValueError, match="adaptive_max_pool2d: output_size must be at least 0, got -1"):
        kernels.adaptive_max_pool2d(X, -1)
    for function in (kernels.adaptive_max_pool2d, kernels.adaptive_avg_pool2d):
        with pytest.raises(ValueError, match=r"output of size \(2147483647, 2147483647\) does not fit into memory"):
            function(X, 2**31 - 1)
    assert kernels.adaptive_avg_pool2d(X, (0, None)).shape == (1, 3, 0, 8)
    with pytest.raises(ValueError, match="lp_pool2d: norm_type must be positive, got 0"):
        kernels.lp_pool2d(X, 0, 2)
    with pytest.raises(ValueError, match="max_pool2d: activation must be None or 'relu', got 'tanh'"):
        kernels.max_pool2d(X, 2, activation="tanh")


class TestIndices:
    """What says where maxima were: places of the image, or -1 for windows that met no pixel."""

    X, Y = np.zeros((1, 1, 1, 3), np.float32), np.ones((1, 1, 1, 3), np.float32)
    WINDOW = (1, 1, 0, 1, False)

    def test_none_is_minus_one(self):
        dx = kernels.max_pool_backward(2, self.Y, self.X, self.WINDOW, np.array([[[[-1, 1, -1]]]]))
        np.testing.assert_array_equal(dx, [[[[0, 1, 0]]]])

    @pytest.mark.parametrize("bad", [3, -2, 1 << 30, 1 + 2**31, 1 + 2**32, -(2**32), 2**63 - 1, -(2**63)])
    def test_others_are_refused(self, bad):
        indices = np.array([[[[0, bad, 1]]]])
        with pytest.raises(ValueError, match=rf"max_pool2d_backward: indices must be from -1 to 2, got {bad}"):
            kernels.max_pool_backward(2, self.Y, self.X, self.WINDOW, indices)
        with pytest.raises(ValueError, match="max_unpool2d_backward: indices must be from 0 to 2, got"):
            kernels.max_unpool_backward(2, self.Y, indices)
        with pytest.raises(ValueError, match="max_unpool2d: indices must be from 0 to 2 for output size"):
            kernels.max_unpool2d(self.Y, indices, 1)

    def test_unsigned_ones_too(self):
        indices = np.array([[[[0, 2**64 - 1, 1]]]], np.uint64)
        with pytest.raises(ValueError, match="indices must be from -1 to 2, got 18446744073709551615"):
            kernels.max_pool_backward(2, self.Y, self.X, self.WINDOW, indices)
        with pytest.raises(ValueError, match="max_unpool2d: indices must be from"):
            kernels.max_unpool2d(self.Y, indices, 1)
        with pytest.raises(ValueError, match="max_unpool2d_backward: indices must be from"):
            kernels.max_unpool_backward(2, self.Y, indices)

    @pytest.mark.parametrize("lie", ["big-endian", "unaligned", "reversed", "read-only", "broadcast", "u1", "list"])
    def test_any_layout(self, lie):
        x = np.random.default_rng(1).standard_normal((2, 3, 5, 7))
        window = (3, 2, 1, 1, False)
        y, indices = kernels.max_pool2d(x, *window, return_indices=True)
        if lie == "broadcast":
            indices = np.broadcast_to(indices[:1], indices.shape)
        given = {
            "big-endian": lambda: indices.astype(">i4"),
            "unaligned": lambda: np.frombuffer(b"." + indices.tobytes(), np.uint8)[1:].view("i8").reshape(y.shape),
            "reversed": lambda: indices[::-1, :, ::-1].copy()[::-1, :, ::-1],
            "read-only": lambda: np.frombuffer(indices.tobytes(), "i8").reshape(y.shape),
            "broadcast": lambda: indices,
            "u1": lambda: indices.astype(np.uint8),
            "list": lambda: indices.tolist(),
        }[lie]()
        expected = reference.scatter(y, indices, x.shape)
        for image in (x, lay(x.copy(), "pixels")):
            dx = kernels.max_pool_backward(2, y, image, window, given)
            np.testing.assert_allclose(dx, expected, rtol=1e-14)
        back = kernels.max_unpool2d(y, given, 3, 2, 1)
        np.testing.assert_array_equal(back, kernels.max_unpool2d(y, np.array(indices), 3, 2, 1))
        got = kernels.max_unpool_backward(2, x, given)
        flat = np.take_along_axis(x.reshape(2, 3, -1), np.array(indices).reshape(2, 3, -1), 2)
        np.testing.assert_array_equal(got, flat.reshape(y.shape))

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda y, x: kernels.max_pool_backward(2, None, x, (1,)), "max_pool2d_backward: dy must be an array"),
            (lambda y, x: kernels.max_pool_backward(2, y, None, (1,), [1]), "max_pool2d_backward: input must be an a"),
            (lambda y, x: kernels.max_unpool2d(y, None, 1), "max_unpool2d: indices must be an array, got None"),
            (lambda y, x: kernels.max_unpool_backward(2, None, [0]), "max_unpool2d_backward: dy must be an array"),
            (lambda y, x: kernels.max_unpool_backward(2, y, y), "max_unpool2d_backward: indices must be integers"),
            (lambda y, x: kernels.max_unpool2d(y, [[[[0, 1, 2]]]], 1, output_size=3), "max_unpool2d: output_size must"),
            (lambda y, x: kernels.lp_pool_backward(2, y, x, None, 2, 1), "lp_pool2d_backward: output must be an arr"),
            (lambda y, x: kernels.lp_pool2d(x, None, 2), "lp_pool2d: norm_type must be a positive number, got None"),
            (lambda y, x: kernels.lp_pool2d(x, "2", 2), "lp_pool2d: norm_type must be a positive number, got '2'"),
            (lambda y, x: kernels.avg_pool_backward(2, y, 3, (1,)), "avg_pool2d_backward: input_shape must be a tuple"),
            (lambda y, x: kernels.max_pool2d(None, 2), "max_pool2d: input must be an array, got None"),
        ],
    )
    def test_anything_but_an_array_is_named(self, call, message):
        with pytest.raises(TypeError, match=message):
            call(self.Y, self.X)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda y, x: kernels.max_unpool_backward(2, y, [[[0]]]), "max_unpool2d_backward: indices have shape"),
            (lambda y, x: kernels.max_unpool_backward(2, y[0], [[[[0]]]]), "max_unpool2d_backward: indices have shape"),
            (lambda y, x: kernels.lp_pool_backward(2, y, x, y[..., 1:], 2, 1), "lp_pool2d_backward: output has shape"),
            (lambda y, x: kernels.lp_pool_backward(2, y, x[..., 1:], y, 2, 1), "lp_pool2d_backward: dy has shape"),
            (lambda y, x: kernels.lp_pool_backward(2, y, x, y, 0, 1), "lp_pool2d_backward: norm_type must be positive"),
            (lambda y, x: kernels.lp_pool2d(x, float("nan"), 1), "lp_pool2d: norm_type must be positive, got nan"),
            (lambda y, x: kernels.max_pool_backward(2, y, x, (1, 1)), "max_pool_backward: window must be 5 arguments"),
            (lambda y, x: kernels.avg_pool_backward(2, y, x.shape, 3), "avg_pool_backward: window must be 6 arguments"),
            (lambda y, x: kernels.max_pool_backward(2.0, y, x, (1,)), "max_pool: dims must be 1, 2 or 3, got 2.0"),
        ],
    )
    def test_other_shapes_are_named(self, call, message):
        with pytest.raises(ValueError, match=message):
            call(self.Y, self.X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "window"), [*CASES, *[(s, (w,)) for s, w in ADAPTIVE]], ids=str)
def test_places_of_huge_images_have_64_bits(monkeypatch, shape, window, layout, dtype):
    """Images of more than 2**31 pixels take these ways; here all do."""
    plans.forget()
    monkeypatch.setattr("fastnn_kernels.cpu.pool.plan.NARROW", 0)
    x, dims = lay(draw(shape, dtype), layout), len(shape) - 2
    axes = reference.adaptive(shape[2:], *window) if len(window) == 1 else reference.sliding(shape[2:], *window)
    name = "adaptive_max_pool" if len(window) == 1 else "max_pool"
    expected, places = reference.max_pool(x, axes)
    out = np.full(expected.shape, -7, dtype) if dims == 2 and len(window) > 1 else None
    y, indices = call(name, x, *window, return_indices=True, **({} if out is None else {"out": out}))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, places)
    assert out is None or y is out
    dy = lay(draw(y.shape, dtype, special=False), layout)
    expected_dx = reference.scatter(dy, places, shape)
    np.testing.assert_array_equal(kernels.max_pool_backward(dims, dy, x, window, indices), expected_dx)
    np.testing.assert_array_equal(kernels.max_pool_backward(dims, dy, x, window), expected_dx)
    if len(window) > 1:
        _, kept = call(name, x, *window, activation="relu", return_indices="compact")
        plans.forget()
    if len(window) > 1 and kept is not None:
        assert kept.dtype == np.int64
        np.testing.assert_array_equal(kept, np.where(expected <= 0, -1, places))


def test_the_geometry_of_huge_images_is_exact():
    """Places lie beyond 32 bits; the product of a place and a length beyond 64."""
    length, count = 2**45 + 3, 2**20 + 1
    axis = Windows.adaptive(length, count)
    for i in (0, 1, count // 2, count - 2, count - 1):
        start, stop = i * length // count, -(-(i + 1) * length // count)
        assert (axis.starts[i], axis.counts[i]) == (start, stop - start)
    axis = Windows.sliding(2**40, 2**19, 2**20, 2**21, 2**19, 1)
    assert axis.starts[0] == 0 and axis.starts[-1] == 2**40 - 2**21 - 2**19 and axis.counts[0] == 2**19


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("max_pool2d", {"kernel_size": 2}, {"kernel_size": 2.0}),
        ("max_pool2d", {"kernel_size": 1}, {"kernel_size": True}),
        ("max_pool2d", {"kernel_size": (2, 1)}, {"kernel_size": (2.0, 1)}),
        ("max_pool2d", {"kernel_size": (2, 1)}, {"kernel_size": (2, True)}),
        ("max_pool2d", {"kernel_size": 2, "stride": (1, 1)}, {"stride": (1, 1.0)}),
        ("max_pool2d", {"kernel_size": 2, "padding": 1}, {"padding": True}),
        ("max_pool2d", {"kernel_size": 2, "dilation": 1}, {"dilation": 1.0}),
        ("avg_pool2d", {"kernel_size": (2, 2)}, {"kernel_size": [2, 2.0]}),
        ("avg_pool2d", {"kernel_size": 2, "divisor_override": 1}, {"divisor_override": True}),
        ("sum_pool2d", {"kernel_size": 2, "stride": 1}, {"stride": 1.0}),
        ("lp_pool2d", {"norm_type": 2, "kernel_size": 1}, {"kernel_size": True}),
        ("adaptive_max_pool2d", {"output_size": 1}, {"output_size": True}),
        ("adaptive_avg_pool2d", {"output_size": (2, 1)}, {"output_size": (2.0, 1)}),
        ("max_unpool2d", {"indices": np.zeros((1, 3, 8, 8), int), "kernel_size": 1}, {"kernel_size": True}),
    ],
)
def test_options_are_refused_after_equal_ones_were_accepted(name, good, bad):
    """1 == 1.0 == True, also as keys of the plans."""
    function = getattr(kernels, name)
    more = ({}, {"return_indices": True}) if name.startswith(("max_pool", "adaptive_max")) else ({},)
    for options in more:
        for _ in range(2):
            function(X, **good, **options)
            (which,) = bad
            with pytest.raises(TypeError, match=f"{name}: {which} must be an integer"):
                function(X, **good | bad, **options)
    if name == "max_pool2d":
        window = {"kernel_size": 2, "stride": None, "padding": 0, "dilation": 1} | good | bad
        with pytest.raises(TypeError, match=f"max_pool2d_backward: {which} must be an integer"):
            kernels.max_pool_backward(2, X, X, (*window.values(), False))


@pytest.mark.parametrize("bad", ["yes", (True, True), [], np.ones(2)])
def test_flags_must_be_true_or_false(bad):
    with pytest.raises(TypeError, match="max_pool2d: ceil_mode must be True or False, got"):
        kernels.max_pool2d(X, 2, ceil_mode=bad)
    with pytest.raises(TypeError, match="max_pool2d: return_indices must be True or False, got"):
        kernels.max_pool2d(X, 2, return_indices=bad)
    with pytest.raises(TypeError, match="avg_pool2d: count_include_pad must be True or False, got"):
        kernels.avg_pool2d(X, 2, count_include_pad=bad)
    assert kernels.max_pool2d(X, 3, ceil_mode=np.bool_(True)).shape == (1, 3, 3, 3)
