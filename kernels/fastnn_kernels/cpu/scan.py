"""Running sums, products and logarithms of sums along the middle one of three dimensions.

Up to BLOCK columns, the last dimension, are gone along together; what they have come to stays in `state`, in float64.
"""

import math
from math import prod

from ..ground.backend import plans
from ..ground.checks import F8, contiguous
from ..ground.jit import jitted, kernel
from ..ground.memory import empty
from ..ground.threads import tasks
from .grains import SUMS as GRAIN
from .math.elementary import exp, log
from .vector.simd import load, store

BLOCK = 64


@kernel("S[:,:,::1], int, int, f8[:,::1], S[:,:,::1]", writes="state out", parallel=True)
def cumsum__columns(x, product, reverse, state, out, lo, hi):
    """x(A,N,B) -> out(A,N,B), state(A,B); sums or products. The range is over blocks of columns of A."""
    length, blocks, T = x.shape[1], -(-x.shape[2] // BLOCK), x.dtype.type
    for item in range(lo, hi):
        a, first = item // blocks, item % blocks * BLOCK
        part = slice(first, first + BLOCK)
        so_far = state[a, part]
        so_far[:] = 1.0 if product else 0.0
        if x.shape[2] == 1:
            total = so_far[0]
            for i in range(length):
                n = length - 1 - i if reverse else i
                total = total * x[a, n, 0] if product else total + x[a, n, 0]
                out[a, n, 0] = T(total)
            continue
        for i in range(length):
            n = length - 1 - i if reverse else i
            values, result = x[a, n, part], out[a, n, part]
            if product:
                for b in range(values.size):
                    store(so_far, b, load(so_far, b) * load(values, b))
            else:
                for b in range(values.size):
                    store(so_far, b, load(so_far, b) + load(values, b))
            for b in range(values.size):
                store(result, b, T(load(so_far, b)))


@kernel("S[:,:,::1], S[:,:,::1], S[:,:,::1], f8[:,::1], S[:,:,::1]", writes="state dx", parallel=True)
def cumprod_backward__columns(dy, x, y, state, dx, lo, hi):
    """dy(A,N,B), x(A,N,B), y(A,N,B) -> dx(A,N,B), state(A,B). The range is over blocks of columns of A."""
    length, blocks, T = x.shape[1], -(-x.shape[2] // BLOCK), x.dtype.type
    for item in range(lo, hi):
        a, first = item // blocks, item % blocks * BLOCK
        part = slice(first, first + BLOCK)
        later = state[a, part]
        later[:] = 0.0
        for i in range(length):
            n = length - 1 - i
            above, result = dy[a, n, part], dx[a, n, part]
            for b in range(above.size):
                follows = x[a, n + 1, first + b] if i else T(0)
                before = y[a, n - 1, first + b] if n else T(1)
                total = above[b] + follows * later[b] if i else later[b] + above[b]
                later[b] = total
                result[b] = T(before * total)


@jitted
def decayed(x, y):
    """Return e^(x - y) for x <= y; 1 where both are the same infinity."""
    return exp(x - y) if x != y else x * 0.0 + 1.0 if abs(x) < math.inf else 1.0


@kernel("S[:,:,::1], f8[:,:,::1], S[:,:,::1]", writes="state out", parallel=True)
def logcumsumexp__columns(x, state, out, lo, hi):
    """x(A,N,B) -> out(A,N,B), state(A,2,B): the largest so far, and the sum of e^(x - that). Blocks of columns of A."""
    length, blocks, T = x.shape[1], -(-x.shape[2] // BLOCK), x.dtype.type
    for item in range(lo, hi):
        a, first = item // blocks, item % blocks * BLOCK
        part = slice(first, first + BLOCK)
        largest, total = state[a, 0, part], state[a, 1, part]
        largest[:] = -math.inf
        total[:] = 0.0
        for n in range(length):
            values, result = x[a, n, part], out[a, n, part]
            for b in range(values.size):
                v, m, s = type(total[b])(values[b]), largest[b], total[b]
                up = v > m
                factor = exp(m - v if up else v - m) if v != m else 1.0
                total[b] = s * factor + 1.0 if up else s + factor
                largest[b] = v if up else m
                result[b] = T(largest[b] + log(total[b]))


@kernel("S[:,:,::1], S[:,:,::1], S[:,:,::1], f8[:,::1], S[:,:,::1]", writes="state dx", parallel=True)
def logcumsumexp_backward__columns(dy, x, y, state, dx, lo, hi):
    """dy(A,N,B), x(A,N,B), y(A,N,B) -> dx(A,N,B), state(A,B). The range is over blocks of columns of A."""
    length, blocks, T = x.shape[1], -(-x.shape[2] // BLOCK), x.dtype.type
    for item in range(lo, hi):
        a, first = item // blocks, item % blocks * BLOCK
        part = slice(first, first + BLOCK)
        later = state[a, part]
        later[:] = 0.0
        for i in range(length):
            n = length - 1 - i
            above, values, sums, result = dy[a, n, part], x[a, n, part], y[a, n, part], dx[a, n, part]
            for b in range(above.size):
                here = type(later[b])(sums[b])
                total = type(later[b])(above[b])
                if i:
                    total += later[b] * decayed(here, type(later[b])(y[a, n + 1, first + b]))
                later[b] = total
                result[b] = T(total * decayed(type(later[b])(values[b]), here))


def _form(problem):
    """Return the three dimensions (A, N, B), the number of blocks of columns, and that of tasks."""
    shape, dim = problem.arrays[0].shape, problem.dim
    form = prod(shape[:dim]), shape[dim] if shape else 1, prod(shape[dim + 1 :])
    items = form[0] * -(-form[2] // BLOCK)
    return form, items, tasks(items, max(1, -(-GRAIN * items // max(prod(shape), 1))))


def _plan(kernel, states, *options):
    """Return a planner of run(out, *arrays, dim ...); states: of how many rows the workspace is, None for one."""

    def plan(problem):
        (form, items, number), shape, dtype = _form(problem), problem.arrays[0].shape, problem.arrays[0].dtype
        count, compiled = len(problem.arrays), kernel[dtype]
        workspace = (form[0], form[2]) if states is None else (form[0], states, form[2])
        given = tuple(option(problem) for option in options)

        def run(out, *arguments):
            y = empty(shape, dtype)
            if y.size:
                arrays = [contiguous(x).reshape(form) for x in arguments[:count]]
                compiled(*arrays, *given, empty(workspace, F8), y.reshape(form), items, number)
            return y

        return run

    return plan


plans("cumsum")(_plan(cumsum__columns, None, lambda problem: 0, lambda problem: int(problem.reverse)))
plans("cumprod")(_plan(cumsum__columns, None, lambda problem: 1, lambda problem: 0))
plans("cumprod_backward")(_plan(cumprod_backward__columns, None))
plans("logcumsumexp")(_plan(logcumsumexp__columns, 2))
plans("logcumsumexp_backward")(_plan(logcumsumexp_backward__columns, None))
