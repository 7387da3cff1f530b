"""Random shifts: every shift occurs, and nothing else."""

import numpy as np
import pytest

from fastnn.data import random_shift


def test_every_shift_occurs_and_nothing_else():
    rng = np.random.default_rng(0)
    image = rng.random((1, 2, 6, 5))
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    possible = {padded[:, :, i : i + 6, j : j + 5].tobytes() for i in range(3) for j in range(3)}
    shifted = random_shift(1)(np.repeat(image, 200, axis=0), rng)
    assert {single.tobytes() for single in shifted} == possible


def test_input_is_left_alone():
    images = np.ones((3, 1, 4, 4), np.float32)
    result = random_shift(0)(images, np.random.default_rng(0))
    np.testing.assert_array_equal(result, images)
    assert result is not images and result.dtype == np.float32


def test_bad_input():
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        random_shift(-1)
    with pytest.raises(ValueError, match=r"got shape \(5, 784\)"):
        random_shift(1)(np.zeros((5, 784)), np.random.default_rng(0))
