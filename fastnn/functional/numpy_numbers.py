"""NumPy's functions of all numbers or those along axes, of norms, and what else computes, for tensors.

Rows as in `numpy_arrays`. A row's function may give NotImplemented for values that its counterpart does not take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn._tensor import FUNCTIONS, UFUNCS
from fastnn.tape import Tensor, unwrap

from . import (
    arithmetic,
    composed,
    conversion,
    indexing,
    mathematics,
    products,
    rearrange,
    reduction,
    shaping,
    statistics,
)
from .diagonals import diagonal
from .matmul import matmul
from .numpy_arrays import _adapter
from .pad import pad


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _quantile(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Adapt a function of quantiles to NumPy's arguments."""

    def adapted(a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False) -> Any:
        known = ("linear", "lower", "higher", "nearest", "midpoint")
        if isinstance(axis, tuple | list) or method not in known or isinstance(q, Tensor):
            return NotImplemented
        return operation(a, q, axis, keepdims, interpolation=method)

    return adapted


def _percentile(quantile: Callable[..., Any]) -> Callable[..., Any]:
    def adapted(a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False) -> Any:
        return quantile(a, np.true_divide(q, 100), axis, method=method, keepdims=keepdims)

    return adapted


def _median(quantile: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, axis=None, *, keepdims=False: quantile(a, 0.5, axis, keepdims=keepdims)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norms of vectors, and Frobenius' of matrices."""
    axis = _axes(axis)
    flat = axis is None and ord is None
    if not flat:
        axis = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
        if len(axis) == 2 and ord in (None, "fro"):
            ord = 2
        elif len(axis) != 1 or isinstance(ord, str):
            return NotImplemented
    return statistics.vector_norm(x, 2 if ord is None else ord, axis, keepdims)


def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    if weights is None:
        return reduction.mean(a, _axes(axis), keepdims)
    if np.shape(weights) != np.shape(a):
        return NotImplemented
    total = reduction.sum(arithmetic.mul(a, weights), _axes(axis), keepdims)
    return arithmetic.div(total, reduction.sum(weights, _axes(axis), keepdims))


def _padded(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    if mode != "constant" or np.ndim(unwrap(constant_values)) or isinstance(constant_values, Tensor):
        return NotImplemented
    widths = np.broadcast_to(pad_width, (array.ndim, 2))
    return pad(array, [int(n) for pair in reversed(widths.tolist()) for n in pair], "constant", float(constant_values))


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        return shaping.cat([shaping.flatten(x if isinstance(x, Tensor) else np.asarray(x)) for x in (arr, values)])
    return shaping.cat([arr, values], axis)


def _extremum(all_of: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, axis=None, *, keepdims=False: all_of(a, _axes(axis) if axis is not None else (), keepdims)


def _ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    dim = () if axis is None else _axes(axis)
    return arithmetic.sub(statistics.amax(a, dim, keepdims), statistics.amin(a, dim, keepdims))


def _vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    return reduction.sum(arithmetic.mul(x1, x2), axis)


def _rollaxis(a: Any, axis: int, start: int) -> Any:
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return rearrange.moveaxis(a, axis, start - 1 if axis < start else start)


def _selected(condlist: Any, choicelist: Any, default: Any) -> Any:
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = arithmetic.where(condition, choice, y)
    return y


def _compressed(condition: Any, a: Any, axis: int | None) -> Any:
    places = np.flatnonzero(unwrap(condition))
    return indexing.index_select(shaping.flatten(a) if axis is None else a, axis or 0, places)


_quantiles, _nanquantiles = _quantile(statistics.quantile), _quantile(statistics.nanquantile)
TABLE: dict[Callable[..., Any], Callable[..., Any]] = {
    np.append: _append,
    np.around: lambda a, decimals=0: mathematics.round(a, decimals=decimals),
    np.average: _average,
    np.copy: lambda a, order="K": conversion.clone(a),
    np.linalg.diagonal: lambda x, *, offset=0: diagonal(x, offset, -2, -1),
    np.linalg.matmul: lambda x1, x2: matmul(x1, x2),
    np.linalg.matrix_transpose: lambda x: shaping.transpose(x, -2, -1),
    np.linalg.norm: _norm,
    np.linalg.outer: lambda x1, x2: products.outer(x1, x2),
    np.linalg.tensordot: lambda x1, x2, *, axes=2: products.tensordot(x1, x2, axes),
    np.linalg.trace: lambda x, *, offset=0: reduction.sum(diagonal(x, offset, -2, -1), -1),
    np.linalg.vecdot: lambda x1, x2, *, axis=-1: _vecdot(x1, x2, axis),
    np.linalg.vector_norm: lambda x, *, axis=None, keepdims=False, ord=2: statistics.vector_norm(
        x, ord, _axes(axis), keepdims
    ),
    np.matrix_transpose: lambda x: shaping.transpose(x, -2, -1),
    np.median: _median(_quantiles),
    np.nan_to_num: lambda x, copy=True, nan=0.0, posinf=None, neginf=None: composed.nan_to_num(x, nan, posinf, neginf),
    np.nanmean: lambda a, axis=None, *, keepdims=False: statistics.nanmean(a, _axes(axis), keepdims),
    np.nanmedian: _median(_nanquantiles),
    np.nanpercentile: _percentile(_nanquantiles),
    np.nanquantile: _nanquantiles,
    np.nansum: lambda a, axis=None, *, keepdims=False: statistics.nansum(a, _axes(axis), keepdims),
    np.pad: _padded,
    np.percentile: _percentile(_quantiles),
    np.ptp: _ptp,
    np.quantile: _quantiles,
    np.rollaxis: lambda a, axis, start=0: _rollaxis(a, axis, start),
    np.round: lambda a, decimals=0: mathematics.round(a, decimals=decimals),
    np.select: lambda condlist, choicelist, default=0: _selected(condlist, choicelist, default),
    np.compress: lambda condition, a, axis=None: _compressed(condition, a, axis),
}


FUNCTIONS.update({function: _adapter(operation) for function, operation in TABLE.items()})
UFUNCS[np.vecdot] = _vecdot
UFUNCS[np.divmod] = lambda a, b: (a // b, a % b)
FUNCTIONS[np.max] = FUNCTIONS[np.amax] = _adapter(_extremum(statistics.amax))
FUNCTIONS[np.min] = FUNCTIONS[np.amin] = _adapter(_extremum(statistics.amin))
