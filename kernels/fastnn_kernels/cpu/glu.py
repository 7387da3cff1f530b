"""Activations that look at more than one number: slopes learned per channel, random slopes, and gates."""

from math import prod

import numpy as np

from ..ground.backend import plans
from ..ground.checks import contiguous, word
from ..ground.jit import exact, kernel
from ..ground.memory import empty
from ..ground.outputs import target
from ..ground.threads import tasks
from .dropout import CHUNK, LANES, fraction, philox
from .grains import MOVES as GRAIN
from .math.elementary import sigmoid
from .reduction.plan import sum_over
from .vector.simd import load, store

BLOCK = 64  # rows whose gradients of the slopes are summed together


@kernel("S[:,:,::1], S[::1], S[:,:,::1]", writes="out", parallel=True)
def prelu__channels_first(x, w, out, lo, hi):
    """x(A,C,B), w(C) -> out(A,C,B); the range counts planes a C + c."""
    zero = x.dtype.type(0)
    for plane in range(lo, hi):
        a, c = plane // w.size, plane % w.size
        values, result, slope = x[a, c], out[a, c], w[c]
        for b in range(values.size):
            value = load(values, b)
            store(result, b, value if value > zero else value * slope)


@kernel("S[:,::1], S[::1], S[:,::1]", writes="out", parallel=True)
def prelu__channels_last(x, w, out, lo, hi):
    """x(R,C), w(C) -> out(R,C)."""
    zero = x.dtype.type(0)
    for r in range(lo, hi):
        values, result = x[r], out[r]
        for c in range(w.size):
            value = load(values, c)
            store(result, c, value if value > zero else value * load(w, c))


@kernel("S[:,:,::1], S[:,:,::1], S[::1], S[:,:,::1], T[:,::1]", writes="dx dw", parallel=True)
def prelu_backward__channels_first(dy, x, w, dx, dw, lo, hi):
    """dy(A,C,B), x(A,C,B), w(C) -> dx(A,C,B), dw(A,C), still to be summed over A."""
    zero = x.dtype.type(0)
    for plane in range(lo, hi):
        a, c = plane // w.size, plane % w.size
        above, values, result, slope, total = dy[a, c], x[a, c], dx[a, c], w[c], zero
        for b in range(values.size):
            value, gradient = load(values, b), load(above, b)
            total += zero if value > zero else gradient * value
            store(result, b, gradient if value > zero else gradient * slope)
        dw[a, c] = total


@kernel("S[:,::1], S[:,::1], S[::1], S[:,::1], T[:,::1]", writes="dx dw", parallel=True)
def prelu_backward__channels_last(dy, x, w, dx, dw, lo, hi):
    """dy(R,C), x(R,C), w(C) -> dx(R,C), dw(P,C), sums of BLOCK rows each; the range counts them."""
    zero = x.dtype.type(0)
    for p in range(lo, hi):
        total = dw[p]
        total[:] = zero
        for r in range(p * BLOCK, min(p * BLOCK + BLOCK, x.shape[0])):
            above, values, result = dy[r], x[r], dx[r]
            for c in range(w.size):
                value, gradient = load(values, c), load(above, c)
                total[c] += zero if value > zero else gradient * value
                store(result, c, gradient if value > zero else gradient * load(w, c))


@kernel("S[:,:,::1], S[:,::1]", writes="out", parallel=True)
def glu__halves(x, out, lo, hi):
    """x(R,2,L) -> out(R,L) = x[:, 0] sigmoid(x[:, 1])."""
    for r in range(lo, hi):
        values, gate, result = x[r, 0], x[r, 1], out[r]
        for i in range(result.size):
            store(result, i, load(values, i) * sigmoid(load(gate, i)))


@kernel("S[:,::1], S[:,:,::1], S[:,:,::1]", writes="dx", parallel=True)
def glu_backward__halves(dy, x, dx, lo, hi):
    """dy(R,L), x(R,2,L) -> dx(R,2,L)."""
    one = x.dtype.type(1)
    for r in range(lo, hi):
        above, values, gate, dvalues, dgate = dy[r], x[r, 0], x[r, 1], dx[r, 0], dx[r, 1]
        for i in range(above.size):
            s = sigmoid(load(gate, i))
            through = load(above, i) * s
            store(dvalues, i, through)
            store(dgate, i, through * (load(values, i) * (one - s)))


@exact
def sloped(dy, x, slope):
    """Return dy where x is above 0, dy slope below."""
    return dy if x > type(x)(0) else dy * slope


