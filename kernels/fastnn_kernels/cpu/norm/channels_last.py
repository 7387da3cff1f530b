"""Batch norm of channels-last images: of the columns of a flat x(N, C).

Blocks of rows whose sums stay in the first-level cache are merged in order, by every task for itself. Where C is small,
K pixels make one row: x(N / K, K C). Means, scales and offsets of the columns are kept in lines on the stack.

The last rows, which are still in the cache, are the first to be normalised.
"""

from math import sqrt

from ...ground.jit import jitted, kernel
from ..vector.row_loop import fma, row_loop
from ..vector.simd import address, fence, itemsize, stack_bytes, vector_at

LINE = 1024  # columns that are normalised together, of float64; twice as many lines of float32 would fit
BYTES = 6 * 8 * LINE
ROWS = 64  # that are normalised in the order of their addresses
AHEAD = 2048  # numbers to prefetch, at least


@row_loop(reads=6, writes=1, fetched=4, streamed=0, together=1)
def add_rows(reads, numbers, sums):
    """Add x - first of four rows to a sum."""
    *rows, first, sum = reads
    for x in rows:  # fma keeps fastmath from subtracting from the sum: the same error every time
        sum = fma(x - first, numbers[0], sum)
    return [], [sum]


@row_loop(reads=6, writes=1, fetched=4, streamed=0, together=1)
def add_squares(reads, numbers, sums):
    """Add (x - mean)^2 of four rows to a sum."""
    *rows, mean, sum = reads
    for x in rows:
        distance = x - mean
        sum = fma(distance, distance, sum)
    return [], [sum]


@row_loop(reads=4, writes=2, fetched=0, streamed=0)
def merge_moments(reads, numbers, sums):
    """Merge the means and sums of squares of other rows into those of earlier ones."""
    (other, squares, mean, sum), (share, weight) = reads, numbers
    step = other - mean
    return [], [fma(step, share, mean), sum + fma(step * step, weight, squares)]


def add_products(rows):
    """Make a loop that adds dy (x - mean) and dy of so many rows to two sums."""

    @row_loop(2 * rows + 3, writes=2, fetched=2 * rows, streamed=0, together=1)
    def add_products(reads, numbers, sums):
        *pairs, mean, product, total = reads
        for dy, x in zip(pairs[:rows], pairs[rows:], strict=True):
            product, total = fma(dy, x - mean, product), total + dy
        return [], [product, total]

    return add_products


add_one, add_four = add_products(1), add_products(4)


@row_loop(reads=7, writes=4, fetched=4, streamed=4, together=1)
def affine_lines(reads, numbers, sums):
    """Set y = (x - mean) scale + bias, of four rows."""
    *rows, mean, scale, bias = reads
    return [], [fma(x - mean, scale, bias) for x in rows]


@row_loop(reads=8, writes=2, fetched=4, streamed=2, together=1)
def slope_lines(reads, numbers, sums):
    """Set dx = dy factor - offset - (x - mean) slope, of two rows."""
    *rows, mean, factor, offset, slope = reads
    return [], [fma(-(x - mean), slope, fma(dy, factor, -offset)) for dy, x in zip(rows[:2], rows[2:], strict=True)]


@jitted
def four(x, width, r, end, other):
    """Return the addresses of four rows from r on, and `other` in place of those past the end."""
    step = width * itemsize(x[0])
    p = address(x) + r * step
    q = p + step if r + 1 < end else other
    s = p + 2 * step if r + 2 < end else other
    return p, q, s, p + 3 * step if r + 3 < end else other


