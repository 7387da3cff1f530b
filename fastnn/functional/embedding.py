"""Rows of a table that integers choose: vectors of words, or of anything else that is counted."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap
from fastnn_kernels import checks

from .shaping import add_rows, check_array


@differentiable
def _rows(weight: Array, places: Any, shape: tuple[int, ...], padding: int | None, by_count: bool) -> WithBackward:
    def backward(dy: Array, needs: Needs) -> Gradients:
        index, source = places, dy.reshape(len(places), weight.shape[1])
        if padding is not None:
            counted = index != padding
            index, source = index[counted], source[counted]
        if by_count:
            counts = np.bincount(index, minlength=1)[index].astype(dy.dtype)
            source = kernels.div(source, counts[:, None])
        return (add_rows(index, source, len(weight)),)

    return kernels.take(weight, places).reshape(*shape, weight.shape[1]), backward


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Give the rows of `weight` that integers choose.

    input (...) of integers 0 .. N - 1, weight (N, D) -> (..., D). The row `padding_idx` (negative: from the end) gets
    no gradient. With `max_norm`, rows that are used and longer than that, by the norm of order `norm_type`, are first
    scaled to this length, in the weight itself. scale_grad_by_freq: the gradient of a row is divided by how often it
    was used. `sparse` changes nothing: gradients are arrays of the weight's shape.

    Raises IndexError for indices out of range, TypeError for indices that are no integers, ValueError for a weight that
    is no matrix.
    """
    if not isinstance(input, list | tuple):
        check_array("embedding", "input", input)
    check_array("embedding", "weight", weight)
    index, table = np.asarray(unwrap(input)), unwrap(weight)
    if np.ndim(table) != 2:
        raise ValueError(f"embedding: weight must have shape (N, D), got {np.shape(table)}")
    count = len(table)
    if index.dtype.kind not in "iu" and index.size:
        raise TypeError(f"embedding: input must be integers, got {index.dtype} of shape {index.shape}")
    places = np.ascontiguousarray(index.reshape(-1), np.int64)
    if places.size and not 0 <= places.min() <= places.max() < count:
        found = f"got {places.min()} to {places.max()}"
        raise IndexError(f"embedding: input must be from 0 to {count - 1} (weight {table.shape}), {found}")
    if padding_idx is not None:
        padding_idx = checks.integer("embedding", "padding_idx", padding_idx, -count)
        if padding_idx >= count:
            raise ValueError(f"embedding: padding_idx must be from {-count} to {count - 1}, got {padding_idx}")
        padding_idx %= count
    if max_norm is not None:
        _shorten(weight, np.unique(places), float(max_norm), float(norm_type))
    return _rows(weight, places, index.shape, padding_idx, scale_grad_by_freq)


def _shorten(weight: Any, used: Any, max_norm: float, norm_type: float) -> None:
    """Scale those of the used rows that are longer than `max_norm` to that length, in place."""
    rows = unwrap(weight)[used]
    shorter = kernels.mul(kernels.normalize(rows, norm_type, 1), max_norm)
    longer = (kernels.mul(rows, rows) > kernels.mul(shorter, shorter)).any(1)
    if longer.any():
        memory = weight._writable() if isinstance(weight, Tensor) else weight
        memory[used[longer]] = shorter[longer]
