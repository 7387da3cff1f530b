"""Rows that are added to, or otherwise joined with, the rows that indices name."""

import math
from math import prod

import numpy as np

from ..ground.backend import plans
from ..ground.checks import I8, contiguous, indices
from ..ground.jit import jitted, kernel
from ..ground.memory import empty
from ..ground.threads import tasks
from .grains import SUMS as GRAIN
from .vector.simd import load, store

STARTS = {"sum": 0.0, "prod": 1.0, "mean": 0.0, "amax": -math.inf, "amin": math.inf}  # of rows that do not count
SUM, PROD, MEAN, AMAX, AMIN = range(len(STARTS))
WIDE = 8  # numbers of a row from which several tasks pay, each of which looks at all indices


@jitted
def join(row, values, reduce):
    """Join a row with another one, written over the first."""
    if reduce == PROD:
        for i in range(row.size):
            store(row, i, load(row, i) * load(values, i))
    elif reduce == AMAX:
        for i in range(row.size):
            a, b = load(row, i), load(values, i)
            store(row, i, a if a >= b or a != a else b)
    elif reduce == AMIN:
        for i in range(row.size):
            a, b = load(row, i), load(values, i)
            store(row, i, a if a <= b or a != a else b)
    else:
        for i in range(row.size):
            store(row, i, load(row, i) + load(values, i))


@kernel("S[::1], i8[::1], S[::1], int, int, T, i8[::1], S[::1]", writes="counts out", parallel=True)
def index_reduce__rows(x, index, source, width, reduce, start, counts, out, lo, hi):
    """x(N W) or (0) for zeros, index(M), source(M W) -> out(N W), counts(N) if it is a mean. The range is over N.

    Copy the rows; let those that others come to begin with `start` unless that is NaN; join them with the others, of
    which every task looks at all; divide by their number.
    """
    T = out.dtype.type
    own = out[lo * width : hi * width]
    if x.size:
        before = x[lo * width : hi * width]
        for i in range(own.size):
            store(own, i, load(before, i))
    else:
        own[:] = T(0)
    afresh = start == start
    if reduce == MEAN:
        for n in range(lo, hi):
            counts[n] = 0 if afresh else 1
    for m in range(index.size if afresh else 0):
        n = index[m]
        if lo <= n and n < hi:
            out[n * width : (n + 1) * width] = start
    if width == 1 and reduce == SUM:
        for m in range(index.size):
            n = index[m] - lo
            if 0 <= n and n < own.size:
                store(own, n, load(own, n) + load(source, m))
        return
    for m in range(index.size):
        n = index[m]
        if lo <= n and n < hi:
            join(out[n * width : (n + 1) * width], source[m * width : (m + 1) * width], reduce)
            if reduce == MEAN:
                counts[n] += 1
    if reduce == MEAN:
        for n in range(lo, hi):
            row = out[n * width : (n + 1) * width]
            for i in range(width if counts[n] > 1 else 0):
                row[i] /= T(counts[n])


@plans("index_reduce")
def index_reduce(problem):
    """Plan joined rows: run(out, input, index, source, reduce, include_self, rows)."""
    shape, dtype, code = problem.shape, problem.source.dtype, list(STARTS).index(problem.reduce)
    count, width, given = shape[0], prod(shape[1:]), problem.source.shape[0]
    start = math.nan if problem.include_self else STARTS[problem.reduce]
    kernel, none = index_reduce__rows[dtype], np.empty(0, dtype)
    number = tasks(max(given, count) * width, GRAIN) if width >= WIDE else 1

    def run(out, x, index, source, *_):
        index = indices("index_reduce", "index", index, None, count)
        y, counts = empty(shape, dtype), empty((count if code == MEAN else 0,), I8)
        if y.size:
            before = none if x is None else contiguous(x).reshape(-1)
            flat = contiguous(source).reshape(-1)
            kernel(before, index, flat, width, code, start, counts, y.reshape(-1), count, number)
        return y

    return run
