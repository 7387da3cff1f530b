"""What turns a batch of images into other images of the same things: sampled elsewhere, noisy, erased, mixed.

Random numbers are counter-based as in dropout: word w of lane l of chunk k belongs to element CHUNK k + LANES w + l.
"""

import math
from math import prod

import numpy as np

from ...formulas.normal import MIDDLE, TAIL
from ...ground.backend import plans
from ...ground.checks import F4, F8, contiguous, finite, in_range, not_negative, word
from ...ground.dtypes import I8
from ...ground.jit import exact, jitted, kernel
from ...ground.memory import empty
from ...ground.outputs import target
from ...ground.threads import tasks
from ..dropout import CHUNK, LANES, fraction, philox
from ..grains import RANDOM as GRAIN
from ..math.elementary import log
from ..vector.simd import bits_of_float, float_from_bits, part, polynomial, rint, stack_bytes, vector_at

BORDERS = {"constant": 0, "reflect": 1, "replicate": 2, "circular": 3}
CONSTANT, REFLECT, REPLICATE, CIRCULAR = BORDERS.values()
NO_FIELD = {dtype: np.empty((1, 2, 0), dtype) for dtype in (F4, F8)}
SPAN = 128  # pixels of a row that are worked on together; what is known of them stays in the nearest cache

QUANTILE_MIDDLE, QUANTILE_TAIL = polynomial(MIDDLE, MIDDLE), polynomial(TAIL, TAIL)


@exact
def normal(word, one):
    """Return a number of the standard normal distribution: its quantile at the middle of one of 2^24 steps."""
    T = type(one)
    u = (T(np.int32(word >> np.uint32(8))) - T(2**23 - 0.5)) * T(2.0**-23)
    w = -log((one - u) * (one + u))
    return u * (QUANTILE_MIDDLE(w - T(2.5)) if w < T(5) else QUANTILE_TAIL(T(math.sqrt(w)) - T(3)))


