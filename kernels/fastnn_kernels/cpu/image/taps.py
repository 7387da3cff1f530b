"""The matrices of resampling: a sparse one per axis, of which every mode is one."""

import numpy as np

from ...ground.memory import ALIGNMENT
from ..pool.window_tables import Windows
from ..vector.simd import vector_bytes
from ..vector.values import HAS_LOOKUP

INT32 = np.dtype(np.int32)
PAIRS = (1, 2, 4) if HAS_LOOKUP else ()  # of vectors, from which lanes are picked


class Taps:
    """A sparse matrix (count, length): row m has the taps first[m] .. first[m + 1], each with an index and a weight."""

    def __init__(self, rows, columns, weights, count, length):
        order = np.argsort(rows, kind="stable")
        self.length, self.first = length, np.searchsorted(rows[order], np.arange(count + 1))
        self.indices, self.weights = columns[order].astype(np.int64), weights[order]
        self.identity = count == length == len(rows) and bool(
            (self.indices == np.arange(count)).all() and (rows[order] == self.indices).all() and (weights == 1).all()
        )

    def __len__(self):
        return len(self.first) - 1

    def by_rows(self, dtype):
        """Return (table, weights) as the kernels in `resize` want them."""
        return np.concatenate([self.first, self.indices]), self.weights.astype(dtype)

    def by_lanes(self, dtype, size):
        """Return (table, indices, weights, pairs) by vectors of outputs, for pixels of `size` numbers."""
        lanes = vector_bytes() // dtype.itemsize
        vectors = -(-len(self) * size // lanes)
        outputs = np.minimum(np.arange(vectors * lanes), len(self) * size - 1).reshape(vectors, lanes)
        m, number = np.divmod(outputs, size)
        counts = np.diff(self.first)[m]
        most = counts.max(1)
        first = np.append(0, np.cumsum(most))
        vector = np.repeat(np.arange(vectors), most)
        tap = (np.arange(first[-1]) - first[vector])[:, None]
        used = tap < counts[vector]
        taps = np.where(used, self.first[m][vector] + tap, 0)
        sources = self.indices[taps] * size + number[vector]
        starts = np.full(vectors, sources.max(initial=0))
        np.minimum.at(starts, vector, np.where(used, sources, sources.max(initial=0)).min(1))
        for offsets in (starts // lanes * lanes, starts):  # rather where vectors are aligned
            indices = np.where(used, sources - offsets[vector, None], 0)
            pairs = next((n for n in PAIRS if indices.max(initial=0) < 2 * n * lanes), 0)
            if pairs == 1:
                break
        weights = np.where(used, self.weights[taps], 0)
        return np.append(first, offsets), aligned(indices, INT32), aligned(weights, dtype), pairs


def aligned(values, dtype):
    """Return a copy aligned for vectors. It belongs to a plan, so it does not come from the calls' allocator."""
    size = values.size * dtype.itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    copy = room[start : start + size].view(dtype).reshape(values.shape)
    copy[...] = values
    return copy


ONE = Taps(*np.array([[0], [0], [1]]), 1, 1)  # for the axes that signals and images lack


def matrix(axis, mode: str, align_corners: bool, back: bool) -> Taps:
    """Return the matrix (count, length) of an axis and a mode, or its transpose."""
    length, count, scale = axis
    i = np.arange(count)
    if mode == "area":
        windows = Windows.adaptive(length, count)
        rows = np.repeat(i, windows.counts)
        ends = np.cumsum(windows.counts)
        columns = np.arange(len(rows)) - np.repeat(ends - windows.counts - windows.starts, windows.counts)
        return _sparse(rows, columns, np.repeat(1 / windows.counts, windows.counts), count, length, back)
    if mode.startswith("nearest"):
        # in float32, as in PyTorch: where a position is a whole number, rounding decides
        at = np.floor(np.float32(i + (mode == "nearest-exact") / 2) * np.float32(scale)).astype(np.int64)
        return _sparse(i, np.minimum(at, length - 1), np.ones(count), count, length, back)
    if align_corners:
        at = i * ((length - 1) / (count - 1)) if count > 1 else np.zeros(count)
    else:
        at = (i + 0.5) * scale - 0.5
    if mode != "bicubic":
        at = i if count == length else at  # whatever the scale factor, as in PyTorch
        at = np.clip(at, 0, length - 1)
    whole = np.floor(at).astype(np.int64)
    t = at - whole
    weights = _keys(t) if mode == "bicubic" else {0: 1 - t, 1: t}
    rows = np.repeat(i, len(weights))
    columns = np.stack([np.clip(whole + k, 0, length - 1) for k in weights], 1).ravel()
    return _sparse(rows, columns, np.stack(list(weights.values()), 1).ravel(), count, length, back)


def _keys(t, a=-0.75):
    """Return the weights of the four pixels around a position (Keys, 1981), t behind the second of them."""

    def inner(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def outer(d):
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return {-1: outer(t + 1), 0: inner(t), 1: inner(1 - t), 2: outer(2 - t)}


def _sparse(rows, columns, weights, count, length, back):
    """Return a sparse matrix or its transpose; taps of weight zero are left out (they would turn inf into NaN)."""
    kept = weights != 0
    rows, columns, weights = rows[kept], columns[kept], weights[kept]
    return Taps(columns, rows, weights, length, count) if back else Taps(rows, columns, weights, count, length)
