"""Reductions beyond sums: values against NumPy, NaN, empty and scalar inputs, dtypes, errors."""

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 4, 5))
HOLES = X.copy()
HOLES[0, 1, 2] = HOLES[1, :2, 0] = np.nan
DIMS = [None, 0, -1, (0, 2), [1], ()]


def axis_of(dim):
    return None if dim in (None, ()) else tuple(dim) if isinstance(dim, list) else dim


# name: (options, NumPy's function of x, axis)
TABLE = {
    "amax": ({}, np.max),
    "amin": ({}, np.min),
    "nansum": ({}, np.nansum),
    "nanmean": ({}, np.nanmean),
    "logsumexp": ({}, lambda x, axis: np.log(np.sum(np.exp(x), axis))),
    "count_nonzero": ({}, np.count_nonzero),
    "norm": ({}, lambda x, axis: np.sqrt(np.sum(x * x, axis))),
    "vector_norm": ({"ord": 3}, lambda x, axis: np.sum(abs(x) ** 3, axis) ** (1 / 3)),
    "vector_norm 0": ({"ord": 0}, lambda x, axis: np.sum(x != 0, axis)),
    "vector_norm 1": ({"ord": 1}, lambda x, axis: np.sum(abs(x), axis)),
    "vector_norm inf": ({"ord": np.inf}, lambda x, axis: np.max(abs(x), axis)),
    "vector_norm -inf": ({"ord": -np.inf}, lambda x, axis: np.min(abs(x), axis)),
    "vector_norm -1": ({"ord": -1}, lambda x, axis: np.sum(1 / abs(x), axis) ** -1),
    "var": ({"unbiased": False}, np.var),
    "std": ({"correction": 2}, lambda x, axis: np.std(x, axis, ddof=2)),
}


@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("name", TABLE)
def test_values(name, dim):
    options, oracle = TABLE[name]
    function = getattr(F, name.split()[0])
    for x in (X, X[::-1, :, ::2], X.astype(np.float32)):
        tolerance = 1e-12 if x.dtype == np.float64 else 1e-5
        y = function(x, dim=dim, **options)
        np.testing.assert_allclose(y, oracle(x, axis_of(dim)), rtol=tolerance)
        assert name == "count_nonzero" or y.dtype == x.dtype
        tensor = function(Tensor(x), dim=dim, **options)
        assert isinstance(tensor, Tensor)
        np.testing.assert_array_equal(tensor.numpy(), y)
        if name != "count_nonzero":
            kept = function(x, dim=dim, keepdim=True, **options)
            assert kept.shape == np.sum(x, axis_of(dim), keepdims=True).shape


@pytest.mark.parametrize("dim", [None, 0, 1, -1])
def test_median_and_quantiles(dim):
    for x in (X, HOLES, np.round(X), X[:, :3]):
        for q in (0.0, 0.3, 0.5, 1.0, [0.25, 0.75]):
            for how in ("linear", "lower", "higher", "nearest", "midpoint"):
                y = F.quantile(x, q, dim, interpolation=how)
                np.testing.assert_allclose(y, np.quantile(x, q, axis=dim, method=how), rtol=1e-12, atol=1e-12)
                y = F.nanquantile(x, q, dim, interpolation=how)
                np.testing.assert_allclose(y, np.nanquantile(x, q, axis=dim, method=how), rtol=1e-12, atol=1e-12)
        for function, oracle in ((F.median, np.quantile), (F.nanmedian, np.nanquantile)):
            expected = oracle(x, 0.5, axis=dim, method="lower")
            y = function(x) if dim is None else function(x, dim).values
            np.testing.assert_array_equal(y, expected)
            if dim is not None:
                values, places = function(Tensor(x), dim, keepdim=True)
                np.testing.assert_array_equal(np.take_along_axis(x, places.numpy(), dim), values.numpy())


def test_nan():
    with np.errstate(invalid="ignore"):
        for name in ("amax", "amin", "norm", "logsumexp"):
            y = getattr(F, name)(HOLES, dim=1)
            np.testing.assert_array_equal(np.isnan(y), np.isnan(HOLES).any(1))
    np.testing.assert_allclose(F.nansum(HOLES, 1), np.nansum(HOLES, 1))
    np.testing.assert_allclose(F.nanmean(HOLES), np.nanmean(HOLES))
    assert np.isnan(F.nanmean(np.full(3, np.nan))) and F.nansum(np.full(3, np.nan)) == 0
    x = Tensor([1.0, np.nan, 3.0], requires_grad=True)
    F.nanmean(x).backward()
    assert x.grad.tolist() == [0.5, 0, 0.5]


