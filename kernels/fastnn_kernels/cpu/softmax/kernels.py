"""Softmax and its logarithm: over rows (the dimension is contiguous) or over columns.

Rows of a few numbers are transposed, a vector's width of them at a time, and computed as columns.
A row or column of -inf has no largest value to shift by, and gives NaN.
"""

import math

from ...ground.jit import exact, jitted, kernel
from ...ground.memory import ALIGNMENT, FAR
from ..math.elementary import LN2_HIGH, LN2_LOW, LOG, LOG2_E
from ..vector.simd import address, constant, fence, fma, itemsize, lanes, polynomial, rint, stack_bytes, vector_bytes
from ..vector.transpose import transpose_edge
from ..vector.values import (
    broadcast,
    larger,
    largest_lane,
    pointer,
    pointer_at,
    power_of_2_in,
    prefetch,
    read,
    read_part,
    sum_of_lanes,
    times_power_of_2,
    width,
    write,
    write_part,
    zeros,
)

FEW = 32  # numbers up to which rows are transposed
PIECE = 16  # vectors whose sum is taken at once: sums of sums are rounded less often
FETCH = 32  # vectors that rows are fetched before they are read for the first time
AHEAD = 256  # bytes that columns are fetched ahead: rows are too far apart for the CPU's own prefetching
TOGETHER = 4096  # numbers of rows that go together
KEPT = 1 << 14  # bytes of a strip's exponentials, up to which they are kept for their sum if results are streamed
TILE_BYTES = 64 * FEW  # a tile of FEW vectors, whose width is at most 64 bytes

# e^r for |r| <= ln(2)/2 (and a bit), relative error 2^-28.2 and 2^-57.9
POWER = polynomial(
    (1.0, 1.0, 0.49999994, 0.16666521, 0.041668274, 0.008368686, 0.001382014),
    (
        1.0, 1.0, 0.5000000000000011, 0.16666666666666438, 0.04166666666652659, 0.008333333333477732,
        0.0013888888944496545, 0.00019841269543115802, 2.4801492251165633e-05, 2.755755361339315e-06,
        2.7630538479894165e-07, 2.5010453283142315e-08,
    ),
)  # fmt: skip
VANISHED = constant(110.0, 760.0)  # e^-VANISHED is 0
ONE, HALF = constant(1.0, 1.0), constant(0.5, 0.5)
NONE = constant(-math.inf, -math.inf)


@exact
def exponential(x, largest):
    """Return e^(x - largest) for vectors; 1 at the largest itself.

    The difference is rounded, which makes a relative error of up to eps / 2 times its size. That is why ln(2) in one
    piece is good enough here.
    """
    d = larger(-VANISHED(x), x - largest)
    n = rint(d * LOG2_E(d))
    return times_power_of_2(POWER(fma(-n, LN2_HIGH(d), d)), n)


@exact
def logarithm(x):
    """Return log(x) for a vector of numbers from 1 on."""
    n = power_of_2_in(x)
    f = times_power_of_2(x, -n) - ONE(x)  # from here on as in `_elementary.log`
    s = f / (f + ONE(x) + ONE(x))
    z = s * s
    half = HALF(x) * f * f
    return fma(n, LN2_HIGH(x), f - (half - fma(s, fma(z, LOG(z), half), n * LN2_LOW(x))))


# Rows: `n` numbers of x from `start` on.


@exact
def row_maximum(x, start, n):
    """Return the largest number of a row, NaN left out."""
    none = NONE(zeros(x))
    step = width(none)
    a, b, i = none, none, 0
    while i + 2 * step <= n:
        a, b = larger(read(x, start + i), a), larger(read(x, start + i + step), b)
        i += 2 * step
    a = larger(read_part(x, start + i, n - i, none), a)
    b = larger(read_part(x, start + i + step, n - i - step, none), b)
    return largest_lane(larger(a, b))


