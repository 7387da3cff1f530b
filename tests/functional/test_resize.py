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
