"""Arithmetic of two arrays on a CPU: of one shape along memory, of others row by row."""

from functools import partial
from math import prod

import numpy as np

from ..formulas.arithmetic import FORMULAS
from ..ground.backend import plans, quick
from ..ground.checks import contiguous
from ..ground.jit import exact, kernel
from ..ground.memory import empty
from ..ground.threads import tasks
from .elementwise import CHEAP, SMALL, dense
from .vector.simd import load, part, store

DIMENSIONS = 3  # of arrays that are broadcast without a copy, after those have been joined that can be


def _vector(name, formula):
    """Make the kernel of a function of two numbers for arrays of one shape."""

    def vector(a, b, out, lo, hi):
        a, b, out = a[lo:hi], b[lo:hi], out[lo:hi]
        for i in range(out.size):
            store(out, i, formula(load(a, i), load(b, i)))

    vector.__doc__ = "a(n), b(n) -> out(n)"
    return kernel("S[::1], S[::1], S[::1]", parallel=True, name=f"{name}__vector")(vector)


def _rows(name, formula):
    """Make the kernel of a function of two numbers for arrays that are broadcast."""

    def rows(a, b, out, steps, lo, hi):
        count, n = steps[0], steps[1]
        a_outer, a_row, a_step, b_outer, b_row, b_step = steps[2], steps[3], steps[4], steps[5], steps[6], steps[7]
        for r in range(lo, hi):
            outer, row = r // count, r % count
            y = part(out, r * n, n)
            u = part(a, outer * a_outer + row * a_row, n if a_step else 1)
            v = part(b, outer * b_outer + row * b_row, n if b_step else 1)
            if a_step == b_step:
                for i in range(n):
                    store(y, i, formula(load(u, i), load(v, i)))
            elif a_step:
                number = v[0]
                for i in range(n):
                    store(y, i, formula(load(u, i), number))
            else:
                number = u[0]
                for i in range(n):
                    store(y, i, formula(number, load(v, i)))

    rows.__doc__ = (
        "a, b -> out(P,R,C), where steps holds R, C and how far a and b go per P, R and C. The range is over P R."
    )
    return kernel("S[::1], S[::1], S[::1], i8[::1]", parallel=True, name=f"{name}__rows")(rows)


def _plan(vector, rows, problem):
    """Plan arrays of one shape, or of shapes that are broadcast."""
    out = None if problem.out is None else problem.out.ghost()
    if not hasattr(problem, "shape"):
        return dense(vector, CHEAP, [x.ghost() for x in problem.arrays], out)
    shape, dtype = problem.result
    direct, size = out is None or out.flags.c_contiguous, prod(shape)
    lengths, *steps = _joined(shape, [x.shape for x in problem.arrays])
    if len(lengths) > DIMENSIONS or not size:
        same = dense(vector, CHEAP, [np.broadcast_to(x.ghost(), shape) for x in problem.arrays], out)
        return lambda out, *arrays: same(out, *[np.broadcast_to(x, shape) for x in arrays])
    lengths, *steps = (
        (fill,) * (DIMENSIONS - len(each)) + each for fill, each in ((1, lengths), *((0, s) for s in steps))
    )
    table = np.array((*lengths[1:], *steps[0], *steps[1]), np.int64)
    count, compute = size // lengths[2], rows[dtype]
    number = min(count, tasks(size, CHEAP))

    def run(out, a, b):
        y = out if direct and out is not None else empty(shape, dtype)
        compute(contiguous(a).reshape(-1), contiguous(b).reshape(-1), y.reshape(-1), table, count, number)
        if direct:
            return y
        out[...] = y
        return out

    return run


def _joined(shape, shapes):
    """Return the dimensions of a broadcast, as few as can be, and for each contiguous array how far it goes in each."""
    lengths, steps = [], [[] for _ in shapes]
    sizes = [1] * len(shapes)
    for axis in range(1, len(shape) + 1):
        n, own = shape[-axis], [given[-axis] if axis <= len(given) else 1 for given in shapes]
        if n == 1:
            continue
        here = [size if length > 1 else 0 for size, length in zip(sizes, own, strict=True)]
        if lengths and all(h == s[0] * lengths[0] for h, s in zip(here, steps, strict=True)):
            lengths[0] *= n
        else:
            lengths.insert(0, n)
            for s, h in zip(steps, here, strict=True):
                s.insert(0, h)
        sizes = [size * length for size, length in zip(sizes, own, strict=True)]
    return tuple(lengths), *map(tuple, steps)


for _name, _function in FORMULAS.items():
    _formula = exact(_function)
    _kernels = _vector(_name, _formula), _rows(_name, _formula)
    quick(_name, lambda dtype, otherwise, kernel=_kernels[0]: kernel.flat(dtype, 2, SMALL, otherwise))
    plans(_name)(partial(_plan, *_kernels))
