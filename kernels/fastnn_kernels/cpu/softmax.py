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


# Columns: x(A, C, B) over C. A range is one of columns a B + b; `scratch(2, A B)` holds two numbers for each.


@jitted
def column_maximum(x, a, lo, hi, shift):
    """Set shift(hi - lo) to the largest values of columns lo to hi."""
    for b in range(lo, hi):
        shift[b - lo] = x[a, 0, b]
    for c in range(1, x.shape[1]):
        for b in range(lo, hi):
            shift[b - lo] = maximum(shift[b - lo], x[a, c, b])


@kernel("T[:,:,::1], T[:,:,::1], T[:,::1]", writes="out scratch", parallel=True)
def softmax__columns(x, out, scratch, lo, hi):
    """x(A, C, B) -> out(A, C, B)."""
    width = x.shape[2]
    while lo < hi:
        a, first = lo // width, lo % width
        last = min(first + BLOCK, width, first + hi - lo)
        shift, total = scratch[0, lo : lo + last - first], scratch[1, lo : lo + last - first]
        column_maximum(x, a, first, last, shift)
        total[:] = 0
        for c in range(x.shape[1]):
            for b in range(first, last):
                e = exp(x[a, c, b] - shift[b - first])
                out[a, c, b] = e
                total[b - first] += e
        for b in range(last - first):
            total[b] = x.dtype.type(1) / total[b]
        for c in range(x.shape[1]):
            for b in range(first, last):
                out[a, c, b] *= total[b - first]
        lo += last - first


@kernel("T[:,:,::1], T[:,:,::1], T[:,::1]", writes="out scratch", parallel=True)
def log_softmax__columns(x, out, scratch, lo, hi):
    """x(A, C, B) -> out(A, C, B)."""
    width = x.shape[2]
    while lo < hi:
        a, first = lo // width, lo % width
        last = min(first + BLOCK, width, first + hi - lo)
        shift, total = scratch[0, lo : lo + last - first], scratch[1, lo : lo + last - first]
        column_maximum(x, a, first, last, shift)
        total[:] = 0
        for c in range(x.shape[1]):
            for b in range(first, last):
                total[b - first] += exp(x[a, c, b] - shift[b - first])
        for b in range(last - first):
            total[b] = log(total[b])
        for c in range(x.shape[1]):
            for b in range(first, last):
                out[a, c, b] = (x[a, c, b] - shift[b - first]) - total[b - first]
        lo += last - first


@kernel("T[:,:,::1], T[:,:,::1], T[:,:,::1], T[:,::1]", writes="out scratch", parallel=True)
def softmax_backward__columns(dy, y, out, scratch, lo, hi):
    """dy(A, C, B), y(A, C, B) -> out(A, C, B) = y (dy - sum(dy y))."""
    width = y.shape[2]
    while lo < hi:
        a, first = lo // width, lo % width
        last = min(first + BLOCK, width, first + hi - lo)
        total = scratch[0, lo : lo + last - first]
        total[:] = 0
        for c in range(y.shape[1]):
            for b in range(first, last):
                total[b - first] += dy[a, c, b] * y[a, c, b]
        for c in range(y.shape[1]):
            for b in range(first, last):
                out[a, c, b] = y[a, c, b] * (dy[a, c, b] - total[b - first])
        lo += last - first


@kernel("T[:,:,::1], T[:,:,::1], T[:,:,::1], T[:,::1]", writes="out scratch", parallel=True)
def log_softmax_backward__columns(dy, y, out, scratch, lo, hi):
    """dy(A, C, B), y(A, C, B) -> out(A, C, B) = dy - e^y sum(dy)."""
    width = y.shape[2]
    while lo < hi:
        a, first = lo // width, lo % width
        last = min(first + BLOCK, width, first + hi - lo)
        total = scratch[0, lo : lo + last - first]
        total[:] = 0
        for c in range(y.shape[1]):
            for b in range(first, last):
                total[b - first] += dy[a, c, b]
        for c in range(y.shape[1]):
            for b in range(first, last):
                out[a, c, b] = dy[a, c, b] - exp(y[a, c, b]) * total[b - first]
        lo += last - first
