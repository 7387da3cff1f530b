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
    np.testing.assert_allclose(F.sum(X, dim, keepdim), X.sum(axis=dim, keepdims=keepdim), rtol=4e-15)
    means = Tensor(X).mean(dim, keepdim).numpy()
    np.testing.assert_allclose(means, X.mean(axis=dim, keepdims=keepdim), rtol=4e-15)
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


@pytest.mark.parametrize("dim", [None, 0, -1, (), (0,)])
def test_tensors_without_dimensions_have_one(dim):
    """As in PyTorch: dimension 0 of a 0-dimensional tensor, and -1, are allowed."""
    for name, expected in (("sum", 3), ("mean", 3), ("std", 0), ("var", 0), ("prod", 3)):
        if name == "prod" and isinstance(dim, tuple):
            continue
        for keepdim in (False, True):
            x = Tensor(np.float32(3), requires_grad=True)
            options = {"correction": 0} if name in ("std", "var") else {}
            y = getattr(x, name)(dim, keepdim=keepdim, **options)
            assert y.shape == () and y.item() == expected and y.dtype == np.float32
            y.backward()
            assert x.grad.shape == () and x.grad.item() == (expected == 3)


@pytest.mark.parametrize("dim", [0, -1])
def test_extrema_of_tensors_without_dimensions(dim):
    for name in ("max", "min"):
        x = Tensor(np.float32(3), requires_grad=True)
        for keepdim in (False, True):
            values, indices = getattr(x, name)(dim, keepdim)
            assert values.shape == indices.shape == () and values.item() == 3 and indices.item() == 0
        values.backward()
        assert x.grad.item() == 1 and x.grad.shape == ()
        assert getattr(x, f"arg{name}")(dim).item() == 0 and getattr(x, f"arg{name}")(dim).shape == ()
    with pytest.raises(ValueError, match="sum: axis must be from -1 to 0 for 0 dimensions, got 1"):
        x.sum(1)
    assert np.isnan(x.var().item()) and np.isnan(x.std(dim).item())


def test_no_dimensions_mean_all():
    x = Tensor(X, requires_grad=True)
    assert x.sum(()).shape == x.mean(()).shape == x.var(()).shape == x.std(()).shape == ()
    assert x.sum((), keepdim=True).shape == (1, 1, 1)
    x.mean(()).backward()
    np.testing.assert_allclose(x.grad, np.full(X.shape, 1 / X.size), rtol=1e-15)


def test_means_over_long_columns_and_gradients_of_repeated_operands_lose_nothing():
    n = 2_000_000 * 9
    ones = np.broadcast_to(np.float32(1), (n, 2))
    assert F.mean(ones, 0).tolist() == [1, 1] and F.sum(ones, 0).tolist() == [n, n]
    bias, scale = (Tensor(np.ones(2, np.float32), requires_grad=True) for _ in range(2))
    (Tensor(np.ones((n, 2), np.float32)) * scale + bias).sum().backward()
    assert bias.grad.tolist() == scale.grad.tolist() == [n, n] and bias.grad.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "max", "min"])
@pytest.mark.parametrize("dim", [None, 0])
def test_dtypes_stay(name, dim, dtype):
    x = Tensor(np.linspace(1, 2, 6, dtype=dtype).reshape(3, 2), requires_grad=True)
    y = getattr(x, name)(dim)
    y = y.values if isinstance(y, F.reduction.Extremum) else y
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad.dtype == dtype


def test_spread_is_corrected_as_in_pytorch():
    x = np.array([[1.0, 2, 4], [3, 3, 3]])
    np.testing.assert_allclose(F.var(x, 1), [7 / 3, 0], rtol=1e-15)
    np.testing.assert_allclose(F.var(x, 1, correction=0), [14 / 9, 0], rtol=1e-15)
    np.testing.assert_allclose(Tensor(x).std(1, keepdim=True).numpy(), [[np.sqrt(7 / 3)], [0]], rtol=1e-15)
    same = Tensor(x, requires_grad=True)
    same.std(1).sum().backward()
    assert not same.grad[1].any() and np.isfinite(same.grad).all()
    assert np.isnan(F.var(x[:, :1], 1)).all() and np.isnan(F.var(np.ones(0)))


def test_products_with_zeros():
    x = Tensor(np.array([[2.0, 0, 3], [0, 0, 4], [1, 2, 3]]), requires_grad=True)
    x.prod(1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 6, 0], [0, 0, 0], [6, 3, 2]])


def test_all_nan_share_the_gradient_of_an_extremum():
    x = Tensor(np.array([1.0, np.nan, np.nan]), requires_grad=True)
    x.max().backward()
    np.testing.assert_array_equal(x.grad, [0, 0.5, 0.5])


def test_integers_and_truth_values_are_reduced_too():
    n = np.arange(6).reshape(2, 3)
    assert F.sum(n) == 15 and F.sum(n).dtype == np.int64 and F.mean(n) == 2.5 and F.prod(n, 1).tolist() == [0, 60]
    assert F.sum(n > 1).item() == 4 and F.max(n).item() == 5 and F.max(n, 1).indices.tolist() == [2, 2]
    assert F.argmin(n, 1).tolist() == [0, 0] and Tensor(X).argmin(2, keepdim=True).shape == (2, 3, 1)
