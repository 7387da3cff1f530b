"""Normalisation: numbers minus their mean, over their standard deviation, times a weight, plus a bias.

Two ways of lying in memory serve all norms. Runs: x(P, R, L) is normalised per r over P and L. That is the channels of
images by planes (batch norm), and with P = 1 any rows (instance, group and layer norm), whose weights belong to runs
of columns, or to each column. Pixels: x(N, C) is normalised per column.

Means and variances are taken in two passes over pieces that stay in the nearest cache, and merged in order (Chan,
Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979, eq. 2.1): so no
large numbers cancel. A norm without a mean (RMS) takes 0 for it. `statistics` holds means and variances.
"""

from math import sqrt

from .._jit import jitted, kernel
from .._rows import normalize_row1, normalize_row2, normalize_row4
from .._simd import address, fma, itemsize, lanes, load, store

PIECE = 4096  # numbers whose mean and variance are taken at once


@jitted
def moments(x, centred, count, mean, squares):
    """Merge the numbers of a vector into (count, mean, sum of squared distances from it): the last two in float64."""
    T = x.dtype.type
    for first in range(0, x.size, PIECE):
        piece = x[first : first + PIECE]
        total, spread = T(0), T(0)
        if centred:
            for i in range(piece.size):
                total += load(piece, i)
            total /= T(piece.size)
        for i in range(piece.size):
            distance = load(piece, i) - total
            spread += distance * distance
        step = total - mean
        share = piece.size / (count + piece.size)
        mean += step * share
        squares += spread + step * step * (count * share)
        count += piece.size
    return count, mean, squares


@jitted
def products(dy, x, mean):
    """Return the sums of dy (x - mean) and of dy."""
    T = x.dtype.type
    product, total = 0.0, 0.0
    for first in range(0, x.size, PIECE):
        a, b = dy[first : first + PIECE], x[first : first + PIECE]
        p, s = T(0), T(0)
        for i in range(a.size):
            p += load(a, i) * (load(b, i) - mean)
            s += load(a, i)
        product += p
        total += s
    return product, total


@jitted
def affine(x, mean, scale, bias, out):
    """Set out = (x - mean) scale + bias."""
    for i in range(x.size):
        store(out, i, (load(x, i) - mean) * scale + bias)


@kernel("T[:,:,::1], T[::1], T[::1], T[:,:,::1], T[:,::1], f8, int, int", writes="out statistics", parallel=True)
def norm__runs(x, weight, bias, out, statistics, eps, runs, centred, lo, hi):
    """x(P, R, L), weight(W), bias(W) -> out(P, R, L), statistics(2, R).

    Each x[p, r] is cut into equal runs; all weights serve one run after the other, over and over.
    """
    T = x.dtype.type
    length = x.shape[2] // runs
    for r in range(lo, hi):
        count, mean, squares = 0, 0.0, 0.0
        for p in range(x.shape[0]):
            count, mean, squares = moments(x[p, r], centred, count, mean, squares)
        statistics[0, r], statistics[1, r] = mean, squares / count
        scale = T(1 / sqrt(squares / count + eps))
        for p in range(x.shape[0]):
            for k in range(runs):
                w, part = (r * runs + k) % weight.size, slice(k * length, (k + 1) * length)
                affine(x[p, r, part], T(mean), scale * weight[w], bias[w], out[p, r, part])


@kernel("T[:,:,::1], T[:,::1], T[::1], T[::1], T[:,:,::1], f8", writes="out", parallel=True)
def norm__given(x, statistics, weight, bias, out, eps, lo, hi):
    """x(P, R, L), statistics(2, R), weight(R), bias(R) -> out(P, R, L). The range is over P R."""
    T = x.dtype.type
    for i in range(lo, hi):
        p, r = i // x.shape[1], i % x.shape[1]
        scale = T(weight[r] / sqrt(statistics[1, r] + eps))
        affine(x[p, r], statistics[0, r], scale, bias[r], out[p, r])


