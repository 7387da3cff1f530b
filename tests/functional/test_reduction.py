"""Reductions: NumPy's values, PyTorch's ties."""

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F

X = np.random.default_rng(2).normal(size=(2, 3, 4))

DIMS = [None, 0, -1, (0, 2), (1,)]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS)
def test_sums_and_means(dim, keepdim):
    np.testing.assert_array_equal(F.sum(X, dim, keepdim), X.sum(axis=dim, keepdims=keepdim))
    means = Tensor(X).mean(dim, keepdim).numpy()
    np.testing.assert_allclose(means, X.mean(axis=dim, keepdims=keepdim), rtol=4e-16)
    assert means.shape == X.mean(axis=dim, keepdims=keepdim).shape


def test_extrema_along_a_dimension_give_values_and_indices():
    values, indices = Tensor(X).max(dim=1)
    np.testing.assert_array_equal(values.numpy(), X.max(axis=1))
    np.testing.assert_array_equal(indices.numpy(), X.argmax(axis=1))
    found = F.min(X, dim=2, keepdim=True)
    assert found.values.shape == found.indices.shape == (2, 3, 1)
    np.testing.assert_array_equal(found.indices[..., 0], X.argmin(axis=2))
    assert Tensor(X).argmax().item() == X.argmax() and F.argmax(X, 0).shape == (3, 4)


def test_ties():
    x = Tensor(np.array([[1.0, 3.0, 3.0], [3.0, 0.0, 0.0]]), requires_grad=True)
    x.max().backward()
    np.testing.assert_allclose(x.grad, np.array([[0, 1, 1], [1, 0, 0]]) / 3)
    x.grad = None
    x.max(dim=1).values.sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 1, 0], [1, 0, 0]])
    x.grad = None
    x.min(dim=1).values.sum().backward()
    np.testing.assert_array_equal(x.grad, [[1, 0, 0], [0, 1, 0]])


def test_nan_is_an_extremum():
    x = np.array([1.0, np.nan, 3.0])
    assert np.isnan(F.max(x)) and np.isnan(F.min(x)) and F.max(x, dim=0).indices == 1


def test_empty():
    empty = Tensor(np.ones((0, 3)), requires_grad=True)
    assert empty.sum().item() == 0 and empty.sum(dim=1).shape == (0,)
    (empty.sum() + empty.mean()).backward()
    assert empty.grad.shape == (0, 3) and np.isnan(empty.mean().item())
    assert F.mean(np.arange(4)) == 1.5
    with pytest.raises(ValueError, match="zero-size"):
        empty.max()


def test_float32_sums_stay_accurate():
    x = np.full(1 << 20, 0.1, np.float32)
    assert abs(float(F.sum(x)) / (0.1 * len(x)) - 1) < 1e-6
