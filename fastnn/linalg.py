"""PyTorch's place for linear algebra: norms and products. Factorizations and solvers are not here: NumPy has them."""

from __future__ import annotations

from math import inf
from typing import Any

from fastnn import functional as F
from fastnn.functional import matmul, multi_dot
from fastnn.functional.statistics import vector_norm

__all__ = ["diagonal", "matmul", "matrix_norm", "multi_dot", "norm", "vecdot", "vector_norm"]


def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Any = None, dtype: Any = None) -> Any:
    """Give the norm of vectors (`dim` one dimension, or nothing given) or of matrices (`dim` two, or "fro").

    A (any shape) -> one number, or one per vector or matrix. ord: a number, inf or "fro"; 2 if not given. Gives what
    `vector_norm` and `matrix_norm` give.
    """
    x = A if dtype is None else A.astype(dtype)
    dims = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if isinstance(ord, str) or len(dims) == 2 or (ord is not None and dim is None and x.ndim == 2):
        y = matrix_norm(x, "fro" if ord is None else ord, dims or (-2, -1), keepdim)
    else:
        y = vector_norm(x, 2 if ord is None else ord, dims or None, keepdim)
    return y if out is None else out.copy_(y)


def matrix_norm(A: Any, ord: Any = "fro", dim: tuple[int, int] = (-2, -1), keepdim: bool = False) -> Any:
    """Give the norm of matrices that stand in two dimensions.

    ord: "fro" (the root of all squares), 1 or -1 (the largest or smallest sum of magnitudes of a column), inf or -inf
    (of a row). Raises ValueError for others, which need singular values, and for matrices that are none.
    """
    if A.ndim < 2 or len(dim) != 2:
        raise ValueError(f"matrix_norm: expected matrices in two dimensions, got shape {tuple(A.shape)} and dim {dim}")
    if ord == "fro":
        return vector_norm(A, 2, dim, keepdim)
    if ord not in (1, -1, inf, -inf):
        raise ValueError(f"matrix_norm: ord must be 'fro', 1, -1, inf or -inf, got {ord!r}")
    rows, columns = (d % A.ndim for d in dim)
    summed, over = (rows, columns) if abs(ord) == 1 else (columns, rows)
    extreme = F.amax if ord > 0 else F.amin
    y = extreme(F.sum(F.abs(A), summed, True), over, True)
    return y if keepdim else F.squeeze(y, (rows, columns))


def vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    """Give the sum of the products of elements along `dim`, the others broadcast."""
    return F.sum(F.mul(x, y), dim)


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Give the diagonals of matrices."""
    return F.diagonal(A, offset, dim1, dim2)


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"fastnn.linalg has no {name}: it has norms and products; NumPy's linalg computes with x.detach().numpy()"
    )