@kernel("S[::1], T[:,:,::1], int, int, int", writes="parts", parallel=True)
def batch_norm__statistics_channels_last(x, parts, block, piece, streaming, lo, hi):
    """x(N C) -> parts(B 4 C): the means of each block of rows, and the sums of squared distances from them.

    A block has pieces of `piece` rows, for which there are the other two lines of parts. Of each piece sum the rows,
    sum the squared distances from their mean, merge both into the block's.
    """
    T, n = x.dtype.type, parts.shape[2]
    for b in range(lo, hi):
        end = min((b + 1) * block, x.size // n)
        for start in range(b * block, end, piece):
            last, line = min(start + piece, end), 0 if start == b * block else 2
            mean, squares = parts[b, line], parts[b, line + 1]
            first = x[start * n : (start + 1) * n]
            for c in range(n):
                mean[c], squares[c] = 0, 0
            m, s, f = address(mean), address(squares), address(first)
            for r in range(start, last, 4):
                add_rows(n, four(x, n, r, last, f) + (f, m, m), (T(1),), 0)
            share = T(1) / T(last - start)
            for c in range(n):
                mean[c] = first[c] + mean[c] * share
            for r in range(start, last, 4):
                add_squares(n, four(x, n, r, last, m) + (m, s, s), (T(0),), streaming * piece * n)
            if line:
                done, count = start - b * block, last - start
                share, whole = T(count) / T(done + count), (address(parts[b, 0]), address(parts[b, 1]))
                merge_moments(n, (m, s) + whole + whole, (share, T(done) * share), 0)


@jitted
def merge(parts, start, channels, block, rows, mean, variance):
    """Set mean and variance, of float64, for a line of channels, each of which has K columns of all parts."""
    width, n = parts.shape[2], mean.size
    numbers = rows * width / channels
    for c in range(n):
        mean[c], variance[c] = 0, 0
    for b in range(parts.shape[0]):
        share = min(block, rows - b * block) / numbers
        for first in range(start, width, channels):
            part = parts[b, 0, first : first + n]
            for c in range(n):
                mean[c] += share * part[c]
    for b in range(parts.shape[0]):
        count = min(block, rows - b * block)
        for first in range(start, width, channels):
            part, squares = parts[b, 0, first : first + n], parts[b, 1, first : first + n]
            for c in range(n):
                variance[c] += squares[c] + count * (part[c] - mean[c]) ** 2
    for c in range(n):
        variance[c] /= numbers


@jitted
def add_parts(parts, i, start, channels, sum):
    """Set sum, of float64, to that of parts(2 B K C)[i] for a line of channels."""
    n = sum.size
    for c in range(n):
        sum[c] = 0
    for b in range(parts.shape[1]):
        for first in range(start, parts.shape[2], channels):
            part = parts[i, b, first : first + n]
            for c in range(n):
                sum[c] += part[c]


@jitted
def repeat(line, channels):
    """Repeat the first numbers of a line to its end."""
    for c in range(channels, line.size):
        line[c] = line[c - channels]


@kernel(
    "S[::1], T[:], T[:], S[:], S[:], S[::1], f8, T[:,:,::1], int, int",
    writes="mean variance out",
    parallel=True,
)
def batch_norm__channels_last(x, mean, variance, weight, bias, out, eps, parts, block, streaming, lo, hi):
    """x(N K C), mean(C), variance(C), weight(C), bias(C), parts(B 4 K C) -> out(N K C) = (x - mean) scale + bias.

    Mean and variance follow from the parts, or are given where there are none. Of each line of columns merge the parts,
    compute scales, normalise.
    """
    T, width, channels = x.dtype.type, parts.shape[2], weight.size
    place, size = stack_bytes(BYTES), itemsize(T(0))
    for start in range(0, width, LINE):
        n = min(LINE, width - start)
        second, third = place + n * size, place + 2 * n * size
        means, scales, shifts = vector_at(T(0), place, n), vector_at(T(0), second, n), vector_at(T(0), third, n)
        distinct, wide = min(n, channels), place + 4 * 8 * LINE
        if parts.shape[0]:
            m, v = vector_at(0.0, wide, distinct), vector_at(0.0, wide + 8 * distinct, distinct)
            merge(parts, start, channels, block, x.size // width, m, v)
            for c in range(distinct):
                means[c], scales[c] = m[c], v[c]
            if lo == 0:
                for c in range(distinct):
                    mean[start + c], variance[start + c] = means[c], scales[c]
        else:
            for c in range(distinct):
                means[c], scales[c] = mean[start + c], variance[start + c]
        for c in range(distinct):
            scales[c] = weight[start + c] / sqrt(scales[c] + eps)
            shifts[c] = bias[start + c]
        repeat(means, channels)
        repeat(scales, channels)
        repeat(shifts, channels)
        for k in range(-(-(hi - lo) // ROWS), 0, -1):
            end = min(lo + k * ROWS, hi)
            for r in range(lo + (k - 1) * ROWS, end, 4):
                rows = four(x[start:], width, r, end, address(x) + ((end - 1) * width + start) * size)
                results = four(out[start:], width, r, end, address(out) + ((end - 1) * width + start) * size)
                affine_lines(n, rows + (place, second, third) + results, (T(0),), streaming * max(4 * width, AHEAD))
    if streaming:
        fence()


@kernel("S[::1], S[::1], T[::1], T[:,:,::1], int, int", writes="parts", parallel=True)
def batch_norm_backward__sums_channels_last(dy, x, mean, parts, block, streaming, lo, hi):
    """dy(N K C), x(N K C), mean(C) -> parts(2 B K C): the sums of dy (x - mean) and of dy over each block of rows."""
    T, n, size = x.dtype.type, parts.shape[2], itemsize(x[0])
    means = mean
    if n > mean.size:
        means = vector_at(T(0), stack_bytes(BYTES), n)
        for c in range(mean.size):
            means[c] = mean[c]
        repeat(means, mean.size)
    for i in range(lo, hi):
        product, total = parts[0, i], parts[1, i]
        product[:] = 0
        total[:] = 0
        start, end = i * block, min((i + 1) * block, x.size // n)
        fours = end - (end - start) % 4
        sums = address(means), address(product), address(total), address(product), address(total)
        for r in range(start, fours, 4):
            add_four(n, four(dy, n, r, end, 0) + four(x, n, r, end, 0) + sums, (T(0),), streaming * max(4 * n, AHEAD))
        for r in range(fours, end):
            add_one(n, (address(dy) + r * n * size, address(x) + r * n * size) + sums, (T(0),), 0)


@kernel(
    "S[::1], S[::1], T[:], T[:], S[:], T[:,:,::1], S[::1], S[::1], S[::1], f8, f8, int",
    writes="dx dweight dbias",
    parallel=True,
)
def batch_norm_backward__channels_last(
    dy, x, mean, variance, weight, parts, dx, dweight, dbias, eps, share, streaming, lo, hi
):
    """dy(N K C), x(N K C), mean(C), variance(C), weight(C), parts(2 B K C) -> dx(N K C), dweight(C), dbias(C).

    Of each line of columns add up the parts, compute factors, compute dx as `group_norm_backward__rows` does.
    """
    T, width, channels = x.dtype.type, parts.shape[2], weight.size
    place, size = stack_bytes(BYTES), itemsize(T(0))
    for start in range(0, width, LINE):
        n = min(LINE, width - start)
        second, third, fourth = place + n * size, place + 2 * n * size, place + 3 * n * size
        means, factors = vector_at(T(0), place, n), vector_at(T(0), second, n)
        offsets, slopes = vector_at(T(0), third, n), vector_at(T(0), fourth, n)
        distinct, wide = min(n, channels), place + 4 * 8 * LINE
        product, total = vector_at(0.0, wide, distinct), vector_at(0.0, wide + 8 * distinct, distinct)
        add_parts(parts, 0, start, channels, product)
        add_parts(parts, 1, start, channels, total)
        for c in range(distinct):
            scale = 1 / sqrt(variance[start + c] + eps)
            means[c], factors[c] = mean[start + c], weight[start + c] * scale
            offsets[c], slopes[c] = factors[c] * total[c] * share, factors[c] * scale * scale * product[c] * share
            product[c] *= scale
        if lo == 0:
            for c in range(distinct):
                dweight[start + c], dbias[start + c] = product[c], total[c]
        repeat(means, channels)
        repeat(factors, channels)
        repeat(offsets, channels)
        repeat(slopes, channels)
        ahead = streaming * max(2 * width, AHEAD)
        for k in range(-(-(hi - lo) // ROWS), 0, -1):
            end = min(lo + k * ROWS, hi)
            for r in range(lo + (k - 1) * ROWS, end, 2):
                at, other = (r * width + start) * size, (min(r + 1, end - 1) * width + start) * size
                rows = address(dy) + at, address(dy) + other, address(x) + at, address(x) + other
                results = address(dx) + at, address(dx) + other
                slope_lines(n, rows + (place, second, third, fourth) + results, (T(0),), ahead)
    if streaming:
        fence()