@kernel("S[::1], T, T, u8, u8", writes="out", parallel=True)
def uniform__philox(out, low, width, seed, offset, lo, hi):
    """out(N) = low + width times numbers of [0, 1); the range counts chunks."""
    one = type(low)(1)
    for k in range(lo, hi):
        y = out[k * CHUNK : (k + 1) * CHUNK]
        if y.size == CHUNK:
            for i in range(LANES):
                w0, w1, w2, w3 = philox(np.uint64(k * LANES + i), offset, seed)
                y[i] = low + width * fraction(w0, one)
                y[i + LANES] = low + width * fraction(w1, one)
                y[i + 2 * LANES] = low + width * fraction(w2, one)
                y[i + 3 * LANES] = low + width * fraction(w3, one)
        else:
            for i in range(y.size):
                words = philox(np.uint64(k * LANES + i % LANES), offset, seed)
                y[i] = low + width * fraction(words[i // LANES], one)


@kernel("S[::1], S[::1], T, u8, u8", writes="out", parallel=True)
def noise__philox(x, out, deviation, seed, offset, lo, hi):
    """x(N) -> out(N) = x + deviation times normal numbers; the range counts chunks."""
    one = type(deviation)(1)
    for k in range(lo, hi):
        a, y = x[k * CHUNK : (k + 1) * CHUNK], out[k * CHUNK : (k + 1) * CHUNK]
        if a.size == CHUNK:
            for i in range(LANES):
                w0, w1, w2, w3 = philox(np.uint64(k * LANES + i), offset, seed)
                y[i] = a[i] + deviation * normal(w0, one)
                y[i + LANES] = a[i + LANES] + deviation * normal(w1, one)
                y[i + 2 * LANES] = a[i + 2 * LANES] + deviation * normal(w2, one)
                y[i + 3 * LANES] = a[i + 3 * LANES] + deviation * normal(w3, one)
        else:
            for i in range(a.size):
                words = philox(np.uint64(k * LANES + i % LANES), offset, seed)
                y[i] = a[i] + deviation * normal(words[i // LANES], one)


@jitted
def _positions(matrix, field, width, start, rows, columns):
    """Write the source positions of the pixels from `start` on, in an image `width` pixels wide."""
    T = type(rows[0])
    (rr, rc, r1), (cr, cc, c1) = matrix
    i, j = divmod(start, width)
    done = 0
    while done < rows.size:
        n = min(width - j, rows.size - done)
        v, u = rows[done : done + n], columns[done : done + n]
        row, column = T(rr * i + rc * j + r1), T(cr * i + cc * j + c1)
        for k in range(n):
            v[k] = row + T(rc) * T(k)
            u[k] = column + T(cc) * T(k)
        i, j, done = i + 1, 0, done + n
    if field.shape[1]:
        down, right = field[0, start : start + rows.size], field[1, start : start + rows.size]
        for k in range(rows.size):
            rows[k] += T(rr) * down[k] + T(rc) * right[k]
            columns[k] += T(cr) * down[k] + T(cc) * right[k]


@jitted
def _taps(v, n, border, low, high):
    """Turn positions v along an axis of n pixels into the two pixels around each, -1 outside; leave fractions in v."""
    T = type(v[0])
    last, zero, one = T(n - 1), T(0), T(1)
    if border == CONSTANT:
        for j in range(v.size):
            u = v[j] if v[j] > -one else -one  # nan too: a position of no pixel must not become an address
            u = u if u < T(n) else T(n)
            whole = T(np.int32(u + one)) - one
            v[j] = u - whole
            low[j] = whole if whole < T(n) else -one
            high[j] = whole + one if whole < last else -one
        return
    period = T(n) if border == CIRCULAR else T(max(2 * (n - 1), 1))
    scale = one / period
    for j in range(v.size):
        u = v[j] if abs(v[j]) < T(2**30) else zero
        if border != REPLICATE:
            turns = u * scale
            whole = T(np.int32(turns))
            u = u - period * (whole - one if whole > turns else whole)
            u = u if u < period else zero
        if border == REFLECT:
            u = min(u, period - u)
        u = min(max(u, zero), T(n) if border == CIRCULAR else last)
        whole = T(np.int32(u))
        v[j] = u - whole
        low[j] = whole
        high[j] = whole + one if whole < last else (zero if border == CIRCULAR else last)


@jitted
def _address(rows, columns, width, indices):
    """Write which pixels of a plane (rows, columns) are, as the bits of floats; -1 where either is negative."""
    integer = type(bits_of_float(rows[0]))
    for j in range(indices.size):
        index = integer(rows[j]) * integer(width) + integer(columns[j])
        indices[j] = float_from_bits(integer(index if min(rows[j], columns[j]) >= 0 else -1))


@jitted
def _fetch(plane, indices, value, out):
    """Write the pixels of a plane at indices, or the value where these are negative."""
    for j in range(out.size):  # the one loop that is no vector: its loads may be of what it stores, for all LLVM knows
        out[j] = plane[np.uintp(max(bits_of_float(indices[j]), 0))]
    for j in range(out.size):
        out[j] = value if bits_of_float(indices[j]) < 0 else out[j]


@kernel("S[:,:,::1], f8[:,:,::1], S[:,:,::1], int, int, int, int, T, S[:,:,::1]", writes="y", parallel=True)
def warp__taps(x, matrix, field, width, out_width, border, nearest, value, y, lo, hi):
    """x(B,C,H*W), matrix(B,2,3), field(B,2,OH*OW) -> y(B,C,OH*OW), from the four pixels around each position.

    Row and column of the position are matrix (row + field[0], column + field[1], 1). An empty field stands for zeros,
    one of a batch for all of it. The range is over B times the spans of an image.
    """
    height, spans = x.shape[2] // width, (y.shape[2] + SPAN - 1) // SPAN
    room = vector_at(value, stack_bytes(10 * 128 * 8), 10 * SPAN)
    for index in range(lo, hi):
        b, span = divmod(index, spans)
        start = span * SPAN
        n = min(SPAN, y.shape[2] - start)
        down, right = part(room, 0, n), part(room, 1 * SPAN, n)
        top, bottom, first, second = (
            part(room, 2 * SPAN, n),
            part(room, 3 * SPAN, n),
            part(room, 4 * SPAN, n),
            part(room, 5 * SPAN, n),
        )
        m, f = matrix[b if matrix.shape[0] > 1 else 0], field[b if field.shape[0] > 1 else 0]
        _positions(m, f, out_width, start, down, right)
        if nearest:
            for j in range(n):
                down[j], right[j] = rint(down[j]), rint(right[j])
        _taps(down, height, border, top, bottom)
        _taps(right, width, border, first, second)
        at = part(room, 6 * SPAN, n)
        _address(top, first, width, at)
        if nearest:
            for c in range(x.shape[1]):
                _fetch(x[b, c], at, value, y[b, c, start : start + n])
            continue
        at_right, below, below_right = part(room, 7 * SPAN, n), part(room, 8 * SPAN, n), part(room, 9 * SPAN, n)
        _address(top, second, width, at_right)
        _address(bottom, first, width, below)
        _address(bottom, second, width, below_right)
        for c in range(x.shape[1]):
            plane, out = x[b, c], y[b, c, start : start + n]
            p, q, r, s = top, bottom, first, second  # their positions are no longer needed
            _fetch(plane, at, value, p)
            _fetch(plane, at_right, value, q)
            _fetch(plane, below, value, r)
            _fetch(plane, below_right, value, s)
            for j in range(n):
                above = p[j] + right[j] * (q[j] - p[j])
                out[j] = above + down[j] * (r[j] + right[j] * (s[j] - r[j]) - above)


@kernel("S[:,:,:,::1], i8[:,::1], T, S[:,:,:,::1]", writes="out", parallel=True)
def erase__boxes(x, boxes, value, out, lo, hi):
    """x(B,C,H,W), boxes(B,4) -> out(B,C,H,W) = value in rows boxes[0] .. [2], columns [1] .. [3]. Range: B * C."""
    for index in range(lo, hi):
        b, c = divmod(index, x.shape[1])
        top, left, bottom, right = boxes[b]
        left, right = min(max(left, 0), x.shape[3]), min(max(right, 0), x.shape[3])
        source, target = x[b, c], out[b, c]
        for i in range(source.shape[0]):
            row, copy = source[i], target[i]
            for j in range(row.size):
                copy[j] = row[j]
            if top <= i < bottom:
                erased = copy[left:right]
                for j in range(erased.size):
                    erased[j] = value


@kernel("S[:,::1], i8[::1], S[::1], S[:,::1]", writes="out", parallel=True)
def mix__rows(x, other, weight, out, lo, hi):
    """x(B,N), other(B), weight(B) -> out(B,N) = weight x + (1 - weight) x[other]. The range is over B."""
    for b in range(lo, hi):
        w, rest = weight[b], type(weight[b])(1) - weight[b]
        p, q, y = x[b], x[other[b]], out[b]
        for i in range(y.size):
            y[i] = w * p[i] + rest * q[i]


def _tasks(items, each) -> int:
    return tasks(items, max(1, GRAIN // max(each, 1)))


@plans("uniform")
def uniform(problem):
    """Plan random numbers: run(out, shape, low, high, seed, offset, dtype)."""
    (shape, dtype), chunks = problem.result, -(-prod(problem.shape) // CHUNK)
    kernel, number = uniform__philox[dtype], _tasks(chunks, CHUNK)

    def run(out, shape_, low, high, seed, offset, _):
        seed, offset = word("uniform", "seed", seed), word("uniform", "offset", offset)
        y = target(out, shape, dtype)
        kernel(y.reshape(-1), low, high - low, seed, offset, chunks, number)
        return y

    return run


@plans("noise")
def noise(problem):
    """Plan noise: run(out, x, deviation, seed, offset)."""
    (shape, dtype), chunks = problem.result, -(-prod(problem.input.shape) // CHUNK)
    kernel, number = noise__philox[dtype], _tasks(chunks, CHUNK)

    def run(out, x, deviation, seed, offset):
        not_negative("noise", "deviation", deviation)
        seed, offset = word("noise", "seed", seed), word("noise", "offset", offset)
        y = target(out, shape, dtype)
        kernel(contiguous(x).reshape(-1), y.reshape(-1), deviation, seed, offset, chunks, number)
        return y

    return run


@plans("warp")
def warp(problem):
    """Plan resampling: run(out, x, matrix, field, size, mode, border, value)."""
    (shape, dtype), x = problem.result, problem.input
    batch, channels, height, width = x.shape
    (oh, ow), size = problem.size, prod(shape)
    spans, kernel = batch * -(-oh * ow // SPAN), warp__taps[dtype]
    options, number = (width, ow, BORDERS[problem.border], problem.nearest), _tasks(spans, channels * SPAN)
    source, result = (batch, channels, height * width), (batch, channels, oh * ow)
    fields = None if problem.field is None else (prod(problem.field.shape[:-3]), 2, oh * ow)

    def run(out, x, matrix, field, size_, mode, border, value):
        finite("warp", "matrix", matrix)
        y = target(out, shape, dtype)
        if size:
            field = NO_FIELD[dtype] if field is None else contiguous(field).reshape(fields)
            matrix = contiguous(matrix.astype(F8, copy=False)).reshape(-1, 2, 3)
            kernel(contiguous(x).reshape(source), matrix, field, *options, value, y.reshape(result), spans, number)
        return y

    return run


@plans("erase")
def erase(problem):
    """Plan filled rectangles: run(out, x, boxes, value)."""
    shape, dtype = problem.result
    planes = shape[0] * shape[1]
    kernel, number = erase__boxes[dtype], _tasks(planes, shape[2] * shape[3])

    def run(out, x, boxes, value):
        y = target(out, shape, dtype)
        kernel(contiguous(x), _as_int64(boxes), value, y, planes, number)
        return y

    return run


def _as_int64(x):
    """Return integers as a contiguous array of int64; those that are too large become the largest."""
    if x.dtype is I8:
        return contiguous(x)
    wide = empty(x.shape, I8)
    wide[...] = x.clip(max=2**63 - 1) if x.dtype == np.uint64 else x
    return wide


@plans("mix")
def mix(problem):
    """Plan weighted sums of images: run(out, x, other, weight)."""
    shape, dtype = problem.result
    count, size = shape[0], prod(shape)
    kernel, rows = mix__rows[dtype], (count, prod(shape[1:]))
    number = _tasks(count, rows[1])

    def run(out, x, other, weight):
        in_range("mix", "other", other, count)
        y, weights = target(out, shape, dtype), empty((count,), dtype)
        weights[...] = weight
        if size:
            kernel(contiguous(x).reshape(rows), _as_int64(other), weights, y.reshape(rows), count, number)
        return y

    return run
