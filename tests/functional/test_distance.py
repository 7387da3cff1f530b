"""Distances and angles, and the losses made of them."""

import numpy as np
import pytest

from fastnn import functional as F


def test_values(rng):
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(5, 4))
    d = np.linalg.norm(x[:, :, None] - y, axis=-1)
    np.testing.assert_allclose(F.cdist(x, y), d)
    np.testing.assert_allclose(F.pdist(y), F.cdist(y, y)[np.triu_indices(5, 1)])
    np.testing.assert_allclose(F.pairwise_distance(x, y[0], eps=0), np.linalg.norm(x - y[0], axis=-1))
    cosine = (x * y[0]).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y[0])
    np.testing.assert_allclose(F.cosine_similarity(x, y[0], dim=2), cosine)
    assert F.cosine_similarity(np.zeros((2, 3)), np.ones((2, 3))).tolist() == [0, 0]
    assert F.pairwise_distance(x, x, keepdim=True).shape == (2, 3, 1)


def test_losses(rng):
    a, p, n = rng.normal(size=(3, 6, 4))
    expected = F.triplet_margin_loss(a, p, n, swap=True)
    np.testing.assert_allclose(F.triplet_margin_with_distance_loss(a, p, n, swap=True), expected)
    weight, bias, labels = rng.normal(size=(5, 4)), rng.normal(size=5), np.array([0, 1, 4, -100, 2, 2])
    expected = F.cross_entropy(a @ weight.T + bias, labels, reduction="sum")
    loss = F.linear_cross_entropy(a, weight, labels, linear_bias=bias, reduction="sum")
    np.testing.assert_allclose(loss, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.cdist(x, x[0]), ValueError, "cdist: x1 and x2 must have at least 2 dimensions"),
        (lambda x: F.cdist(x, x.T), ValueError, "cdist: x1 has shape"),
        (lambda x: F.cdist([x] * 2, x), TypeError, "cdist: x1 must be a tensor or an array, got list"),
        (lambda x: F.pdist(x[0]), ValueError, "pdist: input must be a matrix"),
        (lambda x: F.pairwise_distance(x, x.T), ValueError, "pairwise_distance: x1 of shape"),
        (lambda x: F.cosine_similarity(x, x, 2), ValueError, "cosine_similarity: dim must be from -2 to 1"),
        (
            lambda x: F.triplet_margin_with_distance_loss(x, x, x, reduction="all"),
            ValueError,
            "triplet_margin_with_distance_loss: reduction must be one of none, mean, sum",
        ),
        (
            lambda x: F.linear_cross_entropy(x, x.T, np.array([0])),
            ValueError,
            r"linear_cross_entropy: input of shape \(3, 4\) does not fit",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((3, 4)))