def test_logsumexp_of_large_and_infinite_numbers():
    x = np.array([[-np.inf, -np.inf], [np.inf, 1], [1e3, 1e3], [-1e3, -1e3], [3e38, 0]], np.float32)
    np.testing.assert_allclose(F.logsumexp(x, 1), [-np.inf, np.inf, 1e3 + np.log(2), -1e3 + np.log(2), 3e38], rtol=1e-6)
    assert F.logsumexp(np.zeros((0, 3)), 0).tolist() == [-np.inf] * 3
    assert F.logsumexp(np.arange(2), 0) == pytest.approx(np.log(1 + np.e))


def test_extrema_share_the_gradient():
    x = Tensor([[1.0, 2.0, 2.0], [3.0, 0.0, 3.0]], requires_grad=True)
    F.amax(x, 1).sum().backward()
    assert x.grad.tolist() == [[0, 0.5, 0.5], [0.5, 0, 0.5]]
    assert F.amax(np.arange(6).reshape(2, 3), 1).tolist() == [2, 5]
    low, high = F.aminmax(np.array([[1, 5], [7, 3]]), dim=1)
    assert low.tolist() == [1, 3] and high.tolist() == [5, 7]


def test_norms_of_zeros_have_no_slope():
    for p in (0.5, 1, 1.5, 2, 3, np.inf, -np.inf):
        x = Tensor(np.zeros(3), requires_grad=True)
        F.norm(x, p).backward()
        assert x.grad.tolist() == [0, 0, 0], p


def test_dtype():
    x = Tensor(np.float32([1.5, 2.5]), requires_grad=True)
    for name in ("sum", "mean", "prod", "norm", "nansum", "nanmean"):
        x.grad = None
        y = getattr(F, name)(x, dtype=np.float64)
        assert y.dtype == np.float64, name
        y.backward()
        assert x.grad.dtype == np.float32 and x.grad.shape == (2,)
    assert F.sum(np.array([1, 2]), dtype=np.float32).dtype == np.float32
    assert F.sum(np.float32([1.7, 2.7]), dtype=np.int64) == 3


def test_variance_as_pytorch_is_asked():
    assert F.var(X, False) == F.var(X, correction=0) == F.var(X, unbiased=False)
    np.testing.assert_array_equal(F.std(X, 1, True, True), F.std(X, 1, keepdim=True))
    variance, mean = F.var_mean(X, (0, 1), correction=0)
    np.testing.assert_allclose(variance, np.var(X, (0, 1)))
    np.testing.assert_allclose(mean, np.mean(X, (0, 1)))
    with pytest.raises(TypeError, match="var: unbiased=True and correction=1 say the same"):
        F.var(X, unbiased=True, correction=1)


def test_scalars_and_empty_arrays():
    x = np.array(2.5)
    for name in ("amax", "amin", "logsumexp", "norm", "nansum", "nanmean"):
        assert getattr(F, name)(x, dim=0) == 2.5
    assert F.median(x, 0) == (2.5, 0) and F.quantile(x, 0.3) == 2.5
    assert F.norm(np.zeros((0, 3)), dim=0).tolist() == [0, 0, 0]
    assert F.count_nonzero(np.zeros((0, 3)), 0).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.amax(np.zeros((0, 3)), 0), r"max: a zero-size array of shape \(0, 3\)"),
        (lambda: F.median(np.zeros((0, 3)), 0), r"median: a tensor of shape \(0, 3\) has no median"),
        (lambda: F.quantile(X, 1.5), "quantile: q must be a number from 0 to 1, or several in one dimension, got 1.5"),
        (lambda: F.quantile(X, 0.5, interpolation="cubic"), "quantile: interpolation must be linear, lower"),
        (lambda: F.quantile(np.arange(3), 0.5), "quantile: input must be floats"),
        (lambda: F.norm(X, "nuc"), "norm: p must be a number or 'fro', got 'nuc'"),
        (lambda: F.norm(X, dim=3), "sum: axis must be"),
        (lambda: F.div(X, 2, rounding_mode="up"), "div: rounding_mode must be None, 'trunc' or 'floor', got 'up'"),
        (lambda: F.lerp(X, X, np.ones(3)), r"lerp: input \(3, 4, 5\), end \(3, 4, 5\), weight \(3,\) could not be"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