@exact
def sum_of_exponentials(x, start, n, largest, out, after):
    """Return the sum of e^(x - largest) over a row, and the largest number of the row that starts at `after`.

    So the next row can begin before this one is done: what makes one number of a vector takes long. `out`, if it is
    not None, gets the exponentials; `after` may be None.
    """
    zero, largest, none = zeros(x), broadcast(largest), NONE(zeros(x))
    step, ahead = width(zero), FETCH * width(zero)
    total, top, i = zero, none, 0
    while i + step <= n:
        part, end = zero, min(i + PIECE * step, n)
        while i + step <= end:
            e = exponential(read(x, start + i), largest)
            if out is not None:
                write(out, start + i, e)
            if after is not None:
                prefetch(x, after + i + ahead, 0)
                top = larger(read(x, after + i), top)
            part = part + e
            i += step
        total = total + part
    if i < n:
        e = exponential(read_part(x, start + i, n - i, none), largest)
        if out is not None:
            write_part(out, start + i, n - i, e)
        if after is not None:
            top = larger(read_part(x, after + i, n - i, none), top)
        total = total + e
    return sum_of_lanes(total), largest_lane(top)


@kernel("S[:,::1], S[:,::1]", writes="out", parallel=True)
def softmax__rows(x, out, lo, hi):
    """x(R, C) -> out(R, C). Find the maximum, sum the exponentials, scale."""
    one, n, x, out = x.dtype.type(1), x.shape[1], pointer(x), pointer(out)
    zero = zeros(x)
    step, last = width(zero), (hi - 1) * n
    largest = row_maximum(x, lo * n, n)
    for start in range(lo * n, hi * n, n):
        total, largest = sum_of_exponentials(x, start, n, largest, out, min(start + n, last))
        scale, i = broadcast(one / total), 0
        while i + step <= n:
            write(out, start + i, read(out, start + i) * scale)
            i += step
        if i < n:
            write_part(out, start + i, n - i, read_part(out, start + i, n - i, zero) * scale)


@exact
def log_share(x, largest, rest):
    """Return x - largest - rest, in this order: x may be near the largest, and both far from 0."""
    return (x - largest) - rest


