"""Resampling: numbers of the result are weighted sums of numbers of the input, first over rows, then along them.

A table of taps (int64) says for output m that its taps are table[m] <= t < table[m + 1]; the source of tap t is
table[M + 1 + t], and its weight is in an array beside the table. Along the rows of planes outputs are computed a vector
at a time: a tap has an offset in its row, and for every lane an index behind that and a weight.
"""

from math import prod

from ...ground.backend import plans
from ...ground.checks import contiguous
from ...ground.jit import exact, jitted, kernel
from ...ground.memory import empty
from ...ground.threads import tasks
from ..grains import SUMS as GRAIN
from ..vector.simd import address, itemsize, lanes, vector_bytes
from ..vector.values import (
    HAS_LOOKUP,
    broadcast,
    gather,
    lanes_before,
    lookup,
    moved,
    muladd,
    no_unroll,
    pointer,
    pointer_at,
    read,
    read_indices,
    read_table,
    select,
    width,
    write,
    zeros,
)
from .taps import ONE, PAIRS, matrix

ROWS = 4  # that are summed before the sums along them: what has just been written takes long to read at other offsets


@exact
def weigh(number, at, step, table, start, weights, m, out, length):
    """Write the weighted sum of output m's taps: `length` numbers. start: of the taps in the table."""
    first, target, c = table[m], pointer_at(number, out), 0
    count, rows, factors = table[m + 1] - first, moved(pointer(table), start + first), moved(pointer(weights), first)
    zero = zeros(target)
    vector = width(zero)
    while c + 4 * vector <= length:  # four sums, which do not wait for each other
        p, q, r, s = zero, zero, zero, zero
        for t in range(count):
            no_unroll()
            factor, row = broadcast(factors[t]), pointer_at(number, at + rows[t] * step)
            p, q = muladd(factor, read(row, c), p), muladd(factor, read(row, c + vector), q)
            r, s = muladd(factor, read(row, c + 2 * vector), r), muladd(factor, read(row, c + 3 * vector), s)
        write(target, c, p)
        write(target, c + vector, q)
        write(target, c + 2 * vector, r)
        write(target, c + 3 * vector, s)
        c += 4 * vector
    while c + 2 * vector <= length:
        p, q = zero, zero
        for t in range(count):
            no_unroll()
            factor, row = broadcast(factors[t]), pointer_at(number, at + rows[t] * step)
            p, q = muladd(factor, read(row, c), p), muladd(factor, read(row, c + vector), q)
        write(target, c, p)
        write(target, c + vector, q)
        c += 2 * vector
    if c + vector <= length:
        total = zero
        for t in range(count):
            no_unroll()
            total = muladd(broadcast(factors[t]), read(pointer_at(number, at + rows[t] * step), c), total)
        write(target, c, total)
        c += vector
    if c < length:
        total, inside = zero, lanes_before(zero, length - c)
        for t in range(count):
            no_unroll()
            total = muladd(broadcast(factors[t]), read(pointer_at(number, at + rows[t] * step), c, inside), total)
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
def repeats(table, start, weights, m):
    """Return whether output m has the taps of the one before it, if there is one."""
    if m == 0:
        return False
    before, first, last = table[m - 1], table[m], table[m + 1]
    if first - before != last - first:
        return False
    for t in range(last - first):
        if table[start + before + t] != table[start + first + t] or weights[before + t] != weights[first + t]:
            return False
    return True


@kernel("T[:,:,::1], i8[::1], T[::1], T[:,:,::1]", writes="y", parallel=True)
def interpolate__rows(x, taps, weights, y, lo, hi):
    """x(P,N,S) -> y(P,M,S). The range is over P * M."""
    number, count = weights[0], y.shape[1]
    for r in range(lo, hi):
        p, m = divmod(r, count)
        out = address(y) + r * y.strides[1]
        weigh(number, address(x) + p * x.strides[0], x.strides[1], taps, count + 1, weights, m, out, y.shape[2])


@kernel("T[:,:,::1], i8[::1], T[::1], i8[::1], T[::1], int, T[:,::1], T[:,:,::1]", writes="scratch y", parallel=True)
def interpolate__channels_last(x, rows, row_weights, columns, weights, size, scratch, y, lo, hi):
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
def interpolate__channels_first(x, rows, row_weights, columns, indices, weights, pairs, scratch, y, lo, hi):
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
            count_rows, image = min(ROWS, height - i, stop - top), address(x) + p * x.strides[0]
            for k in range(count_rows):
                weigh(number, image, x.strides[1], rows, height + 1, row_weights, i + k, buffer + k * down, x.shape[2])
            for k in range(count_rows):
                row, out = buffer + k * down, address(y) + (top + k) * y.strides[1]
                for v in range(count):
                    first, at, done = columns[v], row + columns[count + 1 + v] * size, v * vector
                    index, weight = address(indices) + first * vector * 4, address(weights) + first * vector * size
                    rest, taps = min(vector, y.shape[2] - done), columns[v + 1] - first
                    weigh_lanes(number, at, index, weight, taps, pairs, out + done * size, rest)
            top += count_rows