@kernel(
    "T[:,:,::1], T[:,:,::1], T[:,::1], T[::1], T[:,:,::1], T[:,::1], f8, int, f8, f8",
    writes="dx sums",
    parallel=True,
)
def norm_backward__runs(dy, x, statistics, weight, dx, sums, eps, runs, mean_share, share, lo, hi):
    """dy(P, R, L), x(P, R, L), statistics(2, R), weight(W) -> dx(P, R, L), sums(2, R runs): of dy xhat, and of dy.

    dx = (w dy - mean(w dy) - xhat mean(w dy xhat)) / std. share is what makes a mean of a sum: 1 / (P L), or 0 where
    the variance does not depend on x; mean_share the same of the mean.
    """
    T = x.dtype.type
    length = x.shape[2] // runs
    for r in range(lo, hi):
        mean, scale = statistics[0, r], 1 / sqrt(statistics[1, r] + eps)
        m1, m2 = 0.0, 0.0
        for k in range(runs):
            part, w = slice(k * length, (k + 1) * length), weight[(r * runs + k) % weight.size]
            s1, s2 = 0.0, 0.0
            for p in range(x.shape[0]):
                a, b = products(dy[p, r, part], x[p, r, part], mean)
                s1, s2 = s1 + b, s2 + a
            sums[0, r * runs + k], sums[1, r * runs + k] = s2 * scale, s1
            m1, m2 = m1 + w * s1, m2 + w * s2
        offset, slope = T(scale * m1 * mean_share), T(scale**3 * m2 * share)
        for p in range(x.shape[0]):
            for k in range(runs):
                part = slice(k * length, (k + 1) * length)
                factor = T(scale * weight[(r * runs + k) % weight.size])
                a, b, c = dy[p, r, part], x[p, r, part], dx[p, r, part]
                for i in range(a.size):
                    store(c, i, load(a, i) * factor - offset - (load(b, i) - mean) * slope)


@jitted
def row_moments(x, centred):
    """Return the mean and the variance of a vector in its dtype, long ones merged from pieces."""
    T = x.dtype.type
    if x.size > PIECE:
        count, mean, squares = moments(x, centred, 0, 0.0, 0.0)
        return T(mean), T(squares / count)
    total, spread, share = T(0), T(0), T(1) / T(x.size)
    if centred:
        for i in range(x.size):
            total += load(x, i)
    mean = total * share
    for i in range(x.size):
        spread += (load(x, i) - mean) * (load(x, i) - mean)
    return mean, spread * share


@kernel("T[:,::1], T[::1], T[::1], T[:,::1], T[:,::1], T, int", writes="out statistics", parallel=True)
def norm__columns(x, weight, bias, out, statistics, eps, centred, lo, hi):
    """x(R, C), weight(C), bias(C) -> out(R, C), statistics(2, R)."""
    T, n = x.dtype.type, x.shape[1]
    size, width = itemsize(eps), lanes(eps)
    means, variances = statistics[0], statistics[1]
    for r in range(lo, hi):
        if n <= 4 * width:
            here, mean, variance = r * n * size, address(means) + r * size, address(variances) + r * size
            a, w, b, y = address(x) + here, address(weight), address(bias), address(out) + here
            if n <= width:
                normalize_row1(eps, a, n, w, b, y, eps, centred, mean, variance)
            elif n <= 2 * width:
                normalize_row2(eps, a, n, w, b, y, eps, centred, mean, variance)
            else:
                normalize_row4(eps, a, n, w, b, y, eps, centred, mean, variance)
        else:
            row, result = x[r], out[r]
            average, spread = row_moments(row, centred)
            means[r], variances[r] = average, spread
            scale = T(1) / sqrt(spread + eps)
            for c in range(n):
                store(result, c, (load(row, c) - average) * scale * load(weight, c) + load(bias, c))


@kernel("T[:,::1], T[:,::1], T[:,::1], T[::1], T[:,::1], T[:,:,::1], f8, int, int", writes="dx sums", parallel=True)
def norm_backward__columns(dy, x, statistics, weight, dx, sums, eps, block, centred, lo, hi):
    """dy(R, C), x(R, C), statistics(2, R), weight(C) -> dx(R, C), sums(2, B, C): of dy xhat, and of dy.

    The range is over B blocks of rows.
    """
    T = x.dtype.type
    for b in range(lo, hi):
        dweight, dbias = sums[0, b], sums[1, b]
        dweight[:] = 0
        dbias[:] = 0
        for r in range(b * block, min((b + 1) * block, x.shape[0])):
            a, row, result = dy[r], x[r], dx[r]
            mean, scale = statistics[0, r], T(1 / sqrt(statistics[1, r] + eps))
            m1, m2 = T(0), T(0)
            for c in range(row.size):
                g = load(a, c) * load(weight, c)
                m1 += g
                m2 += g * (load(row, c) - mean)
            offset = scale * m1 / T(row.size) if centred else T(0)
            slope = scale * scale * scale * m2 / T(row.size)
            for c in range(row.size):
                g = load(a, c) * load(weight, c)
                store(result, c, g * scale - offset - (load(row, c) - mean) * slope)
            for c in range(row.size):
                dweight[c] += load(a, c) * ((load(row, c) - mean) * scale)
                dbias[c] += load(a, c)


# Pixels: x(N, C), cut into blocks of rows whose sums stay in the nearest cache, and are merged in order. Where C is
# small, K rows are taken for one: x(N / K, K C).


