"""Distances between the rows of two stacks of matrices."""

import math
from math import prod

from ..ground.backend import plans
from ..ground.checks import contiguous
from ..ground.jit import jitted, kernel
from ..ground.memory import empty
from ..ground.threads import tasks
from .grains import SUMS as GRAIN
from .vector.simd import load, store

SHORT = 64  # numbers of a row up to which one row's distances from all others are summed side by side
BLOCK = 1024  # of these, which stay in the nearest cache


@jitted
def distance(a, b, p, eps):
    """Return (sum |a - b + eps|^p)^(1/p)."""
    T = a.dtype.type
    total = T(0)
    if p == 2:
        for i in range(a.size):
            d = load(a, i) - load(b, i) + eps
            total += d * d
        return math.sqrt(total)
    if p == 1:
        for i in range(a.size):
            total += abs(load(a, i) - load(b, i) + eps)
        return total
    if p == math.inf:
        for i in range(a.size):
            d = abs(a[i] - b[i] + eps)
            total = d if d > total or d != d else total
        return total
    if p == 0:
        for i in range(a.size):
            total += T(a[i] - b[i] + eps != 0)
        return total
    for i in range(a.size):
        total += T(abs(a[i] - b[i] + eps) ** p)
    return T(total ** (1 / p))


@kernel("S[:,:,::1], S[:,:,::1], f8, T, S[:,:,::1]", writes="out", parallel=True)
def cdist__rows(x, y, p, eps, out, lo, hi):
    """x(B,P,M), y(B,R,M) -> out(B,P,R). The range is over B P."""
    for item in range(lo, hi):
        b, i = item // x.shape[1], item % x.shape[1]
        row, result = x[b, i], out[b, i]
        for j in range(result.size):
            result[j] = distance(row, y[b, j], p, eps)


@jitted
def term(d, p):
    """Return |d|^p, 1 for p = 0 unless d is 0, |d| for p = inf."""
    T = type(d)
    if p == 2:
        return d * d
    if p == 1 or p == math.inf:
        return abs(d)
    return T(d != 0) if p == 0 else T(abs(d) ** p)


@kernel("S[:,:,::1], S[:,:,::1], f8, T, S[:,:,::1]", writes="out", parallel=True)
def cdist__columns(x, y, p, eps, out, lo, hi):
    """x(B,P,M), y(B,M,R) -> out(B,P,R): the distances from all columns of y at once. The range is over B P."""
    T = x.dtype.type
    for item in range(lo, hi):
        b, i = item // x.shape[1], item % x.shape[1]
        row = x[b, i]
        for first in range(0, out.shape[2], BLOCK):
            part = slice(first, first + BLOCK)
            result = out[b, i, part]
            result[:] = T(0)
            for m in range(row.size):
                values, a = y[b, m, part], row[m]
                if p == math.inf:
                    for j in range(result.size):
                        d, total = abs(a - load(values, j) + eps), load(result, j)
                        store(result, j, d if d > total or d != d else total)
                else:
                    for j in range(result.size):
                        store(result, j, load(result, j) + term(a - load(values, j) + eps, p))
            if p == 2:
                for j in range(result.size):
                    store(result, j, math.sqrt(load(result, j)))
            elif p != 0 and p != 1 and p != math.inf:
                for j in range(result.size):
                    result[j] = T(result[j] ** (1 / p))


@kernel("S[:,:,:], S[:,:,:], S[:,:,::1], S[:,:,::1], f8, T, S[:,:,::1]", writes="dx", parallel=True)
def cdist_backward__rows(dy, distances, x, y, p, eps, dx, lo, hi):
    """dy(B,P,R), distances(B,P,R), x(B,P,M), y(B,R,M) -> dx(B,P,M). The range is over B P.

    Add dy times the slope of the distance, for one row of y after the other.
    """
    T, rows = x.dtype.type, y.shape[1]
    for item in range(lo, hi):
        b, i = item // x.shape[1], item % x.shape[1]
        row, result = x[b, i], dx[b, i]
        result[:] = T(0)
        for j in range(rows):
            size, factor, other = distances[b, i, j], dy[b, i, j], y[b, j]
            if size == 0 or p == 0:
                continue
            if p == 2:
                factor /= size
                for m in range(row.size):
                    store(result, m, load(result, m) + factor * (load(row, m) - load(other, m) + eps))
                continue
            for m in range(row.size):
                d = row[m] - other[m] + eps
                if p == 1:
                    slope = T(1)
                elif p == math.inf:
                    slope = T(abs(d) == size)
                else:
                    slope = T((abs(d) / size) ** (p - 1)) if d != 0 else T(0)
                result[m] += factor * (slope if d > 0 else -slope if d < 0 else d * slope)


def _form(shape):
    return (1,) * (3 - len(shape)) + shape


@plans("cdist")
def cdist(problem):
    """Plan distances: run(out, x1, x2, p, eps)."""
    shape, dtype = problem.shape, problem.x1.dtype
    a, b, form = _form(problem.x1.shape), _form(problem.x2.shape), _form(shape)
    items = form[0] * form[1]
    columns = a[2] <= SHORT and form[1] > 1
    compute = (cdist__columns if columns else cdist__rows)[dtype]
    number = tasks(items, max(1, GRAIN // max(form[2] * a[2], 1)))

    def run(out, x1, x2, p, eps):
        y = empty(shape, dtype)
        if y.size:
            x2 = x2.reshape(b)
            x2 = contiguous(x2.transpose(0, 2, 1) if columns else x2)
            compute(contiguous(x1).reshape(a), x2, problem.p, eps, y.reshape(form), items, number)
        return y

    return run


@plans("cdist_backward")
def cdist_backward(problem):
    """Plan gradients: run(out, dy, x1, x2, y, p, eps, needs) -> (dx1, dx2)."""
    a, b, form, dtype = _form(problem.x1.shape), _form(problem.x2.shape), _form(problem.shape), problem.x1.dtype
    compute, work = cdist_backward__rows[dtype], prod(form) * a[2]

    def gradient(shape, dy, distances, x, y, eps):
        dx, items = empty(shape, dtype), x.shape[0] * x.shape[1]
        if dx.size:
            number = tasks(items, max(1, GRAIN * items // max(work, 1)))
            compute(dy, distances, x, y, problem.p, eps, dx.reshape(x.shape), items, number)
        return dx

    def run(out, dy, x1, x2, y, p, eps, needs):
        x1, x2 = contiguous(x1).reshape(a), contiguous(x2).reshape(b)
        dy, y = dy.reshape(form), y.reshape(form)
        first = gradient(problem.x1.shape, dy, y, x1, x2, eps) if problem.needs[0] else None
        if not problem.needs[1]:
            return first, None
        dy, y = dy.transpose(0, 2, 1), y.transpose(0, 2, 1)
        return first, gradient(problem.x2.shape, dy, y, x2, x1, -eps)

    return run
