"""More reductions: extrema over several dimensions, norms, log-sum-exp, and those that leave NaN out.

`dim` is a dimension, several, or None for all, as in `reduction`.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap, wrap

from .arithmetic import div, sub, where
from .indexing import take_along_dim
from .mathematics import abs
from .operands import lerp
from .promotion import cast, floating
from .reduction import Dim, Extremum, axes, mean, std, sum, var
from .shaping import check_array, flatten, reshape, stack
from .sorting import sort

__all__ = [
    "amax", "amin", "aminmax", "count_nonzero", "dist", "logsumexp", "median", "nanmean", "nanmedian", "nanquantile",
    "nansum", "norm", "quantile", "std_mean", "var_mean", "vector_norm",
]  # fmt: skip


class MinMax(NamedTuple):
    """What `aminmax` gives."""

    min: Any
    max: Any


def _extreme(name: str, input: Any, dim: Dim, keepdim: bool) -> WithBackward:
    axis = axes(dim)
    if input.dtype.char not in "fd":
        return getattr(np, name)(input, axis, keepdims=keepdim), lambda dy, needs: (None,)
    whole = getattr(kernels, name)(input, axis, keepdims=True)
    y = whole if keepdim else whole.reshape(_without(input.shape, axis))
    return y, lambda dy, needs: (kernels.extremum_backward(dy.reshape(whole.shape), input, whole),)


@differentiable
def amax(input: Array, dim: Dim = (), keepdim: bool = False) -> WithBackward:
    """Give the largest element over `dim`; equal ones share the gradient evenly. NaN is larger than everything."""
    return _extreme("max", input, dim, keepdim)


@differentiable
def amin(input: Array, dim: Dim = (), keepdim: bool = False) -> WithBackward:
    """Give the smallest element over `dim`; equal ones share the gradient evenly. NaN is smaller than everything."""
    return _extreme("min", input, dim, keepdim)


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """Give (min, max) over `dim`."""
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@differentiable
def logsumexp(input: Array, dim: Dim = None, keepdim: bool = False) -> WithBackward:
    """Give log(sum(e^x)) over `dim`, computed without overflow."""
    x, axis = floating("logsumexp", input), axes(dim)
    largest = float(np.finfo(x.dtype).max)
    if not x.size:
        y = kernels.log(kernels.sum(x, axis, keepdims=keepdim))
        return y, lambda dy, needs: (np.zeros_like(x),)
    top = kernels.hardtanh(kernels.max(x, axis, keepdims=True), -largest, largest)
    total = kernels.sum(kernels.exp(kernels.sub(x, top)), axis, keepdims=True)
    whole = kernels.add(kernels.log(total), top)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.mul(kernels.exp(kernels.sub(x, whole)), dy.reshape(whole.shape)),)

    return whole if keepdim else whole.reshape(_without(x.shape, axis)), backward


def _without(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """Give a shape without the axes that were reduced."""
    if axis is None:
        return ()
    gone = {a % (len(shape) or 1) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(n for d, n in enumerate(shape) if d not in gone)


def nansum(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """Add up the elements over `dim` that are not NaN."""
    return sum(_without_nan(input), dim, keepdim)


def nanmean(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """Average the elements over `dim` that are not NaN; NaN if there are none."""
    total = nansum(input, dim, keepdim)
    count = np.count_nonzero(~np.isnan(unwrap(input)), axes(dim), keepdims=keepdim)
    return div(total, count if np.ndim(count) else float(count))


def _without_nan(input: Any) -> Any:
    x = np.asarray(unwrap(input))
    return where(np.isnan(x), 0.0, input) if x.dtype.kind == "f" else input


def var_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, **correction: Any
) -> Any:
    """Give (var, mean) over `dim`; arguments as those of `var`."""
    over = None if isinstance(dim, bool) else dim
    return var(input, dim, unbiased, keepdim, **correction), mean(input, over, keepdim)


def std_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, **correction: Any
) -> Any:
    """Give (std, mean) over `dim`; arguments as those of `std`."""
    over = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, **correction), mean(input, over, keepdim)


def count_nonzero(input: Any, dim: Dim = None) -> Any:
    """Count the elements over `dim` that are not 0."""
    y = np.count_nonzero(unwrap(input), axes(dim))
    return wrap(np.asarray(y)) if isinstance(input, Tensor) else y


# ------------------------------------------------------------------------------- norms


@differentiable
def _root_of_powers(input: Array, p: float, dim: Dim, keepdim: bool) -> WithBackward:
    """Give (sum |x|^p)^(1/p); where it is 0, so is its gradient."""
    axis = axes(dim)
    if p == 2:
        magnitudes = input
        whole = kernels.sqrt(kernels.sum(kernels.square(input), axis, keepdims=True))
    else:
        magnitudes = kernels.abs(input)
        whole = kernels.pow(kernels.sum(kernels.pow(magnitudes, p), axis, keepdims=True), 1 / p)

    def backward(dy: Array, needs: Needs) -> Gradients:
        over = kernels.threshold(whole, 0.0, 1.0)
        if p == 2:
            return (kernels.mul(input, kernels.div(dy.reshape(whole.shape), over)),)
        slope = kernels.copysign(kernels.pow(kernels.div(magnitudes, over), p - 1), input)
        if p < 1:
            slope = kernels.where(magnitudes.astype(np.bool_), slope, 0.0)
        return (kernels.mul(slope, kernels.where(whole.astype(np.bool_), dy.reshape(whole.shape), 0.0)),)

    return whole if keepdim else whole.reshape(_without(input.shape, axis)), backward


def vector_norm(x: Any, ord: float = 2, dim: Dim = None, keepdim: bool = False) -> Any:
    """Give ``sum(abs(x) ** ord) ** (1 / ord)`` over `dim`: the largest magnitude for inf, the smallest for -inf.

    For 0 it is the number of elements that are not 0. The gradient of a norm that is 0 is 0.
    """
    if ord == inf:
        return amax(abs(x), dim, keepdim)
    if ord == -inf:
        return amin(abs(x), dim, keepdim)
    if ord == 1:
        return sum(abs(x), dim, keepdim)
    if ord == 0:
        return sum(cast(_like(np.asarray(unwrap(x)) != 0, x), x.dtype), dim, keepdim)
    return _root_of_powers(x, float(ord), dim, keepdim)


def _like(y: Any, x: Any) -> Any:
    """Give a tensor of an array if x is a tensor."""
    return wrap(y) if isinstance(x, Tensor) else y


def norm(input: Any, p: Any = "fro", dim: Dim = None, keepdim: bool = False) -> Any:
    """Give the vector norm over `dim`, see `vector_norm`; p="fro" or None is 2. Raises ValueError for "nuc"."""
    if p is None or p == "fro":
        p = 2
    elif isinstance(p, str):
        raise ValueError(f"norm: p must be a number or 'fro', got {p!r}")
    return vector_norm(input, p, dim, keepdim)


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """Give the norm of ``input - other``."""
    return vector_norm(sub(input, other), p)


# ------------------------------------------------------------------------------- order


@differentiable
def _element(input: Array, place: int) -> WithBackward:
    """Give one element; all that equal it share its gradient evenly."""
    y = input.reshape(-1)[place : place + 1]
    if input.dtype.char not in "fd":
        return y.reshape(()), lambda dy, needs: (None,)
    whole = y.reshape((1,) * input.ndim)
    return y.reshape(()), lambda dy, needs: (kernels.extremum_backward(dy.reshape(whole.shape), input, whole),)


def _pick(function: str, input: Any, dim: int | None, keepdim: bool, skip: bool) -> Any:
    """Give the lower median along a dimension, or of all elements: NaN if one is, unless they are skipped."""
    check_array(function, "input", input)
    x = flatten(input) if dim is None else input
    if dim is not None and not x.ndim:
        x = reshape(x, (1,))
    values, axis = np.asarray(unwrap(x)), 0 if dim is None else dim
    if not values.shape[axis]:
        raise ValueError(f"{function}: a tensor of shape {values.shape} has no median over dimension {axis}")
    order, nan = np.argsort(values, axis, kind="stable"), np.zeros(values.shape, bool)
    if values.dtype.kind == "f":
        nan = np.isnan(values)
    count = np.count_nonzero(~nan, axis=axis, keepdims=True)
    middle = np.maximum((count - 1) // 2, 0) if skip else np.full(count.shape, (values.shape[axis] - 1) // 2)
    places = np.take_along_axis(order, middle, axis)
    if not skip:
        places = np.where(nan.any(axis, keepdims=True), np.expand_dims(nan.argmax(axis), axis), places)
    if dim is None:
        return _element(input, int(places[0]))
    found = take_along_dim(x, _like(places, x), axis)
    shape = _without(values.shape, axis) if input.ndim else ()
    if keepdim and input.ndim:
        return Extremum(found, _like(places, x))
    return Extremum(reshape(found, shape), _like(places.reshape(shape), x))


def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Give the median, the lower of two; with `dim`, (values, indices) along it. NaN if an element is.

    Equal elements: over everything they share the gradient evenly, along a dimension the one at the index takes it.
    Raises ValueError if there are none.
    """
    return _pick("median", input, dim, keepdim, False)


