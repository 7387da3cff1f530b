"""Diagonals and triangles of matrices, which are the last two dimensions unless others are named.

A diagonal's offset is 0 for the main one, positive above it, negative below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._device import check_device
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable, wrap
from fastnn_kernels import checks

from .reduction import sum as total
from .shaping import check_array, reshape

__all__ = [
    "block_diag",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "trace",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
]


@differentiable
def _triangle(input: Array, part: Any, diagonal: int) -> WithBackward:
    return part(input, diagonal), lambda dy, needs: (part(dy, diagonal),)


def _checked(function: str, input: Any) -> None:
    check_array(function, "input", input)
    if input.ndim < 2:
        raise ValueError(f"{function}: input must have at least 2 dimensions, got shape {input.shape}")


def tril(input: Any, diagonal: int = 0) -> Any:
    """Give the elements on and below a diagonal of matrices (..., M, N), and 0 above."""
    _checked("tril", input)
    return _triangle(input, np.tril, int(diagonal))


def triu(input: Any, diagonal: int = 0) -> Any:
    """Give the elements on and above a diagonal of matrices (..., M, N), and 0 below."""
    _checked("triu", input)
    return _triangle(input, np.triu, int(diagonal))


def tril_indices(row: int, col: int, offset: int = 0, **options: Any) -> Any:
    """Give the rows and columns of the elements on and below a diagonal of a (row, col) matrix: a tensor (2, count).

    options: `dtype`, int64 if not given; `device`, "cpu"; `layout`.
    """
    return _indices("tril_indices", np.tril_indices, row, col, offset, **options)


def triu_indices(row: int, col: int, offset: int = 0, **options: Any) -> Any:
    """Give the rows and columns of the elements on and above a diagonal of a (row, col) matrix: a tensor (2, count).

    options: `dtype`, int64 if not given; `device`, "cpu"; `layout`.
    """
    return _indices("triu_indices", np.triu_indices, row, col, offset, **options)


def _indices(
    function: str,
    find: Any,
    row: int,
    col: int,
    offset: int,
    dtype: Any = np.int64,
    device: Any = None,
    layout: Any = None,
) -> Any:
    check_device(function, device)
    size = checks.integer(function, "row", row, 0), int(offset), checks.integer(function, "col", col, 0)
    return wrap(np.stack(find(*size)).astype(np.int64 if dtype is None else dtype))


def _view(x: Any, offset: int, dim1: int, dim2: int) -> Any:
    """Give the diagonal of an array, a view that can be written to if the array can."""
    y = np.diagonal(x, offset, dim1, dim2)
    y.flags.writeable = x.flags.writeable
    return y


@differentiable
def _diagonal(input: Array, offset: int, dim1: int, dim2: int) -> WithBackward:
    def backward(dy: Array, needs: Needs) -> Gradients:
        dx = np.zeros(input.shape, dy.dtype)
        _view(dx, offset, dim1, dim2)[...] = dy
        return (dx,)

    return _view(input, offset, dim1, dim2), backward


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """Give a diagonal of the matrices in two dimensions, a view: (..., M, N) -> (..., its length), in the last one."""
    _checked("diagonal", input)
    return _diagonal(input, *_places("diagonal", input.ndim, offset, dim1, dim2))


def _places(function: str, ndim: int, offset: int, dim1: int, dim2: int) -> tuple[int, int, int]:
    a, b = (checks.normalize_dim(function, d, ndim, n) for d, n in ((dim1, "dim1"), (dim2, "dim2")))
    if a == b:
        raise ValueError(f"{function}: dim1 and dim2 must differ, got {dim1} and {dim2}")
    return int(offset), a, b


@differentiable
def _embedded(input: Array, offset: int, dim1: int, dim2: int) -> WithBackward:
    side = input.shape[-1] + abs(offset)
    shape = list(input.shape[:-1])
    for dim in sorted((dim1, dim2)):
        shape.insert(dim, side)
    y = np.zeros(shape, input.dtype)
    _view(y, offset, dim1, dim2)[...] = input
    return y, lambda dy, needs: (_view(dy, offset, dim1, dim2),)


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Give square matrices with the input's last dimension on a diagonal and 0 elsewhere; in new dimensions dim1, dim2.

    input (..., N) -> (..., N + |offset|, N + |offset|).
    """
    check_array("diag_embed", "input", input)
    if not input.ndim:
        raise ValueError("diag_embed: input must have at least 1 dimension, got shape ()")
    return _embedded(input, *_places("diag_embed", input.ndim + 1, offset, dim1, dim2))


def diag(input: Any, diagonal: int = 0) -> Any:
    """Give the matrix with a vector (N,) on its diagonal, or the diagonal of a matrix (M, N)."""
    check_array("diag", "input", input)
    if input.ndim not in (1, 2):
        raise ValueError(f"diag: input must be a vector or a matrix, got shape {input.shape}")
    if input.ndim == 1:
        return _embedded(input, *_places("diag", 2, diagonal, 0, 1))
    return _diagonal(input, *_places("diag", 2, diagonal, 0, 1))


def diagflat(input: Any, offset: int = 0) -> Any:
    """Give the matrix with the flattened input on its diagonal."""
    check_array("diagflat", "input", input)
    return diag(reshape(input, -1), offset)


def trace(input: Any) -> Any:
    """Give the sum of the diagonal of a matrix (M, N)."""
    check_array("trace", "input", input)
    if input.ndim != 2:
        raise ValueError(f"trace: input must be a matrix, got shape {input.shape}")
    return total(diagonal(input))


@differentiable
def _block_diag(*arrays: Array) -> WithBackward:
    ends = np.cumsum([x.shape for x in arrays], 0).tolist()
    blocks = [
        (slice(bottom - x.shape[0], bottom), slice(right - x.shape[1], right))
        for x, (bottom, right) in zip(arrays, ends, strict=True)
    ]
    y = np.zeros(ends[-1], np.result_type(*arrays))
    for x, block in zip(arrays, blocks, strict=True):
        y[block] = x
    return y, lambda dy, needs: tuple(
        dy[block].astype(x.dtype, copy=False) if needed else None
        for x, block, needed in zip(arrays, blocks, needs, strict=True)
    )


def block_diag(*tensors: Any) -> Any:
    """Give the matrix with matrices along its diagonal and 0 elsewhere; vectors count as rows, numbers as (1, 1)."""
    if not tensors:
        raise ValueError("block_diag: expected at least one tensor")
    for i, x in enumerate(tensors):
        check_array("block_diag", f"tensors[{i}]", x)
        if x.ndim > 2:
            raise ValueError(f"block_diag: tensors[{i}] must have at most 2 dimensions, got shape {x.shape}")
    return _block_diag(*[x if x.ndim == 2 else reshape(x, 1, -1) for x in tensors])
