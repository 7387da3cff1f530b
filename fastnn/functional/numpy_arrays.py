"""NumPy's functions that arrange, order, pick and multiply, for tensors: each with its counterpart here.

A row's function has NumPy's arguments, or those that its counterpart has; with others (``out=``, ``subok=``, ...)
NumPy computes with the arrays, and refuses tensors that require a gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastnn._tensor import FUNCTIONS

from . import diagonals, indexing, products, rearrange, reduction, scan, shaping, sorting
from .einsum import einsum


def _flat(x: Any) -> Any:
    """Give a tensor or an array as a vector."""
    return shaping.reshape(x, (prod(x.shape),))


def _along(operation: Callable[..., Any], a: Any, axis: int | None) -> Any:
    """Compute along an axis, or over the flattened elements."""
    return operation(_flat(a), 0) if axis is None else operation(a, axis)


TABLE: dict[Callable[..., Any], Callable[..., Any]] = {
    # another order
    np.flip: lambda m, axis=None: rearrange.flip(m, tuple(range(m.ndim)) if axis is None else axis),
    np.fliplr: lambda m: rearrange.fliplr(m),
    np.flipud: lambda m: rearrange.flipud(m),
    np.roll: lambda a, shift, axis=None: rearrange.roll(a, shift, axis),
    np.rot90: lambda m, k=1, axes=(0, 1): rearrange.rot90(m, k, axes),
    np.sort: lambda a, axis=-1, kind=None, *, stable=None: _along(lambda x, dim: sorting.sort(x, dim).values, a, axis),
    # repeated, joined, cut
    np.tile: lambda A, reps: rearrange.tile(A, tuple(reps) if isinstance(reps, tuple | list) else (reps,)),
    np.repeat: lambda a, repeats, axis=None: rearrange.repeat_interleave(a, repeats, axis),
    np.hstack: lambda tup: rearrange.hstack(tup),
    np.vstack: lambda tup: rearrange.vstack(tup),
    np.dstack: lambda tup: rearrange.dstack(tup),
    np.column_stack: lambda tup: rearrange.column_stack(tup),
    np.atleast_1d: lambda *arys: rearrange.atleast_1d(*arys),
    np.atleast_2d: lambda *arys: rearrange.atleast_2d(*arys),
    np.atleast_3d: lambda *arys: rearrange.atleast_3d(*arys),
    np.broadcast_arrays: lambda *args: rearrange.broadcast_tensors(*args),
    np.meshgrid: lambda *xi, indexing="xy": rearrange.meshgrid(*xi, indexing=indexing),
    np.hsplit: lambda ary, indices_or_sections: list(rearrange.hsplit(ary, indices_or_sections)),
    np.vsplit: lambda ary, indices_or_sections: list(rearrange.vsplit(ary, indices_or_sections)),
    np.dsplit: lambda ary, indices_or_sections: list(rearrange.dsplit(ary, indices_or_sections)),
    # picked
    np.take_along_axis: lambda arr, indices, axis=-1: indexing.take_along_dim(arr, indices, axis),
    np.tril: lambda m, k=0: diagonals.tril(m, k),
    np.triu: lambda m, k=0: diagonals.triu(m, k),
    np.diag: lambda v, k=0: diagonals.diag(v, k),
    np.diagflat: lambda v, k=0: diagonals.diagflat(v, k),
    np.diagonal: lambda a, offset=0, axis1=0, axis2=1: diagonals.diagonal(a, offset, axis1, axis2),
    np.trace: lambda a, offset=0, axis1=0, axis2=1: reduction.sum(diagonals.diagonal(a, offset, axis1, axis2), -1),
    # sums and products
    np.cumsum: lambda a, axis=None, dtype=None: _along(partial(scan.cumsum, dtype=dtype), a, axis),
    np.cumprod: lambda a, axis=None, dtype=None: _along(partial(scan.cumprod, dtype=dtype), a, axis),
    np.diff: lambda a, n=1, axis=-1, prepend=None, append=None: scan.diff(a, n, axis, prepend, append),
    np.einsum: lambda *operands, optimize=False: einsum(*operands),
    np.outer: lambda a, b: products.outer(_flat(a), _flat(b)),
    np.inner: lambda a, b: products.inner(a, b),
    np.vdot: lambda a, b: products.vdot(_flat(a), _flat(b)),
    np.kron: lambda a, b: products.kron(a, b),
    np.tensordot: lambda a, b, axes=2: products.tensordot(a, b, axes),
    np.linalg.multi_dot: lambda arrays: products.multi_dot(arrays),
}


def _adapter(operation: Callable[..., Any]) -> Callable[..., Any]:
    def adapter(*args: Any, **options: Any) -> Any:
        try:
            inspect.signature(operation).bind(*args, **options)
        except TypeError:
            return NotImplemented
        return operation(*args, **options)

    return adapter


FUNCTIONS.update({function: _adapter(operation) for function, operation in TABLE.items()})
