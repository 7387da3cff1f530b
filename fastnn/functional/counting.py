"""How often, where and which: counts, places in sorted lists, different elements. Nothing here has a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.tape import Tensor, unwrap, wrap
from fastnn_kernels import checks

from .shaping import check_array

__all__ = [
    "bincount",
    "bucketize",
    "histc",
    "searchsorted",
    "unique",
    "unique_consecutive",
    "unravel_index",
]


def _like(input: Any, *results: Any) -> Any:
    """Give tensors where the input is one; of several results a tuple."""
    made = tuple(map(wrap, results)) if isinstance(input, Tensor) else results
    return made if len(made) > 1 else made[0]


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """Give how often 0, 1, 2, ... occur in a vector of integers, int64; or the sums of their weights, float64.

    As many counts as the largest integer needs, at least `minlength`. Weights of float32 keep their dtype.
    """
    check_array("bincount", "input", input)
    x, w = np.asarray(unwrap(input)), None if weights is None else np.asarray(unwrap(weights))
    if x.ndim != 1 or x.dtype.kind not in "iub" or (x.size and x.min() < 0):
        raise ValueError(f"bincount: input must be a vector of integers from 0 on, got {x.dtype} of shape {x.shape}")
    if w is not None and w.shape != x.shape:
        raise ValueError(f"bincount: weights have shape {w.shape} but input has {x.shape}")
    y = np.bincount(x.astype(np.int64), w, checks.integer("bincount", "minlength", minlength, 0))
    return _like(input, y.astype(w.dtype) if w is not None and w.dtype == np.float32 else y)


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """Give how many elements fall into each of `bins` equal parts of min .. max, in the input's dtype.

    The last part has both of its ends; elements outside do not count. min = max stands for those of the input.
    """
    check_array("histc", "input", input)
    x, bins = np.asarray(unwrap(input)), checks.integer("histc", "bins", bins, 1)
    if min > max:
        raise ValueError(f"histc: min must not be above max, got {min} and {max}")
    low, high = (min, max) if min != max or not x.size else (x.min(), x.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"histc: range {low} .. {high} is not finite")
    if low == high:
        low, high = low - 1, high + 1
    counted = np.histogram(x[np.logical_and(x >= low, x <= high)], bins, (float(low), float(high)))[0]
    return _like(input, counted.astype(x.dtype))


def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    """Give where each value would have to be inserted to keep a sorted sequence sorted, int64.

    sorted_sequence (N,) and input of any shape, or (..., N) and (..., M) with one sequence per row. Before equal
    elements, or after them with ``right=True`` or ``side="right"``. sorter: what `argsort` gave, if it is not sorted.
    """
    check_array("searchsorted", "sorted_sequence", sorted_sequence)
    sequence, values = np.asarray(unwrap(sorted_sequence)), np.asarray(unwrap(input))
    if side is not None:
        checks.choice("searchsorted", "side", side, ("left", "right"))
    where: Any = side or ("right" if right else "left")
    if sorter is not None:
        order = np.asarray(unwrap(sorter))
        if order.shape != sequence.shape:
            raise ValueError(f"searchsorted: sorter has shape {order.shape} but sorted_sequence {sequence.shape}")
        sequence = np.take_along_axis(sequence, order, -1)
    if sequence.ndim == 1:
        y = np.asarray(np.searchsorted(sequence, values, where))
    elif not sequence.ndim or sequence.shape[:-1] != values.shape[:-1]:
        raise ValueError(
            f"searchsorted: sorted_sequence of shape {sequence.shape} does not fit an input of shape {values.shape}"
        )
    else:
        y = np.empty(values.shape, np.int64)
        for row in np.ndindex(values.shape[:-1]):
            y[row] = np.searchsorted(sequence[row], values[row], where)
    y = y.astype(np.int32 if out_int32 else np.int64, copy=False)
    return wrap(y) if isinstance(input, Tensor) or isinstance(sorted_sequence, Tensor) else y


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """Give the number of each element's interval between sorted boundaries (N,): 0 .. N, int64.

    Intervals have their upper ends, or with ``right=True`` their lower ones.
    """
    edges = np.asarray(unwrap(boundaries))
    if edges.ndim != 1:
        raise ValueError(f"bucketize: boundaries must be a vector, got shape {edges.shape}")
    where: Any = "right" if right else "left"
    y = np.asarray(np.searchsorted(edges, np.asarray(unwrap(input)), where))
    return _like(input, y.astype(np.int32 if out_int32 else np.int64, copy=False))


def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Give the different elements, or slices along `dim`, sorted; and, if asked for, indices and counts.

    The indices tell for each element of the input which of the different ones it is, the counts how often each occurs.
    Each NaN is different. They come sorted in any case.
    """
    check_array("unique", "input", input)
    x = np.asarray(unwrap(input))
    if dim is not None:
        dim = checks.normalize_dim("unique", dim, x.ndim)
    y, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    inverse = inverse.reshape(x.shape if dim is None else -1)
    return _chosen(input, y, inverse, counts, return_inverse, return_counts)


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Give the first of each run of equal elements, or slices along `dim`; and, if asked for, indices and counts."""
    check_array("unique_consecutive", "input", input)
    x = np.asarray(unwrap(input))
    if dim is not None:
        dim = checks.normalize_dim("unique_consecutive", dim, x.ndim)
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
    fresh = np.ones(len(rows), bool)
    if len(rows) > 1:
        fresh[1:] = np.any((rows[1:] != rows[:-1]).reshape(len(rows) - 1, -1), 1)
    starts = np.flatnonzero(fresh)
    counts = np.append(starts[1:], len(rows)) - starts if len(rows) else np.zeros(0, np.int64)
    y, inverse = rows[starts], np.repeat(np.arange(len(starts)), counts)
    if dim is None:
        return _chosen(input, y, inverse.reshape(x.shape), counts, return_inverse, return_counts)
    return _chosen(input, np.moveaxis(y, 0, dim), inverse, counts, return_inverse, return_counts)


def _chosen(input: Any, y: Any, inverse: Any, counts: Any, with_inverse: bool, with_counts: bool) -> Any:
    return _like(input, y, *([inverse] if with_inverse else []), *([counts] if with_counts else []))


def unravel_index(indices: Any, shape: Any) -> Any:
    """Give flat indices into a shape as one array of indices per dimension, a tuple."""
    flat, shape = np.asarray(unwrap(indices)), (shape,) if isinstance(shape, int) else tuple(shape)
    try:
        found = np.unravel_index(flat, shape)
    except (TypeError, ValueError) as error:
        raise ValueError(f"unravel_index: indices do not fit shape {shape}: {error}") from None
    return tuple(wrap(x) if isinstance(indices, Tensor) else x for x in found)
