"""Normalisation of the columns of a flat x(N, C), as the channels of images lie by pixels.

Blocks of rows whose sums stay in the nearest cache are merged in order, by every task for itself. Where C is small, K
rows are taken for one: x(N / K, K C). What is known of each column lies in a line on the stack.

The last rows, which are still near, are the first to be normalised.
"""

from math import sqrt

from .._jit import jitted, kernel
from .._row_loop import row_loop
from .._simd import address, fence, fma, itemsize, load, stack_bytes, store, vector_at

LINE = 1024  # columns that are normalised together, of float64; twice as many lines of float32 would fit
BYTES = 4 * 8 * LINE


@row_loop(reads=4, writes=1)
def affine_lines(b, reads, numbers, sums):
    """Set y = (x - mean) scale + bias."""
    x, mean, scale, bias = reads
    return [], [b.fadd(b.fmul(b.fsub(x, mean), scale), bias)]


@row_loop(reads=6, writes=1, rows=2)
def slope_lines(b, reads, numbers, sums):
    """Set dx = dy factor - offset - (x - mean) slope."""
    dy, x, mean, factor, offset, slope = reads
    return [], [b.fsub(b.fsub(b.fmul(dy, factor), offset), b.fmul(b.fsub(x, mean), slope))]


@jitted
def row(x, r, width):
    """Return row r."""
    return vector_at(x[0], address(x) + r * width * itemsize(x[0]), width)


