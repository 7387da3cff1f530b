"""Sampling at other places, noise, holes and blends."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from tests.reference import augment as reference

BORDERS = ["constant", "reflect", "replicate", "circular"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("border", BORDERS)
def test_warp(rng, border, mode, dtype):
    x = rng.random((3, 2, 7, 10)).astype(dtype)
    matrix = rng.standard_normal((3, 2, 3))
    matrix[:, :, 2] *= 9
    field = rng.standard_normal((3, 2, 13, 11)).astype(dtype) if mode == "bilinear" else None
    y = kernels.warp(x, matrix, field, (13, 11), mode=mode, border=border, value=0.5)
    expected = reference.warp(x, matrix, field, (13, 11), mode, border, 0.5)
    np.testing.assert_allclose(y, expected, atol=reference.tolerance(dtype, 40), rtol=0)


def test_one_pixel_and_one_matrix_for_all(rng):
    x = rng.random((2, 3, 1, 1))
    for border in BORDERS[1:]:
        y = kernels.warp(x, [[1, 0, 5.5], [0, 1, -7.25]], size=4, border=border)
        np.testing.assert_allclose(y, np.broadcast_to(x, y.shape), rtol=1e-15)


def test_many_pixels_of_a_row_and_one_field_for_all(rng):
    x = rng.random((2, 1, 3, 300)).astype(np.float32)
    field = np.stack([np.zeros((3, 300)), np.full((3, 300), 2.0)]).astype(np.float32)
    y = kernels.warp(x, np.eye(2, 3), field)
    np.testing.assert_array_equal(y[..., :-2], x[..., 2:])
    assert not y[..., -2:].any()


@pytest.mark.parametrize("border", BORDERS)
def test_hostile_places_stay_within_the_image(rng, border):
    x = rng.random((1, 1, 6, 5)).astype(np.float32)
    field = np.full((2, 6, 5), np.nan, np.float32)
    field[:, 1], field[:, 2], field[:, 3], field[:, 4] = np.inf, -np.inf, 1e30, -3e9
    y = kernels.warp(x, np.eye(2, 3), field, border=border)
    assert ((y >= 0) & (y <= 1)).all()
    y = kernels.warp(x, [[1e200, 0, 0], [0, -1e200, 0]], border=border)
    assert ((y >= 0) & (y <= 1)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 63, 200])
def test_random_numbers(count, dtype):
    seed, offset = 2**63 + 5, 2**40 + 3
    y = kernels.uniform((count,), -1, 3, seed=seed, offset=offset, dtype=dtype)
    np.testing.assert_allclose(y, 4 * reference.fractions(count, seed, offset) - 1, atol=4 * np.finfo(dtype).eps)
    x = np.linspace(-1, 1, count, dtype=dtype)
    expected = x + 0.5 * reference.normals(count, seed, offset)
    np.testing.assert_allclose(kernels.noise(x, 0.5, seed=seed, offset=offset), expected, atol=2e-6, rtol=0)


def test_normal_numbers_are_normal():
    z = kernels.noise(np.zeros(1_000_000), 1.0, seed=7)
    moments = [np.mean(z**k) for k in range(1, 7)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3, 0, 15], atol=0.15)
    assert 4.5 < np.abs(z).max() < 5.5


def test_erase_fills_boxes_and_nothing_else(rng):
    x = rng.random((4, 2, 6, 7))
    boxes = np.array([[1, 2, 4, 5], [-3, -3, 2, 2], [4, 5, 99, 99], [3, 3, 3, 6]])
    expected = x.copy()
    expected[0, :, 1:4, 2:5] = expected[1, :, :2, :2] = expected[2, :, 4:, 5:] = 0.25
    np.testing.assert_array_equal(kernels.erase(x, boxes, 0.25), expected)
    crossed = np.tile([5, 5, 2, 2], (4, 1))
    np.testing.assert_array_equal(kernels.erase(x, crossed), x)


def test_mix_blends_rows(rng):
    x, other, weight = rng.random((4, 3, 5)), np.array([1, 0, 3, 3]), np.array([0.2, 1.0, 0.5, 0.0])
    expected = weight[:, None, None] * x + (1 - weight[:, None, None]) * x[other]
    np.testing.assert_allclose(kernels.mix(x, other, weight), expected, rtol=1e-15)


def lies(x):
    """Give an array as others would: big-endian, off by a byte, reversed, read-only, cut out of a larger one."""
    yield x.astype(x.dtype.newbyteorder())
    yield np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    yield x[::-1].copy()[::-1]
    yield np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape)
    yield x.repeat(2, -1)[..., ::2]
    yield x.view(np.recarray)


def test_arrays_of_any_layout(rng):
    x, matrix = rng.random((3, 2, 5, 7)), rng.standard_normal((3, 2, 3))
    field, boxes, weight = rng.standard_normal((3, 2, 5, 7)), rng.integers(-3, 9, (3, 4)), rng.random(3)
    other = np.array([2, 0, 1])
    calls = [
        (lambda a, **o: kernels.warp(a, matrix, field, **o), x),
        (lambda a, **o: kernels.warp(x, a, field, **o), matrix),
        (lambda a, **o: kernels.warp(x, matrix, a, **o), field),
        (lambda a, **o: kernels.erase(a, boxes, 0.5, **o), x),
        (lambda a, **o: kernels.erase(x, a, 0.5, **o), boxes),
        (lambda a, **o: kernels.mix(a, other, weight, **o), x),
        (lambda a, **o: kernels.mix(x, a, weight, **o), other),
        (lambda a, **o: kernels.mix(x, other, a, **o), weight),
        (lambda a, **o: kernels.noise(a, 0.5, seed=3, **o), x),
    ]
    for call, array in calls:
        expected = call(array)
        for given in lies(array):
            np.testing.assert_array_equal(call(given), expected)
        for out in lies(np.zeros_like(x)):
            if out.dtype.isnative and out.flags.writeable:
                assert call(array, out=out) is out
                np.testing.assert_array_equal(out, expected)
    unaligned = np.zeros(x.nbytes + 1, np.uint8)[1:].view("f8").reshape(x.shape)
    assert kernels.noise(x, 0.5, seed=3, out=unaligned) is unaligned
    np.testing.assert_array_equal(unaligned, kernels.noise(x, 0.5, seed=3))
    numbers = unaligned.reshape(-1)[:200]
    assert kernels.uniform((200,), seed=1, dtype=np.float64, out=numbers) is numbers
    np.testing.assert_array_equal(numbers, kernels.uniform((200,), seed=1, dtype=np.float64))
    with pytest.raises(ValueError, match="warp: out overlaps an input"):
        kernels.warp(x, matrix, field, out=field)
    with pytest.raises(ValueError, match="erase: out overlaps an input"):
        kernels.erase(x[:1, :1, :1, :4], boxes[:1], out=boxes[:1].view(np.float64).reshape(1, 1, 1, 4))


def test_long_rows_keep_within_the_image():
    """In float32 not all places beyond 2**24 are numbers: the last one would be rounded to one behind it."""
    x = np.broadcast_to(np.float32(1), (1, 1, 1, 2**24 + 4))
    with pytest.raises(ValueError, match="warp: axes of float32 images must not be longer than 16777216, got"):
        kernels.warp(x, np.eye(2, 3), size=(1, 3), border="replicate")
    x = np.zeros((1, 1, 1, 2**24), np.float32)
    x[..., -1] = 5
    for border, right in (("replicate", 5), ("constant", 9), ("reflect", 0), ("circular", 0)):
        y = kernels.warp(x, [[1, 0, 0], [0, 1, 2**24 - 1]], size=(1, 2), border=border, value=9.0)
        np.testing.assert_array_equal(y.ravel(), [5, right])


X = np.zeros((2, 3, 4, 5))
BOX, PAIR, ONES, TURN = np.zeros((2, 4), int), np.array([0, 1]), np.ones(2), np.eye(2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.warp(None, TURN), "warp: input must be an array, got None"),
        (lambda: kernels.warp(X, None), "warp: matrix must be an array, got None"),
        (lambda: kernels.warp(X, TURN * 1j), "warp: matrix must be an array of real numbers, got complex128"),
        (lambda: kernels.warp(X, "a"), "warp: matrix must be an array of real numbers, got <U1"),
        (lambda: kernels.warp(X, TURN, value=None), "warp: value must be a number, got None"),
        (
            lambda: kernels.warp(X, TURN, np.zeros((2, 4, 5), complex)),
            "warp: field must be float32 or float64, got complex128",
        ),
        (lambda: kernels.erase(X, None), "erase: boxes must be an array, got None"),
        (lambda: kernels.erase(X, np.zeros((2, 4))), "erase: boxes must be integers, got float64"),
        (lambda: kernels.erase(X, BOX, "0"), "erase: value must be a number, got '0'"),
        (lambda: kernels.erase(X, np.ma.masked_all((2, 4), int)), "erase: boxes is a masked array"),
        (lambda: kernels.mix(X, None, ONES), "mix: other must be an array, got None"),
        (lambda: kernels.mix(X, PAIR, None), "mix: weight must be an array, got None"),
        (lambda: kernels.mix(X, PAIR, ["a", "b"]), "mix: weight must be an array of real numbers, got <U1"),
        (lambda: kernels.mix(X, np.ma.masked_all(2, int), ONES), "mix: other is a masked array"),
        (lambda: kernels.noise(X, None, seed=1), "noise: deviation must be a number, got None"),
        (lambda: kernels.noise(X, 1.0, seed=1.0), "noise: seed must be an integer, got 1.0"),
        (lambda: kernels.noise(X, 1.0, seed=1, offset=None), "noise: offset must be an integer, got None"),
        (lambda: kernels.uniform(None, seed=1), "uniform: shape must be a tuple of integers, got None"),
        (lambda: kernels.uniform((2.0,), seed=1), "uniform: shape must be an integer, got 2.0"),
        (lambda: kernels.uniform((2,), "0", seed=1), "uniform: low must be a number, got '0'"),
        (lambda: kernels.uniform((2,), high=None, seed=1), "uniform: high must be a number, got None"),
        (lambda: kernels.uniform((2,), seed=1, dtype=np.int32), "uniform: dtype must be float32 or float64, got"),
        (lambda: kernels.uniform((2,), seed=1, dtype=">f4"), "uniform: dtype must be float32 or float64, got"),
        (lambda: kernels.uniform((2,), seed=1, out=np.zeros(2)), "uniform: out must be float32, got float64"),
        (lambda: kernels.uniform((2, 2), seed=1, out=np.zeros((2, 2)).view(np.matrix)), "uniform: out must be a plain"),
    ],
)
def test_wrong_types_are_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.warp(X[0], np.eye(2, 3)), "warp: input must have 4 dimensions"),
        (lambda: kernels.warp(X, np.eye(3)), r"warp: matrix must be \(2, 3\) or \(2, 2, 3\)"),
        (lambda: kernels.warp(X, np.full((2, 3), np.nan)), "warp: matrix holds numbers that are nan"),
        (lambda: kernels.warp(X, np.eye(2, 3), mode="cubic"), "warp: mode must be"),
        (lambda: kernels.warp(X, np.eye(2, 3), border="zeros"), "warp: border must be one of constant, reflect"),
        (lambda: kernels.warp(X, np.eye(2, 3), np.zeros((3, 4, 4))), r"field must be .*, got \(1, 3, 4, 4\)"),
        (lambda: kernels.warp(X, np.eye(2, 3), np.zeros((2, 2, 4, 5)), 3), r"warp: field must be \(2, 2, 3, 3\)"),
        (lambda: kernels.warp(X[:, :, :0], np.eye(2, 3), size=3), "warp: the images are empty"),
        (lambda: kernels.uniform((3,), seed=-1), "uniform: seed must be from 0"),
        (lambda: kernels.noise(X, -1.0, seed=0), "noise: deviation must be a number from 0, got -1"),
        (lambda: kernels.noise(X, 1.0, seed=0, offset=2**64), "noise: offset must be from 0"),
        (
            lambda: kernels.erase(X, np.zeros((3, 4), int)),
            r"erase: boxes must be integers \(2, 4\), .* \(3, 4\)",
        ),
        (lambda: kernels.mix(X, np.array([0, 2]), np.ones(2)), "mix: other must be from 0 to 1, got 2"),
        (lambda: kernels.mix(X, np.array([0, 1]), np.ones(3)), r"mix: input \(2, 3, 4, 5\) needs other \(2,\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