@kernel("S[::1], S[::1], T, T, u8, u8, S[::1]", writes="out", parallel=True)
def rrelu__philox(dy, x, low, width, seed, offset, out, lo, hi):
    """dy(N), x(N) -> out(N) = dy, times low + width times a number of [0, 1) where x is not above 0, by chunks."""
    one = type(low)(1)
    for k in range(lo, hi):
        a, v, y = (
            dy[k * CHUNK : (k + 1) * CHUNK],
            x[k * CHUNK : (k + 1) * CHUNK],
            out[k * CHUNK : (k + 1) * CHUNK],
        )
        if a.size == CHUNK:
            for i in range(LANES):
                w0, w1, w2, w3 = philox(np.uint64(k * LANES + i), offset, seed)
                y[i] = sloped(a[i], v[i], low + width * fraction(w0, one))
                y[i + LANES] = sloped(a[i + LANES], v[i + LANES], low + width * fraction(w1, one))
                y[i + 2 * LANES] = sloped(a[i + 2 * LANES], v[i + 2 * LANES], low + width * fraction(w2, one))
                y[i + 3 * LANES] = sloped(a[i + 3 * LANES], v[i + 3 * LANES], low + width * fraction(w3, one))
        else:
            for i in range(a.size):
                words = philox(np.uint64(k * LANES + i % LANES), offset, seed)
                y[i] = sloped(a[i], v[i], low + width * fraction(words[i // LANES], one))


@plans("rrelu", "rrelu_backward")
def rrelu(problem):
    """Plan random slopes: run(out, [dy,] x, lower, upper, seed, offset)."""
    (shape, dtype), chunks = problem.result, -(-prod(problem.result[0]) // CHUNK)
    kernel, number = rrelu__philox[dtype], tasks(chunks, GRAIN // CHUNK)
    name = "rrelu" if len(problem.arrays) == 1 else "rrelu_backward"  # for messages

    def run(out, *arguments):
        *arrays, lower, upper, seed, offset = arguments
        seed, offset = word(name, "seed", seed), word(name, "offset", offset)
        y = target(out, shape, dtype)
        arrays = [contiguous(x).reshape(-1) for x in arrays]
        kernel(arrays[0], arrays[-1], lower, upper - lower, seed, offset, y.reshape(-1), chunks, number)
        return y

    return run


class _Channels:
    """How the kernels see arrays: as planes (A, C, B), or rows (R, C) where channels are next to each other."""

    def __init__(self, problem):
        x, count = problem.arrays[0], problem.weight.shape[0]
        shape, axes = x.shape, range(x.ndim)
        self.order = self.back = tuple(axes)
        if count == 1:
            self.form = (shape[0] if shape else 1, 1, prod(shape[1:]))
        elif x.ndim == 2:
            self.form = shape
        else:
            last, view = (0, *axes[2:], 1), x.ghost()
            if view.transpose(last).flags.c_contiguous and not view.flags.c_contiguous:
                self.order, self.back = last, (0, x.ndim - 1, *axes[1:-1])
                self.form = prod(shape) // count, count
            else:
                self.form = *shape[:2], prod(shape[2:])
        self.shape = tuple(shape[axis] for axis in self.order)
        self.moved, self.rows = self.order != tuple(axes), len(self.form) == 2

    def read(self, x):
        """Return an array as the kernels see it, contiguous."""
        return contiguous(x.transpose(self.order) if self.moved else x).reshape(self.form)

    def new(self, dtype):
        """Allocate a result; return it and what the kernels see of it."""
        y = empty(self.shape, dtype)
        return y.transpose(self.back) if self.moved else y, y.reshape(self.form)


@plans("prelu")
def prelu(problem):
    """Plan learned slopes: run(out, x, weight)."""
    channels, dtype, form = _Channels(problem), problem.weight.dtype, _Channels(problem).form
    kernel = (prelu__channels_last if channels.rows else prelu__channels_first)[dtype]
    count = form[0] if channels.rows else form[0] * form[1]
    number = tasks(count, -(-GRAIN // max(1, form[-1])))

    def run(out, x, weight):
        y, memory = channels.new(dtype)
        kernel(channels.read(x), contiguous(weight), memory, count, number)
        return y

    return run


@plans("prelu_backward")
def prelu_backward(problem):
    """Plan the gradients of learned slopes: run(out, dy, x, weight) -> (dx, dweight)."""
    channels, dtype, form = _Channels(problem), problem.weight.dtype, _Channels(problem).form
    if channels.rows:
        kernel, partial = prelu_backward__channels_last[dtype], (-(-form[0] // BLOCK), form[1])
        count, grain = partial[0], -(-GRAIN // (BLOCK * form[1]))
    else:
        kernel, partial = prelu_backward__channels_first[dtype], form[:2]
        count, grain = prod(partial), -(-GRAIN // max(1, form[2]))
    number, total = tasks(count, grain), sum_over(partial, dtype, (0,))

    def run(out, dy, x, weight):
        dx, memory = channels.new(dtype)
        sums = empty(partial, dtype)
        kernel(channels.read(dy), channels.read(x), contiguous(weight), memory, sums, count, number)
        return dx, total(None, sums)

    return run


def _split(problem):
    """Return the shape of the result, and the numbers of rows and of elements in half a row."""
    shape, dim = problem.input.shape, problem.dim
    half = *shape[:dim], shape[dim] // 2, *shape[dim + 1 :]
    return half, prod(half[:dim]), prod(half[dim:])


@plans("glu")
def glu(problem):
    """Plan gated values: run(out, x, dim)."""
    shape, rows, length = _split(problem)
    dtype = problem.input.dtype
    kernel, number = glu__halves[dtype], tasks(rows, -(-GRAIN // max(1, length)))

    def run(out, x, dim):
        y = empty(shape, dtype)
        kernel(contiguous(x).reshape(rows, 2, length), y.reshape(rows, length), rows, number)
        return y

    return run


@plans("glu_backward")
def glu_backward(problem):
    """Plan the gradient: run(out, dy, x, dim)."""
    _, rows, length = _split(problem)
    shape, dtype = problem.input.shape, problem.input.dtype
    kernel, number = glu_backward__halves[dtype], tasks(rows, -(-GRAIN // max(1, length)))
    both = rows, 2, length

    def run(out, dy, x, dim):
        dx = empty(shape, dtype)
        kernel(contiguous(dy).reshape(rows, length), contiguous(x).reshape(both), dx.reshape(both), rows, number)
        return dx

    return run
