"""Resampling: numbers of the result are weighted sums of numbers of the input, first over rows, then along them.

A table of taps (int64) says for output m that its taps are table[m] <= t < table[m + 1]; the source of tap t is
table[M + 1 + t], and its weight is in an array beside the table. Along the rows of planes outputs are computed a vector
at a time: a tap has an offset in its row, and for every lane an index behind that and a weight.
"""

from ...ground.jit import jitted, kernel
from ..vector.simd import address, itemsize, lanes
from ..vector.values import (
    HAS_LOOKUP,
    broadcast,
    gather,
    lanes_before,
    lookup,
    muladd,
    no_unroll,
    pointer_at,
    read,
    read_indices,
    read_table,
    select,
    width,
    write,
    zeros,
)

ROWS = 4  # that are summed before the sums along them: what has just been written takes long to read at other offsets
PAIRS = (1, 2, 4) if HAS_LOOKUP else ()  # of vectors, from which lanes are picked


@jitted
def weigh(number, at, step, table, places, weights, m, out, length):
    """Write the weighted sum of output m's taps: `length` numbers. places: where in the table the first tap stands."""
    first, last, target, c = table[m], table[m + 1], pointer_at(number, out), 0
    zero = zeros(target)
    vector = width(zero)
    while c + 4 * vector <= length:  # four sums, which do not wait for each other
        p, q, r, s = zero, zero, zero, zero
        for t in range(first, last):
            no_unroll()
            weight, row = broadcast(weights[t]), pointer_at(number, at + table[places + t] * step)
            p, q = muladd(weight, read(row, c), p), muladd(weight, read(row, c + vector), q)
            r, s = muladd(weight, read(row, c + 2 * vector), r), muladd(weight, read(row, c + 3 * vector), s)
        write(target, c, p)
        write(target, c + vector, q)
        write(target, c + 2 * vector, r)
        write(target, c + 3 * vector, s)
        c += 4 * vector
    while c + vector <= length:
        total = zero
        for t in range(first, last):
            no_unroll()
            row = pointer_at(number, at + table[places + t] * step)
            total = muladd(broadcast(weights[t]), read(row, c), total)
        write(target, c, total)
        c += vector
    if c < length:
        total, inside = zero, lanes_before(zero, length - c)
        for t in range(first, last):
            no_unroll()
            row = pointer_at(number, at + table[places + t] * step)
            total = muladd(broadcast(weights[t]), read(row, c, inside), total)
        write(target, c, total, inside)


@jitted
def weigh_lanes(number, at, indices, weights, count, pairs, out, length):
    """Write sums of taps: lane l adds weights[t, l] times the number indices[t, l] behind `at`, t < count.

    indices, weights: addresses of int32 and of the dtype of `number`, a vector per tap. A tap of weight zero is none.
    pairs: one of PAIRS, of vectors behind `at` that hold what has an index and may be read, from which AVX-512 picks
    lanes; 0 to gather them. length: sums to write, at most a vector.
    """
    x, weights, y = pointer_at(number, at), pointer_at(number, weights), pointer_at(number, out)
    zero = zeros(x)
    total, vector = zero, width(zero)
    if HAS_LOOKUP and pairs == 1:
        table2 = read_table(x, 2)
        for t in range(count):
            no_unroll()
            weight = read(weights, t * vector)
            value = lookup(table2, read_indices(total, indices + 4 * t * vector))
            total = muladd(weight, select(weight != zero, value, zero), total)
    if HAS_LOOKUP and pairs == 2:
        table4 = read_table(x, 4)
        for t in range(count):
            no_unroll()
            weight = read(weights, t * vector)
            value = lookup(table4, read_indices(total, indices + 4 * t * vector))
            total = muladd(weight, select(weight != zero, value, zero), total)
    if HAS_LOOKUP and pairs == 4:
        table8 = read_table(x, 8)
        for t in range(count):
            no_unroll()
            weight = read(weights, t * vector)
            value = lookup(table8, read_indices(total, indices + 4 * t * vector))
            total = muladd(weight, select(weight != zero, value, zero), total)
    if pairs == 0:
        for t in range(count):
            no_unroll()
            weight = read(weights, t * vector)
            value = gather(x, read_indices(total, indices + 4 * t * vector), weight != zero)
            total = muladd(weight, value, total)
    inside = lanes_before(total, length)
    write(y, 0, total, inside)