def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Give the median of the elements that are not NaN; otherwise like `median`."""
    return _pick("nanmedian", input, dim, keepdim, True)


def _quantile(function: str, input: Any, q: Any, dim: int | None, keepdim: bool, how: str, skip: bool) -> Any:
    if how not in ("linear", "lower", "higher", "nearest", "midpoint"):
        raise ValueError(f"{function}: interpolation must be linear, lower, higher, nearest or midpoint, got {how!r}")
    check_array(function, "input", input)
    shares = np.asarray(unwrap(q), np.float64)
    if shares.ndim > 1 or not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"{function}: q must be a number from 0 to 1, or several in one dimension, got {q}")
    x, axis = (flatten(input), 0) if dim is None else (input, dim)
    values = np.asarray(unwrap(x))
    if values.dtype.kind != "f" or not values.shape[axis]:
        raise ValueError(f"{function}: input must be floats of which there is one at least, got shape {values.shape}")
    ordered, nan = sort(x, axis).values, np.isnan(values)
    count = np.count_nonzero(~nan, axis=axis, keepdims=True)
    if not skip:
        count = np.full((1,) * values.ndim, values.shape[axis])
    results = []
    for share in np.atleast_1d(shares):
        place = share * np.maximum(count - 1, 0)
        place = {"lower": np.floor, "higher": np.ceil, "nearest": np.rint}.get(how, np.array)(place)
        low = np.broadcast_to(np.floor(place).astype(np.int64), np.expand_dims(nan.any(axis), axis).shape)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        weight = place - np.floor(place)
        weight = (np.ceil(weight) / 2 if how == "midpoint" else weight).astype(values.dtype)
        ends = [take_along_dim(ordered, _like(np.ascontiguousarray(at), x), axis) for at in (low, high)]
        exact = np.broadcast_to(weight == 0, low.shape)  # where the upper end may be NaN or infinite
        y = where(exact, ends[0], lerp(ends[0], ends[1], np.broadcast_to(weight, low.shape)))
        if not skip:
            y = where(nan.any(axis, keepdims=True), np.array(np.nan, values.dtype), y)
        results.append(y)
    return _shaped(results, shares.ndim, input, values, axis, dim, keepdim)


def _shaped(results: Any, several: int, input: Any, values: Any, axis: int, dim: int | None, keepdim: bool) -> Any:
    shape = _without(values.shape, axis)
    if keepdim:
        shape = (1,) * input.ndim if dim is None else results[0].shape
    results = [reshape(y, shape) for y in results]
    return stack(results) if several else results[0]


def quantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    """Give the q-th quantiles along `dim`, or of all elements: NaN if one is. Several q make a first dimension.

    interpolation: between the two nearest elements, "linear", "lower", "higher", "nearest" or "midpoint". Raises
    ValueError for others, and for q beyond 0 .. 1.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


def nanquantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    """Give the q-th quantiles of the elements that are not NaN; otherwise like `quantile`."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
