"""Elements put where indices and masks say. Where several meet, a kernel joins them.

`dim` counts from the end if negative. Indices are integers from 0 on, arrays or tensors. Whatever is joined with the
input takes the input's dtype.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap
from fastnn_kernels import checks

from .arithmetic import mul, unbroadcast
from .indexing import I8, checked_mask, integers, places_of, shape_of, vector
from .shaping import broadcast_to, check_array, getitem, movedim, reshape

__all__ = [
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_reduce",
    "masked_fill",
    "masked_scatter",
    "scatter",
    "scatter_add",
    "scatter_reduce",
]

JOIN = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def fitting(function: str, name: str, x: Any, like: Any) -> Any:
    """Give an array or a number in the dtype of the input."""
    x = np.asarray(x)
    if x.dtype.kind not in "biu" and x.dtype.kind != like.dtype.kind:
        raise TypeError(f"{function}: {name} of {x.dtype} cannot be put into an input of {like.dtype}")
    return x.astype(like.dtype, copy=False)


@differentiable
def _joined(input: Array, source: Array, index: Any, reduce: str, include_self: bool, function: str) -> WithBackward:
    """Join row m of a source (M, ...) with row index[m] of the input (N, ...)."""
    x, values, count = input, fitting(function, "source", source, input), len(input)
    if x.dtype.char in "fd":
        y = kernels.index_reduce(x, index, values, reduce, include_self)
    else:
        y = _joined_integers(x, index, values, reduce, include_self)

    def backward(dy: Array, needs: Needs) -> Gradients:
        column = (count, *(1,) * (x.ndim - 1))
        if reduce == "mean":
            others = np.bincount(index, minlength=count)
            numbers = others + 1 if include_self else np.maximum(others, 1)
            dy = kernels.div(dy, numbers.astype(dy.dtype).reshape(column))
        if reduce == "prod":
            dx, dsource = _product_gradients(dy, x, index, values, include_self)
        elif reduce in ("amax", "amin"):
            dx, dsource = _extremum_gradients(dy, x, index, values, y, include_self)
        else:
            dx, dsource = dy, kernels.take(dy, index) if needs[1] else None
        if not include_self and needs[0]:
            dx = np.array(dx)
            dx[index] = 0
        return dx if needs[0] else None, dsource.astype(source.dtype, copy=False) if needs[1] else None

    return y, backward


def _joined_integers(x: Any, index: Any, values: Any, reduce: str, include_self: bool) -> Any:
    y = np.array(x)
    if not include_self:
        y[index] = {"sum": 0, "mean": 0, "prod": 1}.get(reduce, values)
    if not include_self and reduce in ("amax", "amin"):
        y[index] = values  # one of those that come, which the others are then compared with
    JOIN["sum" if reduce == "mean" else reduce].at(y, index, values)
    if reduce == "mean":
        counts = np.bincount(index, minlength=len(x))
        y //= np.maximum(counts + include_self, 1).astype(y.dtype).reshape(-1, *(1,) * (x.ndim - 1))
    return y


def _extremum_gradients(dy: Any, x: Any, index: Any, values: Any, y: Any, include_self: bool) -> tuple[Any, Any]:
    """Let all that equal the extremum share its gradient evenly."""
    own = np.equal(x, y).astype(dy.dtype)
    if not include_self:
        own[index] = 0
    hits = np.equal(values, y[index]).astype(dy.dtype)
    shared = kernels.div(dy, kernels.index_reduce(own, index, hits))
    return kernels.mul(own, shared), kernels.mul(hits, kernels.take(shared, index))


def _product_gradients(dy: Any, x: Any, index: Any, values: Any, include_self: bool) -> tuple[Any, Any]:
    """Give the product of the others; where one factor is 0, only that one has a gradient."""
    one, zero = dy.dtype.type(1), dy.dtype.type(0)
    none, others = np.equal(x, 0), np.equal(values, 0)
    if not include_self:
        none[index] = False
    own, factors = np.where(none, one, x), np.where(others, one, values)
    product = kernels.index_reduce(own, index, factors, "prod", include_self)
    zeros = none.astype(I8)
    np.add.at(zeros, index, others)
    scaled = kernels.mul(dy, product)
    dx = np.where(zeros == none, kernels.div(scaled, own), zero)
    dsource = np.where(zeros[index] == others, kernels.div(kernels.take(scaled, index), factors), zero)
    return dx, dsource


def _along(function: str, input: Any, dim: int, index: Any, source: Any, name: str) -> tuple[Any, Any, Any, int]:
    """Give input and source with `dim` first, the checked index, and `dim`."""
    check_array(function, "input", input)
    check_array(function, name, source)
    dim = checks.normalize_dim(function, dim, input.ndim)
    index = vector(function, index, shape_of(input)[dim])
    x, rows = (movedim(a, dim, 0) if a.ndim > 1 else reshape(a, -1) for a in (input, source))
    if rows.shape != (len(index), *x.shape[1:]):
        raise ValueError(
            f"{function}: {name} has shape {source.shape}, but index has {len(index)} elements for dim {dim} of an "
            f"input of shape {input.shape}"
        )
    return x, rows, index, dim


def _back(y: Any, dim: int, input: Any) -> Any:
    return movedim(y, 0, dim) if input.ndim > 1 else reshape(y, input.shape)


def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Any:  # fmt: skip
    """Join slice m of the source along `dim` with slice index[m] of the input, by "prod", "mean", "amax" or "amin".

    input (..., N, ...), index (M,), source (..., M, ...) -> as the input. Without `include_self`, slices that others
    come to do not count themselves.
    """
    x, rows, index, dim = _along("index_reduce", input, dim, index, source, "source")
    checks.choice("index_reduce", "reduce", reduce, (*JOIN, "mean"))
    return _back(_joined(x, rows, index, reduce, bool(include_self), "index_reduce"), dim, input)


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    """Add alpha times slice m of the source along `dim` to slice index[m] of the input; repeated ones add up.

    input (..., N, ...), index (M,) of 0 .. N - 1, source (..., M, ...) -> as the input.
    """
    x, rows, index, dim = _along("index_add", input, dim, index, source, "source")
    return _back(_joined(x, rows if alpha == 1 else mul(rows, alpha), index, "sum", True, "index_add"), dim, input)


@differentiable
def _put(input: Array, source: Array, index: Any, function: str) -> WithBackward:
    """Write the source to elements of the input: input[index] = source."""
    y = np.array(input)
    y[index] = fitting(function, "source", source, input)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dx = None
        if needs[0]:
            dx = np.array(dy)
            dx[index] = 0
        dsource = unbroadcast(dy[index], np.asarray(source)) if needs[1] else None
        return dx, dsource

    return y, backward


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """Put slice m of the source along `dim` in place of slice index[m] of the input; of repeated ones the last."""
    x, rows, index, dim = _along("index_copy", input, dim, index, source, "source")
    return _back(_put(x, rows, index, "index_copy"), dim, input)


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """Fill the slices along `dim` that the index (M,) names with a number or a tensor without dimensions."""
    check_array("index_fill", "input", input)
    dim = checks.normalize_dim("index_fill", dim, input.ndim)
    index = vector("index_fill", index, shape_of(input)[dim])
    if np.ndim(unwrap(value)):
        raise ValueError(f"index_fill: value must be a number, got shape {np.shape(unwrap(value))}")
    return _put(input, value, (*[slice(None)] * dim, index) if input.ndim else ..., "index_fill")


def _scattered(function: str, input: Any, dim: int, index: Any, src: Any) -> tuple[Any, Any, Any]:
    """Give the flat input, what of the source goes to it, and where to."""
    check_array(function, "input", input)
    check_array(function, "src", src)
    shape, dim = shape_of(input), checks.normalize_dim(function, dim, input.ndim)
    index = integers(function, index, shape[dim])
    places = places_of(function, shape, dim, index if input.ndim else index.reshape(-1))
    if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape, strict=True)):
        raise ValueError(f"{function}: src has shape {src.shape}, index {index.shape}, which must not be larger")
    part = src if src.shape == index.shape else getitem(src, tuple(slice(n) for n in index.shape))
    return reshape(input, -1), reshape(part, -1), places.reshape(-1)


def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Any:  # fmt: skip
    """Put elements of `src`, or a number, where an index along `dim` says: the opposite of `gather`.

    For dim=1 y[i, index[i, j, k], k] = src[i, j, k], elsewhere the input. input (any shape), index (as many dimensions,
    none longer than those of input, but `dim`, and src). reduce: "add" or "multiply" joins them with the input instead.
    Of several elements for one place any may win, and each gets the gradient of that place, as in PyTorch.
    """
    check_array("scatter", "input", input)
    if (src is None) == (value is None):
        raise TypeError("scatter: give one of src and value")
    given = unwrap(value if src is None else src)
    if not np.ndim(given) and (np.ndim(unwrap(index)) or not isinstance(given, np.ndarray)):
        dtype = input.dtype if input.dtype.kind == "f" else np.asarray(given).dtype
        src = np.broadcast_to(np.asarray(given, dtype), np.shape(unwrap(index)))
    flat, part, places = _scattered("scatter", input, dim, index, src if src is not None else value)
    if reduce is None:
        return reshape(_put(flat, part, places, "scatter"), input.shape)
    checks.choice("scatter", "reduce", reduce, ("add", "multiply"))
    kind = "sum" if reduce == "add" else "prod"
    return reshape(_joined(flat, part, places, kind, True, "scatter"), input.shape)


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """Add elements of `src` where an index along `dim` says: for dim=0 y[index[i, j], j] += src[i, j].

    input (any shape), index (as many dimensions, none longer than those of input, but `dim`, and src) -> as the input.
    """
    flat, part, places = _scattered("scatter_add", input, dim, index, src)
    return reshape(_joined(flat, part, places, "sum", True, "scatter_add"), input.shape)


def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """Join elements of `src` with those where an index along `dim` says: "sum", "prod", "mean", "amax" or "amin".

    Without `include_self`, elements that others come to do not count themselves. Equal largest and smallest ones share
    the gradient evenly.
    """
    flat, part, places = _scattered("scatter_reduce", input, dim, index, src)
    checks.choice("scatter_reduce", "reduce", reduce, (*JOIN, "mean"))
    y = _joined(flat, part, places, reduce, bool(include_self), "scatter_reduce")
    return reshape(y, input.shape)


@differentiable
def _masked_fill(input: Array, value: Array, mask: Any) -> WithBackward:
    if type(value) is float and input.dtype.char in "fd":
        y = kernels.where(mask, value, input)
    else:
        y = np.where(mask, fitting("masked_fill", "value", value, input), input)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dx = unbroadcast(kernels.where(mask, 0.0, dy), input) if needs[0] else None
        return dx, unbroadcast(kernels.where(mask, dy, 0.0), value) if needs[1] else None

    return y, backward


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """Give `value` where `mask` (of bool) holds, and the input elsewhere; input and mask are broadcast.

    value: a number or a tensor without dimensions; the result has the input's dtype.
    """
    check_array("masked_fill", "input", input)
    mask = checked_mask("masked_fill", mask)
    if np.ndim(unwrap(value)):
        raise ValueError(f"masked_fill: value must be a number, got shape {np.shape(unwrap(value))}")
    if isinstance(value, int | float) and input.dtype.kind == "f":
        value = float(value)
    return _masked_fill(input, value, mask)


def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """Put the first elements of `source` where `mask` is true, in order; mask is broadcast to the input."""
    check_array("masked_scatter", "input", input)
    check_array("masked_scatter", "source", source)
    mask = checked_mask("masked_scatter", mask)
    shape = np.broadcast_shapes(input.shape, mask.shape)
    places = np.flatnonzero(np.broadcast_to(mask, shape))
    if len(places) > prod(source.shape):
        raise ValueError(f"masked_scatter: mask holds {len(places)} times, source has shape {source.shape}")
    wide = input if input.shape == shape else broadcast_to(input, shape)
    part = getitem(reshape(source, -1), slice(len(places)))
    return reshape(_put(reshape(wide, -1), part, places, "masked_scatter"), shape)


def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """Give ``input`` after ``input[indices] = values``, or ``+=`` with `accumulate`, where repeated elements add up.

    indices: a tuple of arrays of integers or bools, as many as dimensions or fewer. values: broadcast to what they
    name.
    """
    check_array("index_put", "input", input)
    if not isinstance(indices, tuple | list):
        raise TypeError(f"index_put: indices must be a tuple of arrays, got {type(indices).__name__}")
    index = tuple(unwrap(i) for i in indices)
    places = np.arange(prod(input.shape)).reshape(input.shape)[index]
    if not isinstance(values, Tensor):
        values = np.asarray(values)
    try:
        wide = values if values.shape == places.shape else broadcast_to(values, places.shape)
    except ValueError:
        raise ValueError(f"index_put: values of shape {values.shape} do not fit {places.shape}") from None
    flat, source, places = reshape(input, -1), reshape(wide, -1), places.reshape(-1)
    y = (
        _joined(flat, source, places, "sum", True, "index_put")
        if accumulate
        else _put(flat, source, places, "index_put")
    )
    return reshape(y, input.shape)