@kernel("S[:,::1], S[:,::1]", writes="out", parallel=True)
def log_softmax__rows(x, out, lo, hi):
    """x(R, C) -> out(R, C). Short rows go together, up to a vector's width of them: one logarithm serves them all."""
    number, n, x, out = x.dtype.type(0), x.shape[1], pointer(x), pointer(out)
    zero = zeros(x)
    step, last = width(zero), (hi - 1) * n
    group = max(1, min(step, TOGETHER // n))
    shifts, rests = pointer_at(number, stack_bytes(64)), pointer_at(number, stack_bytes(64))
    largest = row_maximum(x, lo * n, n)
    for first in range(lo, hi, group):
        count = min(group, hi - first)
        write(rests, 0, ONE(zero))  # lanes without a row hold what the stack did
        for r in range(count):
            start, shifts[r] = (first + r) * n, largest
            rests[r], largest = sum_of_exponentials(x, start, n, largest, None, min(start + n, last))
        write(rests, 0, logarithm(read(rests, 0)))
        for r in range(count):
            start, shift, rest, i = (first + r) * n, broadcast(shifts[r]), broadcast(rests[r]), 0
            while i + step <= n:
                write(out, start + i, log_share(read(x, start + i), shift, rest))
                i += step
            if i < n:
                write_part(out, start + i, n - i, log_share(read_part(x, start + i, n - i, zero), shift, rest))


@exact
def row_sum(a, b, start, n):
    """Return the sum of a b over a row, or of a where b is None."""
    zero = zeros(a)
    step = width(zero)
    total, other, i = zero, zero, 0
    while i + 2 * step <= n:
        if b is None:
            total, other = total + read(a, start + i), other + read(a, start + i + step)
        else:
            total = fma(read(a, start + i), read(b, start + i), total)
            other = fma(read(a, start + i + step), read(b, start + i + step), other)
        i += 2 * step
    for _ in range(2):
        value = read_part(a, start + i, n - i, zero)
        total, other = other, total + value if b is None else fma(value, read_part(b, start + i, n - i, zero), total)
        i += step
    return sum_of_lanes(total + other)


@kernel("S[:,::1], S[:,::1], S[:,::1]", writes="out", parallel=True)
def softmax_backward__rows(dy, y, out, lo, hi):
    """dy(R, C), y(R, C) -> out(R, C) = y (dy - sum(dy y)). Sum the products, subtract and multiply."""
    n, dy, y, out = y.shape[1], pointer(dy), pointer(y), pointer(out)
    zero = zeros(y)
    step = width(zero)
    for start in range(lo * n, hi * n, n):
        total = broadcast(row_sum(dy, y, start, n))
        i = 0
        while i + step <= n:
            write(out, start + i, read(y, start + i) * (read(dy, start + i) - total))
            i += step
        if i < n:
            value = read_part(y, start + i, n - i, zero) * (read_part(dy, start + i, n - i, zero) - total)
            write_part(out, start + i, n - i, value)


@kernel("S[:,::1], S[:,::1], S[:,::1]", writes="out", parallel=True)
def log_softmax_backward__rows(dy, y, out, lo, hi):
    """dy(R, C), y(R, C) -> out(R, C) = dy - e^y sum(dy). Sum dy, multiply the exponentials by it and subtract."""
    n, dy, y, out = y.shape[1], pointer(dy), pointer(y), pointer(out)
    zero = zeros(y)
    step = width(zero)
    for start in range(lo * n, hi * n, n):
        total = broadcast(row_sum(dy, None, start, n))
        i = 0
        while i + step <= n:
            e = exponential(read(y, start + i), zero)
            write(out, start + i, fma(-e, total, read(dy, start + i)))
            i += step
        if i < n:
            e = exponential(read_part(y, start + i, n - i, zero), zero)
            write_part(out, start + i, n - i, fma(-e, total, read_part(dy, start + i, n - i, zero)))


# Strips: a vector's width of columns of x(n, stride), from `start` on, of which the first `count` are read and written.
# ahead: how many columns to fetch ahead, or 0. stream: whether results, whole cache lines, get streaming stores.


@exact
def softmax_strip(x, start, stride, n, count, out, kept, ahead, stream):
    """Write softmax down the columns of x to out. Before streaming stores exponentials wait in `kept`."""
    none = NONE(zeros(x))
    e, place, step = (kept, 0, width(none)) if stream else (out, start, stride)
    top, total = none, zeros(x)
    for i in range(n):
        top = larger(read_part(x, start + i * stride, count, none), top)
    for i in range(n):
        at = start + i * stride
        if ahead:
            prefetch(x, at + ahead, 0)
            if not stream:
                prefetch(out, at + ahead, 1)
        power = exponential(read_part(x, at, count, none), top)
        write_part(e, place + i * step, count, power)
        total = total + power
    scale = ONE(total) / total
    for i in range(n):
        finish_strip(out, start + i * stride, count, read_part(e, place + i * step, count, none) * scale, stream)


@exact
def finish_strip(out, at, count, value, stream):
    """Write a vector of a strip."""
    if stream:
        stream(out, at, value)
    else:
        write_part(out, at, count, value)


@exact
def log_softmax_strip(x, start, stride, n, count, out, kept, ahead, stream):
    """Write the logarithm of softmax down the columns of x to out."""
    none = NONE(zeros(x))
    top, total = none, zeros(x)
    for i in range(n):
        top = larger(read_part(x, start + i * stride, count, none), top)
    for i in range(n):
        at = start + i * stride
        if ahead:
            prefetch(x, at + ahead, 0)
            if not stream:
                prefetch(out, at + ahead, 1)
        total = total + exponential(read_part(x, at, count, none), top)
    rest = logarithm(total)
    for i in range(n):
        at = start + i * stride
        finish_strip(out, at, count, log_share(read_part(x, at, count, none), top, rest), stream)


@exact
def softmax_backward_strip(dy, y, start, stride, n, count, out, ahead):
    """Write y (dy - sum(dy y)) down the columns to out."""
    zero = zeros(y)
    total = zero
    for i in range(n):
        at = start + i * stride
        if ahead:
            prefetch(dy, at + ahead, 0)
            prefetch(y, at + ahead, 0)
        total = fma(read_part(dy, at, count, zero), read_part(y, at, count, zero), total)
    for i in range(n):
        at = start + i * stride
        if ahead:
            prefetch(out, at + ahead, 1)
        write_part(out, at, count, read_part(y, at, count, zero) * (read_part(dy, at, count, zero) - total))


@exact
def log_softmax_backward_strip(dy, y, start, stride, n, count, out, ahead):
    """Write dy - e^y sum(dy) down the columns to out."""
    zero = zeros(y)
    total = zero
    for i in range(n):
        at = start + i * stride
        if ahead:
            prefetch(dy, at + ahead, 0)
            prefetch(y, at + ahead, 0)
        total = total + read_part(dy, at, count, zero)
    for i in range(n):
        at = start + i * stride
        if ahead:
            prefetch(out, at + ahead, 1)
        e = exponential(read_part(y, at, count, zero), zero)
        write_part(out, at, count, fma(-e, total, read_part(dy, at, count, zero)))


def strips(width, dtype):
    """Return into how many strips so many columns of a dtype are cut."""
    return -(-width * dtype.itemsize // vector_bytes())


def streams(shape, dtype):
    """Return whether a result (A, C, B) is for streaming stores: too large for the caches, its strips whole lines."""
    height, width = shape[1], shape[2] * dtype.itemsize
    line = vector_bytes() == ALIGNMENT and width % ALIGNMENT == 0
    return line and shape[0] * height * width >= FAR and height * ALIGNMENT <= KEPT


@exact
def strip(k, shape, step):
    """Return of all strips of an array (A, C, B) the k-th: where it starts, and how many columns it has."""
    each = (shape[2] + step - 1) // step
    a, first = k // each, k % each * step
    return a * shape[1] * shape[2] + first, min(step, shape[2] - first)


def columns(strip_of):
    """Make the body of a kernel of what is done with a strip."""

    def columns(x, out, stream, lo, hi):
        """x(A, C, B) -> out(A, C, B). The range is over strips. stream: see `streams`."""
        number, stride, n = x.dtype.type(0), x.shape[2], x.shape[1]
        step, kept, y = lanes(number), pointer_at(number, stack_bytes(KEPT)), pointer(out)
        stream = stream and address(out) % ALIGNMENT == 0
        for k in range(lo, hi):
            start, count = strip(k, x.shape, step)
            strip_of(pointer(x), start, stride, n, count, y, kept, AHEAD // itemsize(number), stream)
        if stream:
            fence()

    return columns


def columns_backward(strip_of):
    """Make the body of a kernel of what is done with a strip."""

    def columns_backward(dy, y, out, lo, hi):
        """dy(A, C, B), y(A, C, B) -> out(A, C, B): see the kernel of rows. The range is over strips."""
        number, stride, n = y.dtype.type(0), y.shape[2], y.shape[1]
        for k in range(lo, hi):
            start, count = strip(k, y.shape, lanes(number))
            places = pointer(dy), pointer(y)
            strip_of(*places, start, stride, n, count, pointer(out), AHEAD // itemsize(number))

    return columns_backward


@jitted
def transpose_rows(number, source, source_row, target, target_row, rows, columns):
    """Write the transpose of rows x columns elements from one address to another."""
    size, step = itemsize(number), lanes(number)
    for i in range(0, rows, step):
        for j in range(0, columns, step):
            transpose_edge(
                number, source + (i * source_row + j) * size, source_row, target + (j * target_row + i) * size,
                target_row, min(step, rows - i), min(step, columns - j),
            )  # fmt: skip


def few(strip_of):
    """Make the body of a kernel of rows of up to FEW numbers: a vector's width of them is transposed into a strip."""

    def few(x, out, lo, hi):
        """x(R, C) -> out(R, C)."""
        zero, n = x.dtype.type(0), x.shape[1]
        step, row, tile = lanes(zero), n * itemsize(zero), stack_bytes(TILE_BYTES)
        numbers = pointer_at(zero, tile)
        for r in range(lo, hi, step):
            count = min(step, hi - r)
            transpose_rows(zero, address(x) + r * row, n, tile, step, count, n)
            strip_of(numbers, 0, step, n, count, numbers, numbers, 0, False)
            transpose_rows(zero, tile, step, address(out) + r * row, n, n, count)

    return few


def _kernel(name, signature, body):
    return kernel(signature, writes="out", parallel=True, name=name)(body)


OF_X, OF_DY = "S[:,:,::1], S[:,:,::1], int", "S[:,:,::1], S[:,:,::1], S[:,:,::1]"
softmax__columns = _kernel("softmax__columns", OF_X, columns(softmax_strip))
log_softmax__columns = _kernel("log_softmax__columns", OF_X, columns(log_softmax_strip))
softmax_backward__columns = _kernel("softmax_backward__columns", OF_DY, columns_backward(softmax_backward_strip))
log_softmax_backward__columns = _kernel(
    "log_softmax_backward__columns", OF_DY, columns_backward(log_softmax_backward_strip)
)
softmax__few = _kernel("softmax__few", "S[:,::1], S[:,::1]", few(softmax_strip))
log_softmax__few = _kernel("log_softmax__few", "S[:,::1], S[:,::1]", few(log_softmax_strip))