@plans("interpolate")
def interpolate(problem):
    """Plan a resampling: run(out, x, ...)."""
    x, count = problem.x, [axis.count for axis in problem.axes]
    if prod(x.shape[2:]) > 1:
        return _resampling(x, _matrices(problem, False))
    shape = *x.shape[:2], *count

    def run(out, x, *_):  # one pixel goes everywhere
        y = empty(shape, x.dtype)
        y[...] = x
        return y

    return run


@plans("interpolate_backward")
def interpolate_backward(problem):
    """Plan a gradient: run(out, dy, ...)."""
    return _resampling(problem.x, _matrices(problem, True))


def _matrices(problem, back):
    return [matrix(axis, problem.mode, problem.align_corners, back) for axis in problem.axes]


def _resampling(x, matrices):
    """Return run(out, x, ...), which multiplies by a sparse matrix along each axis.

    Rows and columns go together, the depth of volumes before them or, if it grows, after them.
    """
    shape, dtype, axis = x.shape, x.dtype, x.ndim - 1
    there, back = (0, *range(2, len(shape)), 1), (0, axis, *range(1, axis))
    last = not x.ghost().flags.c_contiguous and x.ghost().transpose(there).flags.c_contiguous
    size, outer = (shape[1], shape[:1]) if last else (1, shape[:2])
    result = *outer, *map(len, matrices), *[size] * last
    depth, rows, columns = (*[ONE] * (3 - len(matrices)), *matrices)
    steps = []
    deep, high, wide = (1, 1, *shape[2:])[-3:]
    count, width = prod(outer), len(columns) * size
    if prod(result):
        steps.append(_images_step(count * deep, high, wide * size, rows, columns, size, dtype))
        if len(depth) <= depth.length:
            steps[0] = _images_step(count * len(depth), high, wide * size, rows, columns, size, dtype)
            steps.insert(0, _rows_step(count, high * wide * size, depth, dtype))
        else:
            steps.append(_rows_step(count, len(rows) * width, depth, dtype))
    steps = [step for step in steps if step is not None]

    def run(out, x, *_):
        memory = contiguous(x.transpose(there) if last else x)
        if not steps:
            before, memory = memory, empty(result, dtype)
            if memory.size:
                memory[...] = before
        for step in steps:
            memory = step(memory)
        memory = memory.reshape(result)
        return memory.transpose(back) if last else memory

    return run


def _rows_step(count, size, matrix, dtype):
    """Return x(P,N,S) -> (P,M,S), None if that is the same."""
    if matrix.identity:
        return None
    source, target = (count, matrix.length, size), (count, len(matrix), size)
    tables, kernel, rows = matrix.by_rows(dtype), interpolate__rows[dtype], count * len(matrix)
    number = tasks(prod(target), GRAIN)

    def step(x):
        y = empty(target, dtype)
        kernel(x.reshape(source), *tables, y, rows, number)
        return y

    return step


def _images_step(count, height, width, rows, columns, size, dtype):
    """Return x(P,H,W*S) -> (P,OH,OW*S), None if that is the same."""
    vector = vector_bytes() // dtype.itemsize
    if columns.identity:
        return _rows_step(count, width, rows, dtype)
    if rows.length == len(rows) == 1 and size >= vector:
        return _rows_step(count, size, columns, dtype)
    source, target = (count, height, width), (count, len(rows), len(columns) * size)
    room = ROWS * (-(-width // vector) + 2 * max(PAIRS, default=0)) * vector
    if size >= vector:
        kernel, tables = interpolate__channels_last[dtype], (*columns.by_rows(dtype), size)
    else:
        kernel, tables = interpolate__channels_first[dtype], columns.by_lanes(dtype, size)
    tables, number = (*rows.by_rows(dtype), *tables), tasks(prod(target), GRAIN)

    def step(x):
        y = empty(target, dtype)
        kernel(x.reshape(source), *tables, empty((number, room), dtype), y, number, number)
        return y

    return step
