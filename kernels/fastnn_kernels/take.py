"""Rows that are gathered from anywhere in an array: what a minibatch is."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from .ground.checks import F4, F8, I8, as_array, canonical, output
from .ground.operation import Layout, operation


def take(a, indices, mode="raise", *, out=None):
    """Return the rows a[indices], as numpy.take(a, indices, axis=0) does.

    a (N, ...) of any dtype but objects; of a memory-mapped file only the pages of these rows are read. indices (M,)
    integers -> (M, ...), in native byte order. Rows are asked for ahead of time and copied by all threads, without
    holding Python's lock. mode: "raise", or "clip" for the first or last row in place of those that do not exist.

    Raises IndexError for indices out of range (negative ones too), ValueError and TypeError for other shapes and
    dtypes.
    """
    if type(a) is not ndarray or type(indices) is not ndarray:
        a, indices = as_array("take", "a", a), as_array("take", "indices", indices)
    if a.ndim == 0 or indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise ValueError(
            f"take: expected a (N, ...) and integer indices (M,), got {a.shape} and {indices.dtype} {indices.shape}"
        )
    dtype = a.dtype
    if dtype.hasobject:
        raise TypeError(f"take: a is an array of objects, shape {a.shape}")
    if dtype.kind == "f" and dtype is not F4 and dtype is not F8:
        a = canonical(a)
        dtype = a.dtype
    count, rows = len(indices), len(a)
    if not isinstance(mode, str) or mode not in ("raise", "clip"):
        raise ValueError(f"take: mode must be 'raise' or 'clip', got {mode!r}")
    if count and not rows:
        raise IndexError(f"take: there are no rows to take, a has shape {a.shape}")
    if mode == "raise":
        if count and not 0 <= indices.min() <= indices.max() < rows:
            raise IndexError(f"take: indices must be in 0..{rows - 1}, got {indices.min()}..{indices.max()}")
    elif indices.dtype.kind == "u":
        indices = np.minimum(indices, np.uint64(max(rows, 1) - 1))
    if indices.dtype is not I8 or not indices.flags.carray:
        indices = np.array(indices, I8, order="C")
    if not dtype.isnative:
        dtype = np.promote_types(dtype, dtype)  # which are native ones
    y = output("take", out, (count, *a.shape[1:]), dtype, a, indices)
    if not y.size:
        return y
    if dtype is not a.dtype:
        y[...] = a.take(indices, axis=0, mode="clip")
        return y
    if not (a.flags.c_contiguous and y.flags.c_contiguous):
        return a.take(indices, axis=0, mode="clip", out=y)
    _take.run(None, a.reshape(rows, -1).view(np.uint8), indices, y.reshape(count, -1).view(np.uint8))
    return y


class Take(NamedTuple):
    """Rows of bytes (N, S) that go to others (M, S); indices (M,) are clipped."""

    rows: Layout
    indices: Layout
    out: Layout


@operation(integers="rows indices target")
def _take(rows, indices, target):
    return Take(rows, indices, target)
