"""Images and volumes sampled at a grid. (`test_contract.py` compares with the plain loops of the reference.)"""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.image import SAMPLE_MODES, SAMPLE_PADDINGS

MODES = pytest.mark.parametrize("mode", SAMPLE_MODES)
PADDINGS = pytest.mark.parametrize("padding", SAMPLE_PADDINGS)
ALIGN = pytest.mark.parametrize("align", [False, True])


def same_grid(shape, align):
    """Give the grid whose positions are the pixels of an image of this shape."""
    lines = [np.linspace(-1, 1, n) * (1 if align else (n - 1) / n) for n in shape]
    return np.stack(np.meshgrid(*lines, indexing="ij")[::-1], -1)[None]


@MODES
@PADDINGS
@ALIGN
def test_pixels_at_their_own_places(rng, mode, padding, align):
    x = rng.normal(size=(1, 3, 5, 7))
    np.testing.assert_allclose(kernels.grid_sample(x, same_grid((5, 7), align), mode, padding, align), x, atol=1e-13)
    if mode != "bicubic":
        x = rng.normal(size=(1, 2, 3, 4, 5))
        grid = same_grid((3, 4, 5), align)
        np.testing.assert_allclose(kernels.grid_sample(x, grid, mode, padding, align), x, atol=1e-13)


@MODES
@PADDINGS
@ALIGN
@pytest.mark.parametrize("axes", [2, 3])
def test_the_reference_agrees(rng, mode, padding, align, axes):
    if mode == "bicubic" and axes == 3:
        return
    shape, places = ((2, 3, 4, 5), (2, 7, 3, 2)) if axes == 2 else ((2, 3, 2, 4, 1), (2, 2, 3, 2, 3))
    x, grid = rng.normal(size=shape), rng.normal(size=places) * 2
    y = kernels.grid_sample(x, grid, mode, padding, align)
    dy = rng.normal(size=y.shape)
    gradients = kernels.grid_sample_backward(dy, x, grid, mode, padding, align)
    with kernels.use("reference"):
        expected = kernels.grid_sample(x, grid, mode, padding, align)
        right = kernels.grid_sample_backward(dy, x, grid, mode, padding, align)
    for a, b in zip((y, *gradients), (expected, *right), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_what_is_outside():
    x = np.arange(1.0, 5).reshape(1, 1, 1, 4)
    grid = np.zeros((1, 1, 4, 2))
    grid[0, 0, :, 0] = [-1.5, 1.25, 1.75, 40]  # pixels -1.5, 4, 5, 81.5
    seen = {padding: kernels.grid_sample(x, grid, "nearest", padding)[0, 0, 0].tolist() for padding in SAMPLE_PADDINGS}
    assert seen == {"zeros": [0, 0, 0, 0], "border": [1, 4, 4, 4], "reflection": [1, 4, 3, 3]}


@MODES
@PADDINGS
def test_positions_that_are_no_numbers(mode, padding):
    grid = np.array([np.nan, np.inf, -np.inf, 1e30], np.float32).reshape(1, 2, 2, 1).repeat(2, -1)
    x = np.ones((1, 2, 3, 3), np.float32)
    y = kernels.grid_sample(x, grid, mode, padding)
    np.testing.assert_allclose(y, 0 if padding == "zeros" else 1, atol=1e-6)
    dx, dgrid = kernels.grid_sample_backward(y + 1, x, grid, mode, padding)
    assert np.isfinite(dx).all() and not dgrid.any()


def test_many_images_and_none(rng):
    x, grid = rng.normal(size=(50, 1, 4, 4)), rng.uniform(-1, 1, (50, 30, 40, 2))
    y = kernels.grid_sample(x, grid)
    np.testing.assert_array_equal(y[37:38], kernels.grid_sample(x[37:38], grid[37:38]))
    dx, dgrid = kernels.grid_sample_backward(y, x, grid)
    one = kernels.grid_sample_backward(y[37:38], x[37:38], grid[37:38])
    np.testing.assert_array_equal(dx[37:38], one[0])
    np.testing.assert_array_equal(dgrid[37:38], one[1])
    assert kernels.grid_sample(x[:0], grid[:0]).shape == (0, 1, 30, 40)
    dx, dgrid = kernels.grid_sample_backward(np.ones((2, 1, 0, 3)), x[:2], grid[:2, :0, :3], needs=(True, False))
    assert dgrid is None and not dx.any()


@pytest.mark.parametrize(
    ("shape", "grid", "options", "message"),
    [
        ((1, 2, 3, 4), (2, 3, 3, 2), {}, r"grid of shape \(2, 3, 3, 2\) does not fit an input of shape \(1, 2, 3, 4\)"),
        ((1, 2, 3, 4), (1, 3, 3, 3), {}, r"expected \(B, OH, OW, 2\)"),
        ((1, 2, 3, 4, 5), (1, 3, 3, 2), {}, r"expected \(B, OD, OH, OW, 3\)"),
        ((2, 3, 4), (2, 3, 2), {}, "input must have 4 or 5 dimensions"),
        ((1, 2, 0, 4), (1, 3, 3, 2), {}, "images must not be empty"),
        ((1, 2, 3, 4), (1, 3, 3, 2), {"mode": "linear"}, "mode must be one of bilinear, nearest, bicubic"),
        ((1, 2, 3, 4), (1, 3, 3, 2), {"padding_mode": "reflect"}, "padding_mode must be one of zeros, border"),
        ((1, 2, 3, 4, 5), (1, 3, 3, 3, 3), {"mode": "bicubic"}, "mode 'bicubic' is for images"),
    ],
)
def test_bad_input(shape, grid, options, message):
    with pytest.raises(ValueError, match=f"^grid_sample: .*{message}"):
        kernels.grid_sample(np.ones(shape), np.ones(grid), **options)
