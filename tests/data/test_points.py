"""Points in the plane: the right shapes, classes of equal size, seeds."""

import numpy as np
import pytest

from fastnn.data import make_blobs, make_circles, make_moons, make_spirals

ALL = [make_moons, make_circles, make_spirals, make_blobs]


@pytest.mark.parametrize("make", ALL)
def test_forms_and_seeds(make):
    x, y = make(101)
    assert x.shape == (101, 2) and x.dtype == np.float32 and y.shape == (101,) and y.dtype == np.int64
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1
    assert np.abs(np.diff(y)).any() and not np.array_equal(np.sort(y), y)  # mixed
    for a, b in zip(make(101), (x, y), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(make(101, seed=1)[0], x)


def test_moons_are_scikit_learns():
    theirs, labels = pytest.importorskip("sklearn.datasets").make_moons(60, shuffle=False)
    x, y = make_moons(60, noise=0.0)
    for label in (0, 1):
        mine = x[y == label]
        np.testing.assert_allclose(np.sort(mine[:, 0]), np.sort(theirs[labels == label][:, 0]), atol=1e-6)
        np.testing.assert_allclose(np.sort(mine[:, 1]), np.sort(theirs[labels == label][:, 1]), atol=1e-6)


def test_circles_and_spirals():
    x, y = make_circles(50, noise=0.0, factor=0.3)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), np.where(y == 1, 0.3, 1.0), atol=1e-6)
    x, y = make_spirals(90, classes=3, noise=0.0, turns=0.5)
    radius = np.linalg.norm(x, axis=1)
    angle = np.angle((x[:, 0] + 1j * x[:, 1]) * np.exp(-2j * np.pi * (0.5 * radius + y / 3)))
    np.testing.assert_allclose(angle, 0, atol=1e-5)


def test_blobs_lie_around_their_centres():
    centers = [[0, 0, 9], [9, 0, 0]]
    x, y = make_blobs(4000, centers=centers, deviation=0.5)
    for label in (0, 1):
        np.testing.assert_allclose(x[y == label].mean(0), centers[label], atol=0.05)
        np.testing.assert_allclose(x[y == label].std(0), 0.5, atol=0.05)
    assert make_blobs(10, centers=4, features=5)[0].shape == (10, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_moons(1), "make_moons: 1 points cannot be of 2 classes"),
        (lambda: make_moons(10, noise=-1), "make_moons: noise must be a number from 0, got -1"),
        (lambda: make_circles(10, factor=1), "make_circles: factor must be from 0 to below 1, got 1"),
        (lambda: make_spirals(10, classes=0), "10 points cannot be of 0 classes"),
        (lambda: make_blobs(10, centers=[1.0, 2.0]), r"centers must be a number or .* got shape \(2,\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