@jitted
def repeats(table, places, weights, m):
    """Return whether output m has the taps of the one before it, if there is one."""
    if m == 0:
        return False
    before, first, last = table[m - 1], table[m], table[m + 1]
    if first - before != last - first:
        return False
    for t in range(last - first):
        if table[places + before + t] != table[places + first + t] or weights[before + t] != weights[first + t]:
            return False
    return True


@kernel("T[:,:,::1], i8[::1], T[::1], T[:,:,::1]", writes="y", parallel=True)
def resample__rows(x, taps, weights, y, lo, hi):
    """x(P,N,S) -> y(P,M,S). The range is over P * M."""
    number, count = weights[0], y.shape[1]
    for r in range(lo, hi):
        p, m = divmod(r, count)
        out = address(y) + r * y.strides[1]
        weigh(number, address(x) + p * x.strides[0], x.strides[1], taps, count + 1, weights, m, out, y.shape[2])


@kernel("T[:,:,::1], i8[::1], T[::1], i8[::1], T[::1], int, T[:,::1], T[:,:,::1]", writes="scratch y", parallel=True)
def resample__pixels(x, rows, row_weights, columns, weights, size, scratch, y, lo, hi):
    """x(P,H,W*S) -> y(P,OH,OW*S), S = size. The range is over rows of scratch: tasks, with a row of x each."""
    number, height = row_weights[0], y.shape[1]
    step, width = size * itemsize(number), y.shape[2] // size
    for task in range(lo, hi):
        buffer, total = address(scratch) + task * scratch.strides[0], y.shape[0] * height
        start, row = total * task // scratch.shape[0], buffer
        for r in range(start, total * (task + 1) // scratch.shape[0]):
            p, i = divmod(r, height)
            image, out = address(x) + p * x.strides[0], address(y) + r * y.strides[1]
            first = rows[i]
            if rows[i + 1] - first == 1 and row_weights[first] == 1:
                row = image + rows[height + 1 + first] * x.strides[1]
            elif r == start or not repeats(rows, height + 1, row_weights, i):
                row = buffer
                weigh(number, image, x.strides[1], rows, height + 1, row_weights, i, row, x.shape[2])
            for j in range(width):
                weigh(number, row, step, columns, width + 1, weights, j, out + j * step, size)


@kernel(
    "T[:,:,::1], i8[::1], T[::1], i8[::1], i4[:,::1], T[:,::1], int, T[:,::1], T[:,:,::1]",
    writes="scratch y",
    parallel=True,
)
def resample__planes(x, rows, row_weights, columns, indices, weights, pairs, scratch, y, lo, hi):
    """x(P,H,W) -> y(P,OH,OW). The range is over rows of scratch: tasks, each with a buffer for ROWS rows of x.

    columns, indices, weights: taps by vectors of outputs. pairs: see `weigh_lanes`; a buffer has room for as many.
    """
    number, height, size, vector = row_weights[0], y.shape[1], itemsize(row_weights[0]), lanes(row_weights[0])
    count, down = -(-y.shape[2] // vector), scratch.strides[0] // ROWS
    for task in range(lo, hi):
        buffer, total = address(scratch) + task * scratch.strides[0], y.shape[0] * height
        start, stop = total * task // scratch.shape[0], total * (task + 1) // scratch.shape[0]
        top = start
        while top < stop:
            p, i = divmod(top, height)
            some, image = min(ROWS, height - i, stop - top), address(x) + p * x.strides[0]
            for k in range(some):
                weigh(number, image, x.strides[1], rows, height + 1, row_weights, i + k, buffer + k * down, x.shape[2])
            for k in range(some):
                row, out = buffer + k * down, address(y) + (top + k) * y.strides[1]
                for v in range(count):
                    first, at, done = columns[v], row + columns[count + 1 + v] * size, v * vector
                    index, weight = address(indices) + first * vector * 4, address(weights) + first * vector * size
                    rest, taps = min(vector, y.shape[2] - done), columns[v + 1] - first
                    weigh_lanes(number, at, index, weight, taps, pairs, out + done * size, rest)
            top += some