@kernel("T[:,::1], T[:,:,::1], int", writes="parts", parallel=True)
def moments__pixels(x, parts, block, lo, hi):
    """x(N, C) -> parts(B, 2, C): of each block of rows the means, and the sums of squared distances from them."""
    T = x.dtype.type
    for b in range(lo, hi):
        rows = x[b * block : (b + 1) * block]
        mean, squares = parts[b, 0], parts[b, 1]
        mean[:] = 0
        squares[:] = 0
        first = rows[0]
        for r in range(1, rows.shape[0]):
            row = rows[r]
            for c in range(mean.size):  # fma keeps fastmath from subtracting from the sum: the same error every time
                mean[c] = fma(load(row, c) - load(first, c), T(1), mean[c])
        share = T(1) / T(rows.shape[0])
        for c in range(mean.size):
            mean[c] = first[c] + mean[c] * share
        for r in range(rows.shape[0]):
            row = rows[r]
            for c in range(mean.size):
                distance = load(row, c) - mean[c]
                squares[c] += distance * distance


@kernel("T[:,:,::1], T[:,::1], int, int", writes="statistics")
def moments__merge(parts, statistics, block, rows):
    """parts(B, 2, K C) -> statistics(2, C) of all rows, K of which lie side by side."""
    channels = statistics.shape[1]
    for c in range(channels):
        done, count, mean, squares = 0, 0, 0.0, 0.0
        for b in range(parts.shape[0]):
            n = min(block, rows - done)
            done += n
            for column in range(c, parts.shape[2], channels):
                step, share = parts[b, 0, column] - mean, n / (count + n)
                mean += step * share
                squares += parts[b, 1, column] + step * step * (count * share)
                count += n
        statistics[0, c], statistics[1, c] = mean, squares / count


@kernel("T[:,::1], T[::1], T[::1], T[:,::1], f8", writes="line")
def norm_line__channels(statistics, weight, bias, line, eps):
    """statistics(2, C), weight(C), bias(C) -> line(3, K C): mean, scale and bias of each channel, K times."""
    channels = weight.size
    for c in range(channels):
        scale = weight[c] / sqrt(statistics[1, c] + eps)
        for column in range(c, line.shape[1], channels):
            line[0, column], line[1, column], line[2, column] = statistics[0, c], scale, bias[c]


@kernel("T[:,::1], T[:,::1], T[:,::1]", writes="out", parallel=True)
def norm__pixels(x, line, out, lo, hi):
    """x(N, C), line(3, C) -> out(N, C) = (x - mean) scale + bias."""
    mean, scale, bias = line[0], line[1], line[2]
    for r in range(lo, hi):
        row, result = x[r], out[r]
        for c in range(row.size):
            store(result, c, (load(row, c) - load(mean, c)) * load(scale, c) + load(bias, c))


@kernel("T[:,::1], T[:,::1], T[:,::1], T[:,:,::1], int", writes="parts", parallel=True)
def norm_backward_sums__pixels(dy, x, line, parts, block, lo, hi):
    """dy(N, C), x(N, C), line(3, C) -> parts(2, B, C): of each block of rows the sums of dy (x - mean), and of dy."""
    mean = line[0]
    for b in range(lo, hi):
        product, total = parts[0, b], parts[1, b]
        product[:] = 0
        total[:] = 0
        for r in range(b * block, min((b + 1) * block, x.shape[0])):
            a, row = dy[r], x[r]
            for c in range(total.size):
                product[c] += load(a, c) * (load(row, c) - load(mean, c))
                total[c] += load(a, c)


@kernel("T[:,:,::1], T[:,::1], T[::1], T[:,::1], T[:,::1], f8, f8", writes="sums line")
def norm_backward_line__channels(parts, statistics, weight, sums, line, eps, share):
    """parts(2, B, K C), statistics(2, C), weight(C) -> sums(2, C), line(4, K C) for `norm_backward__pixels`."""
    channels = weight.size
    for c in range(channels):
        product, total = 0.0, 0.0
        for b in range(parts.shape[1]):
            for column in range(c, parts.shape[2], channels):
                product += parts[0, b, column]
                total += parts[1, b, column]
        scale = 1 / sqrt(statistics[1, c] + eps)
        factor = weight[c] * scale
        sums[0, c], sums[1, c] = product * scale, total
        for column in range(c, parts.shape[2], channels):
            line[0, column], line[1, column] = statistics[0, c], factor
            line[2, column], line[3, column] = factor * total * share, factor * scale * scale * product * share


@kernel("T[:,::1], T[:,::1], T[:,::1], T[:,::1]", writes="dx", parallel=True)
def norm_backward__pixels(dy, x, line, dx, lo, hi):
    """dy(N, C), x(N, C), line(4, C): mean, factor, offset, slope -> dx = dy factor - offset - (x - mean) slope."""
    mean, factor, offset, slope = line[0], line[1], line[2], line[3]
    for r in range(lo, hi):
        a, row, result = dy[r], x[r], dx[r]
        for c in range(row.size):
            value = load(a, c) * load(factor, c) - load(offset, c) - (load(row, c) - load(mean, c)) * load(slope, c)
            store(result, c, value)
