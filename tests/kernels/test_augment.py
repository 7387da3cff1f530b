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


X = np.zeros((2, 3, 4, 5))


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
        (lambda: kernels.erase(X, np.zeros((2, 4))), "got float64"),
        (lambda: kernels.mix(X, np.array([0, 2]), np.ones(2)), r"mix: other must be in 0..1, got 0..2"),
        (lambda: kernels.mix(X, np.array([0, 1]), np.ones(3)), r"mix: input \(2, 3, 4, 5\) needs other \(2,\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
