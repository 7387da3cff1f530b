"""Affine grids, and older names of interpolation."""

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F


def test_affine_grids():
    turned = np.array([[[0.0, -1, 0], [1, 0, 0]]])  # by a right angle
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    for align in (False, True):
        y = F.grid_sample(x, F.affine_grid(turned, x.shape, align), align_corners=align)
        np.testing.assert_allclose(y[0, 0], np.rot90(x[0, 0], 1), atol=1e-12)
    moved = np.eye(3, 4)[None] + np.array([0, 0, 0, 0.5])
    grid = F.affine_grid(moved, (1, 1, 2, 3, 4))
    np.testing.assert_allclose(grid[0, 1, 2, 3], [0.75 + 0.5, 2 / 3 + 0.5, 0.5 + 0.5])
    assert isinstance(F.affine_grid(Tensor(turned), (1, 1, 2, 2)), Tensor)
    with pytest.raises(ValueError, match=r"affine_grid: theta of shape \(1, 2, 3\) does not fit size"):
        F.affine_grid(turned, (2, 1, 3, 3))
    with pytest.raises(TypeError, match="affine_grid: theta must be a tensor or an array, got None"):
        F.affine_grid(None, (2, 1, 3, 3))


def test_older_names(rng):
    x = rng.normal(size=(1, 2, 3, 4))
    np.testing.assert_array_equal(F.upsample(x, scale_factor=2), F.interpolate(x, scale_factor=2))
    np.testing.assert_array_equal(F.upsample_nearest(x, 5), F.interpolate(x, 5))
    expected = F.interpolate(x, 5, mode="bilinear", align_corners=True)
    np.testing.assert_array_equal(F.upsample_bilinear(x, 5), expected)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialias(rng, mode):
    x = rng.normal(size=(2, 3, 8, 12))
    np.testing.assert_allclose(F.interpolate(x, (8, 12), mode=mode, antialias=True), x, atol=1e-14)
    ones = F.interpolate(np.ones((1, 1, 8, 12), np.float32), scale_factor=(0.3, 1.7), mode=mode, antialias=True)
    np.testing.assert_allclose(ones, np.ones((1, 1, 2, 20)), rtol=1e-6)
    if mode == "bilinear":  # halves of a row: weights 1/8, 3/8, 3/8, 1/8, without what is beyond the edge
        y = F.interpolate(x, (8, 6), mode=mode, antialias=True)
        np.testing.assert_allclose(y[..., 1], x[..., 1:5] @ [0.125, 0.375, 0.375, 0.125])
        np.testing.assert_allclose(y[..., 0], x[..., :3] @ [3 / 7, 3 / 7, 1 / 7])
    with pytest.raises(ValueError, match="interpolate: antialias is for modes 'bilinear' and 'bicubic' of"):
        F.interpolate(x[0], 5, mode="linear", antialias=True)
    with pytest.raises(ValueError, match="interpolate: give one of size and scale_factor"):
        F.interpolate(x, mode=mode, antialias=True)
