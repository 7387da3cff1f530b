"""Softmax and its logarithm: over rows (the dimension lies in memory one after the other) or over columns.

Each shifts by the largest value, so that no exponential overflows. A row or column of -inf has no shift: NaN.
"""

import math

from .._elementary import exp, log
from .._jit import jitted, kernel
from .._simd import maximum

BLOCK = 512  # columns that are worked on together: three rows of them stay in the first-level cache


@jitted
def row_maximum(x, r):
    """Return the largest value of row r; NaN if there is one."""
    largest = x.dtype.type(-math.inf)
    for c in range(x.shape[1]):
        largest = maximum(largest, x[r, c])
    return largest


@jitted
def sum_of_exponentials(x, r, shift):
    """Return the sum of e^(x - shift) over row r."""
    total = x.dtype.type(0)
    for c in range(x.shape[1]):
        total += exp(x[r, c] - shift)
    return total


@kernel("T[:,::1], T[:,::1]", writes="out", parallel=True)
def softmax__rows(x, out, lo, hi):
    """x(R, C) -> out(R, C)."""
    for r in range(lo, hi):
        shift = row_maximum(x, r)
        total = x.dtype.type(0)
        for c in range(x.shape[1]):
            e = exp(x[r, c] - shift)
            out[r, c] = e
            total += e
        scale = x.dtype.type(1) / total
        for c in range(x.shape[1]):
            out[r, c] *= scale


@kernel("T[:,::1], T[:,::1]", writes="out", parallel=True)
def log_softmax__rows(x, out, lo, hi):
    """x(R, C) -> out(R, C)."""
    for r in range(lo, hi):
        shift = row_maximum(x, r)
        rest = log(sum_of_exponentials(x, r, shift))
        for c in range(x.shape[1]):
            out[r, c] = (x[r, c] - shift) - rest


@kernel("T[:,::1], T[:,::1], T[:,::1]", writes="out", parallel=True)
def softmax_backward__rows(dy, y, out, lo, hi):
    """dy(R, C), y(R, C) -> out(R, C) = y (dy - sum(dy y))."""
    for r in range(lo, hi):
        total = y.dtype.type(0)
        for c in range(y.shape[1]):
            total += dy[r, c] * y[r, c]
        for c in range(y.shape[1]):
            out[r, c] = y[r, c] * (dy[r, c] - total)


@kernel("T[:,::1], T[:,::1], T[:,::1]", writes="out", parallel=True)
def log_softmax_backward__rows(dy, y, out, lo, hi):
    """dy(R, C), y(R, C) -> out(R, C) = dy - e^y sum(dy)."""
    for r in range(lo, hi):
        total = y.dtype.type(0)
        for c in range(y.shape[1]):
            total += dy[r, c]
        for c in range(y.shape[1]):
            out[r, c] = dy[r, c] - exp(y[r, c]) * total


# Columns: x(A, C, B) over C. A range is one of columns a B + b, cut into blocks; `scratch(2, A B)` holds two numbers
# for each column.


@jitted
def block(width, lo, hi):
    """Return of columns lo .. hi the first block that lies within one a: (a, its first b, its last b + 1)."""
    a, first = lo // width, lo % width
    return a, first, min(first + BLOCK, width, first + hi - lo)


@jitted
def column_maximum(x, a, first, last, shift):
    """Set shift to the largest values of columns first to last."""
    shift[:] = -math.inf
    for c in range(x.shape[1]):
        values = x[a, c, first:last]
        for b in range(shift.size):
            shift[b] = maximum(shift[b], values[b])


@kernel("T[:,:,::1], T[:,:,::1], T[:,::1]", writes="out scratch", parallel=True)
def softmax__columns(x, out, scratch, lo, hi):
    """x(A, C, B) -> out(A, C, B)."""
    while lo < hi:
        a, first, last = block(x.shape[2], lo, hi)
        shift, total = scratch[0, lo : lo + last - first], scratch[1, lo : lo + last - first]
        column_maximum(x, a, first, last, shift)
        total[:] = 0
        for c in range(x.shape[1]):
            values, result = x[a, c, first:last], out[a, c, first:last]
            for b in range(total.size):
                e = exp(values[b] - shift[b])
                result[b] = e
                total[b] += e
        for b in range(total.size):
            total[b] = x.dtype.type(1) / total[b]
        for c in range(x.shape[1]):
            result = out[a, c, first:last]
            for b in range(total.size):
                result[b] *= total[b]
        lo += last - first


@kernel("T[:,:,::1], T[:,:,::1], T[:,::1]", writes="out scratch", parallel=True)
def log_softmax__columns(x, out, scratch, lo, hi):
    """x(A, C, B) -> out(A, C, B)."""
    while lo < hi:
        a, first, last = block(x.shape[2], lo, hi)
        shift, total = scratch[0, lo : lo + last - first], scratch[1, lo : lo + last - first]
        column_maximum(x, a, first, last, shift)
        total[:] = 0
        for c in range(x.shape[1]):
            values = x[a, c, first:last]
            for b in range(total.size):
                total[b] += exp(values[b] - shift[b])
        for b in range(total.size):
            total[b] = log(total[b])
        for c in range(x.shape[1]):
            values, result = x[a, c, first:last], out[a, c, first:last]
            for b in range(total.size):
                result[b] = (values[b] - shift[b]) - total[b]
        lo += last - first


@kernel("T[:,:,::1], T[:,:,::1], T[:,:,::1], T[:,::1]", writes="out scratch", parallel=True)
def softmax_backward__columns(dy, y, out, scratch, lo, hi):
    """dy(A, C, B), y(A, C, B) -> out(A, C, B) = y (dy - sum(dy y))."""
    while lo < hi:
        a, first, last = block(y.shape[2], lo, hi)
        total = scratch[0, lo : lo + last - first]
        total[:] = 0
        for c in range(y.shape[1]):
            dvalues, values = dy[a, c, first:last], y[a, c, first:last]
            for b in range(total.size):
                total[b] += dvalues[b] * values[b]
        for c in range(y.shape[1]):
            dvalues, values, result = dy[a, c, first:last], y[a, c, first:last], out[a, c, first:last]
            for b in range(total.size):
                result[b] = values[b] * (dvalues[b] - total[b])
        lo += last - first


@kernel("T[:,:,::1], T[:,:,::1], T[:,:,::1], T[:,::1]", writes="out scratch", parallel=True)
def log_softmax_backward__columns(dy, y, out, scratch, lo, hi):
    """dy(A, C, B), y(A, C, B) -> out(A, C, B) = dy - e^y sum(dy)."""
    while lo < hi:
        a, first, last = block(y.shape[2], lo, hi)
        total = scratch[0, lo : lo + last - first]
        total[:] = 0
        for c in range(y.shape[1]):
            dvalues = dy[a, c, first:last]
            for b in range(total.size):
                total[b] += dvalues[b]
        for c in range(y.shape[1]):
            dvalues, values, result = dy[a, c, first:last], y[a, c, first:last], out[a, c, first:last]
            for b in range(total.size):
                result[b] = dvalues[b] - exp(values[b]) * total[b]
        lo += last - first
