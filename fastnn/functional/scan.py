"""Running sums, products, maxima and logarithms of sums along a dimension, and differences, which undo sums."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Tensor, WithBackward, differentiable, unwrap, wrap
from fastnn_kernels import checks

from .arithmetic import sub
from .indexing import gather, narrow
from .promotion import cast, floating
from .reduction import Extremum
from .shaping import cat, check_array

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp"]


@differentiable
def _cumsum(input: Array, dim: int) -> WithBackward:
    return kernels.cumsum(input, dim), lambda dy, needs: (kernels.cumsum(dy, dim, True),)


@differentiable
def _cumprod(input: Array, dim: int) -> WithBackward:
    y = kernels.cumprod(input, dim)
    return y, lambda dy, needs: (kernels.cumprod_backward(dy, input, y, dim),)


@differentiable
def _logcumsumexp(input: Array, dim: int) -> WithBackward:
    x = floating("logcumsumexp", input)
    y = kernels.logcumsumexp(x, dim)
    return y, lambda dy, needs: (kernels.logcumsumexp_backward(dy, x, y, dim),)


def _running(function: str, kernel: Any, ufunc: np.ufunc, input: Any, dim: int, dtype: Any) -> Any:
    check_array(function, "input", input)
    dim = checks.normalize_dim(function, dim, input.ndim)
    x = input if dtype is None else cast(input, dtype)
    if x.dtype.kind == "f":
        return kernel(x, dim)
    plain = unwrap(x).astype(np.int64 if dtype is None else x.dtype, copy=False)
    y = ufunc.accumulate(plain, dim, plain.dtype) if plain.ndim else plain
    return wrap(y) if isinstance(input, Tensor) else y


def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Give x[0] + ... + x[n] along `dim`, in `dtype` if one is given; integers as int64."""
    return _running("cumsum", _cumsum, np.add, input, dim, dtype)


def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Give x[0] * ... * x[n] along `dim`, in `dtype` if one is given; integers as int64."""
    return _running("cumprod", _cumprod, np.multiply, input, dim, dtype)


def logcumsumexp(input: Any, dim: int) -> Any:
    """Give log(e^x[0] + ... + e^x[n]) along `dim`, without overflow."""
    check_array("logcumsumexp", "input", input)
    return _logcumsumexp(input, dim)


def _extremum(function: str, ufunc: np.ufunc, input: Any, dim: int) -> Extremum:
    check_array(function, "input", input)
    dim = checks.normalize_dim(function, dim, input.ndim)
    x = np.asarray(unwrap(input))
    line = x.reshape(1) if not x.ndim else x
    best = ufunc.accumulate(line, dim)
    hits = np.logical_or(np.equal(line, best), np.not_equal(line, line))  # each NaN counts
    places = np.arange(line.shape[dim]).reshape(-1, *(1,) * (line.ndim - 1 - dim))
    indices = np.maximum.accumulate(np.where(hits, places, 0), dim).reshape(x.shape)
    return Extremum(gather(input, dim, indices), wrap(indices) if isinstance(input, Tensor) else indices)


def cummax(input: Any, dim: int) -> Extremum:
    """Give (values, indices) of the largest element so far along `dim`; of equal ones the last. NaN stays."""
    return _extremum("cummax", np.maximum, input, dim)


def cummin(input: Any, dim: int) -> Extremum:
    """Give (values, indices) of the smallest element so far along `dim`; of equal ones the last. NaN stays."""
    return _extremum("cummin", np.minimum, input, dim)


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Give x[i + 1] - x[i] along `dim`, n times over; of bools whether they differ.

    `prepend` and `append` are joined to the input before.
    """
    check_array("diff", "input", input)
    if not input.ndim:
        raise ValueError("diff: input must have at least 1 dimension, got shape ()")
    n, dim = checks.integer("diff", "n", n, 0), checks.normalize_dim("diff", dim, input.ndim)
    parts = [x for x in (prepend, input, append) if x is not None]
    y = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(n):
        length = max(y.shape[dim] - 1, 0)
        later, earlier = narrow(y, dim, y.shape[dim] - length, length), narrow(y, dim, 0, length)
        y = later ^ earlier if y.dtype == bool else sub(later, earlier)
    return y