@kernel("T[::1], T[:,:,::1], int", writes="parts", parallel=True)
def moments__pixels(x, parts, block, lo, hi):
    """x(N C) -> parts(B, 2, C): of each block of rows the means, and the sums of squared distances from them."""
    T, n = x.dtype.type, parts.shape[2]
    one = T(1)
    for b in range(lo, hi):
        start, end = b * block, min((b + 1) * block, x.size // n)
        mean, squares, first = parts[b, 0], parts[b, 1], row(x, start, n)
        fours = end - (end - start) % 4
        mean[:] = 0
        squares[:] = 0
        for r in range(start, fours, 4):
            p, q, s, t = row(x, r, n), row(x, r + 1, n), row(x, r + 2, n), row(x, r + 3, n)
            for c in range(mean.size):  # fma keeps fastmath from subtracting from the sum: the same error every time
                shift = load(first, c)
                sum = fma(load(q, c) - shift, one, fma(load(p, c) - shift, one, load(mean, c)))
                store(mean, c, fma(load(t, c) - shift, one, fma(load(s, c) - shift, one, sum)))
        for r in range(fours, end):
            p = row(x, r, n)
            for c in range(mean.size):
                store(mean, c, fma(load(p, c) - load(first, c), one, load(mean, c)))
        share = one / T(end - start)
        for c in range(mean.size):
            mean[c] = first[c] + mean[c] * share
        for r in range(start, fours, 4):
            p, q, s, t = row(x, r, n), row(x, r + 1, n), row(x, r + 2, n), row(x, r + 3, n)
            for c in range(mean.size):
                middle = load(mean, c)
                d, e, f, g = load(p, c) - middle, load(q, c) - middle, load(s, c) - middle, load(t, c) - middle
                store(squares, c, load(squares, c) + ((d * d + e * e) + (f * f + g * g)))
        for r in range(fours, end):
            p = row(x, r, n)
            for c in range(mean.size):
                d = load(p, c) - load(mean, c)
                store(squares, c, load(squares, c) + d * d)


@jitted
def merged(parts, channel, channels, block, rows):
    """Return mean and variance of a channel from the parts of all blocks, where K columns are its own."""
    done, count, mean, squares = 0, 0, 0.0, 0.0
    for b in range(parts.shape[0]):
        n = min(block, rows - done)
        done += n
        for column in range(channel, parts.shape[2], channels):
            step, share = parts[b, 0, column] - mean, n / (count + n)
            mean += step * share
            squares += parts[b, 1, column] + step * step * (count * share)
            count += n
    return mean, squares / count


@jitted
def repeat(line, channels):
    """Repeat the first numbers of a line to its end."""
    for c in range(channels, line.size):
        line[c] = line[c - channels]


@kernel(
    "T[::1], T[:,:,::1], T[:], T[:], T[:], T[:], T[::1], f8, int, int",
    writes="mean variance out",
    parallel=True,
)
def norm__pixels(x, parts, mean, variance, weight, bias, out, eps, block, far, lo, hi):
    """x(N K C), parts(B, 2, K C), mean(C), variance(C), weight(C), bias(C) -> out(N K C) = (x - mean) scale + bias.

    Mean and variance are made of the parts, or given where there are none.
    """
    T, width, channels = x.dtype.type, parts.shape[2], weight.size
    place, size = stack_bytes(BYTES), itemsize(T(0))
    for start in range(0, width, LINE):
        n = min(LINE, width - start)
        second, third = place + n * size, place + 2 * n * size
        means, scales, shifts = vector_at(T(0), place, n), vector_at(T(0), second, n), vector_at(T(0), third, n)
        for c in range(min(n, channels)):
            if parts.shape[0]:
                m, v = merged(parts, start + c, channels, block, x.size // width)
                means[c], scales[c] = m, v
                if lo == 0:
                    mean[start + c], variance[start + c] = m, v
            else:
                means[c], scales[c] = mean[start + c], variance[start + c]
        for c in range(min(n, channels)):
            scales[c] = weight[start + c] / sqrt(scales[c] + eps)
            shifts[c] = bias[start + c]
        repeat(means, channels)
        repeat(scales, channels)
        repeat(shifts, channels)
        for i in range(hi - lo):
            at = ((hi - 1 - i) * width + start) * size
            affine_lines(n, (address(x) + at, place, second, third, address(out) + at), (T(0),), -far)
    if far:
        fence()


@kernel("T[::1], T[::1], T[::1], T[:,:,::1], int", writes="parts", parallel=True)
def norm_backward_sums__pixels(dy, x, mean, parts, block, lo, hi):
    """dy(N K C), x(N K C), mean(C) -> parts(2, B, K C): of each block of rows the sums of dy (x - mean), and of dy."""
    T, n = x.dtype.type, parts.shape[2]
    means = mean
    if n > mean.size:
        means = vector_at(T(0), stack_bytes(BYTES), n)
        means[: mean.size] = mean
        repeat(means, mean.size)
    for b in range(lo, hi):
        product, total = parts[0, b], parts[1, b]
        product[:] = 0
        total[:] = 0
        start, end = b * block, min((b + 1) * block, x.size // n)
        fours = end - (end - start) % 4
        for r in range(start, fours, 4):
            p, q, s, t = row(dy, r, n), row(dy, r + 1, n), row(dy, r + 2, n), row(dy, r + 3, n)
            d, e, f, g = row(x, r, n), row(x, r + 1, n), row(x, r + 2, n), row(x, r + 3, n)
            for c in range(total.size):
                middle = load(means, c)
                sum = load(p, c) * (load(d, c) - middle) + load(q, c) * (load(e, c) - middle)
                sum += load(s, c) * (load(f, c) - middle) + load(t, c) * (load(g, c) - middle)
                store(product, c, load(product, c) + sum)
                store(total, c, load(total, c) + ((load(p, c) + load(q, c)) + (load(s, c) + load(t, c))))
        for r in range(fours, end):
            p, d = row(dy, r, n), row(x, r, n)
            for c in range(total.size):
                store(product, c, load(product, c) + load(p, c) * (load(d, c) - load(means, c)))
                store(total, c, load(total, c) + load(p, c))


@kernel(
    "T[::1], T[::1], T[:], T[:], T[:], T[:,:,::1], T[::1], T[:,::1], f8, f8, int",
    writes="dx sums",
    parallel=True,
)
def norm_backward__pixels(dy, x, mean, variance, weight, parts, dx, sums, eps, share, far, lo, hi):
    """dy(N K C), x(N K C), mean(C), variance(C), weight(C), parts(2, B, K C) -> dx(N K C), sums(2, C).

    See `norm_backward__runs`.
    """
    T, width, channels = x.dtype.type, parts.shape[2], weight.size
    place, size = stack_bytes(BYTES), itemsize(T(0))
    for start in range(0, width, LINE):
        n = min(LINE, width - start)
        second, third, fourth = place + n * size, place + 2 * n * size, place + 3 * n * size
        means, factors = vector_at(T(0), place, n), vector_at(T(0), second, n)
        offsets, slopes = vector_at(T(0), third, n), vector_at(T(0), fourth, n)
        for c in range(min(n, channels)):
            product, total = 0.0, 0.0
            for b in range(parts.shape[1]):
                for column in range(start + c, parts.shape[2], channels):
                    product += parts[0, b, column]
                    total += parts[1, b, column]
            slopes[c], offsets[c] = product, total
        for c in range(min(n, channels)):
            scale = 1 / sqrt(variance[start + c] + eps)
            factor = weight[start + c] * scale
            if lo == 0:
                sums[0, start + c], sums[1, start + c] = slopes[c] * scale, offsets[c]
            means[c], factors[c] = mean[start + c], factor
            offsets[c], slopes[c] = factor * offsets[c] * share, factor * scale * scale * slopes[c] * share
        repeat(means, channels)
        repeat(factors, channels)
        repeat(offsets, channels)
        repeat(slopes, channels)
        for i in range(hi - lo):
            at = ((hi - 1 - i) * width + start) * size
            places = address(dy) + at, address(x) + at, place, second, third, fourth, address(dx) + at
            slope_lines(n, places, (T(0),), -far)
    if far:
        fence()
