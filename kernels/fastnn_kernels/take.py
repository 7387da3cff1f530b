"""Rows that are gathered from anywhere in an array: what a minibatch is."""

import numpy as np

from ._parallel import tasks
from ._shapes import output
from .cpu.take import LINE, take__rows

GRAIN = 1 << 16  # bytes copied by a task, at least
INDEX = np.dtype(np.int64)
ANY = np.dtype(np.float32)  # rows are copied as bytes: one compiled kernel serves all dtypes


def take(a, indices, mode="raise", *, out=None):
    """Return the rows a[indices], as numpy.take(a, indices, axis=0) does.

    a (N, ...) of any dtype but objects; of a memory-mapped file only the pages of these rows are read. indices (M,)
    integers -> (M, ...). Rows are asked for ahead of time and copied by all threads, without holding Python's lock.
    mode: "raise", or "clip" for the first or last row in place of those that do not exist.

    Raises IndexError for indices out of range (negative ones too), ValueError and TypeError for other shapes and
    dtypes.
    """
    a, indices = np.asarray(a), np.asarray(indices)
    if a.ndim == 0 or indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise ValueError(
            f"take: expected a (N, ...) and integer indices (M,), got {a.shape} and {indices.dtype} {indices.shape}"
        )
    if a.dtype.hasobject:
        raise TypeError(f"take: a is an array of objects, shape {a.shape}")
    count, rows = len(indices), len(a)
    if mode == "raise":
        if count and not 0 <= indices.min() <= indices.max() < rows:
            raise IndexError(f"take: indices must be in 0..{rows - 1}, got {indices.min()}..{indices.max()}")
    elif mode != "clip":
        raise ValueError(f"take: mode must be 'raise' or 'clip', got {mode!r}")
    elif count and not rows:
        raise IndexError(f"take: there are no rows to take, a has shape {a.shape}")
    y = output("take", out, (count, *a.shape[1:]), a.dtype, a)
    if not y.size:
        return y
    width = y.nbytes // count
    if width < LINE or not (a.flags.c_contiguous and y.flags.c_contiguous):
        return a.take(indices, axis=0, mode="clip", out=y)
    if indices.dtype is not INDEX or not indices.flags.c_contiguous:
        indices = np.ascontiguousarray(indices, np.int64)
    source, target = a.reshape(rows, -1).view(np.uint8), y.reshape(count, -1).view(np.uint8)
    take__rows[ANY](source, indices, target, count, tasks(count, max(1, GRAIN // width)))
    return y
