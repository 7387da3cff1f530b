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
from .._row_loop import row_loop
from .._rows import normalize_row1, normalize_row2, normalize_row4
from .._simd import address, fence, itemsize, lanes, load, store

PIECE = 4096  # numbers whose mean and variance are taken at once


@row_loop(reads=1, sums=1)
def total(b, reads, numbers, sums):
    """Sum x."""
    return [b.fadd(sums[0], reads[0])], []


@row_loop(reads=1, sums=1)
def spread(b, reads, numbers, sums):
    """Sum (x - mean)^2."""
    distance = b.fsub(reads[0], numbers[0])
    return [b.fadd(sums[0], b.fmul(distance, distance))], []


@row_loop(reads=2, sums=2, rows=2)
def products(b, reads, numbers, sums):
    """Sum dy (x - mean) and dy."""
    dy, x = reads
    return [b.fadd(sums[0], b.fmul(dy, b.fsub(x, numbers[0]))), b.fadd(sums[1], dy)], []


@row_loop(reads=3, sums=2, rows=2)
def weighted_products(b, reads, numbers, sums):
    """Sum w dy (x - mean) and w dy."""
    dy, x, w = reads
    g = b.fmul(dy, w)
    return [b.fadd(sums[0], b.fmul(g, b.fsub(x, numbers[0]))), b.fadd(sums[1], g)], []


@row_loop(reads=1, writes=1)
def affine(b, reads, numbers, sums):
    """Set y = (x - mean) scale + bias."""
    mean, scale, bias = numbers
    return [], [b.fadd(b.fmul(b.fsub(reads[0], mean), scale), bias)]


@row_loop(reads=3, writes=1)
def affine_columns(b, reads, numbers, sums):
    """Set y = (x - mean) scale w + b."""
    (x, weight, bias), (mean, scale) = reads, numbers
    return [], [b.fadd(b.fmul(b.fmul(b.fsub(x, mean), scale), weight), bias)]


@row_loop(reads=2, writes=1, rows=2)
def slope(b, reads, numbers, sums):
    """Set dx = dy factor - offset - (x - mean) slope."""
    (dy, x), (mean, factor, offset, slope) = reads, numbers
    return [], [b.fsub(b.fsub(b.fmul(dy, factor), offset), b.fmul(b.fsub(x, mean), slope))]


@row_loop(reads=5, writes=3, rows=2)
def slope_columns(b, reads, numbers, sums):
    """Set dx = dy w scale - offset - (x - mean) slope, and add to the gradients of w and b."""
    (dy, x, w, dweight, dbias), (mean, scale, offset, slope) = reads, numbers
    distance, g = b.fsub(x, mean), b.fmul(dy, scale)
    dx = b.fsub(b.fsub(b.fmul(g, w), offset), b.fmul(distance, slope))
    return [], [dx, b.fadd(dweight, b.fmul(g, distance)), b.fadd(dbias, dy)]


@jitted
def moments(zero, place, size, centred, far, count, mean, squares):
    """Merge the numbers at an address into (count, mean, sum of squared distances from it): the last two in float64."""
    T = type(zero)
    for first in range(0, size, PIECE):
        n, here = min(PIECE, size - first), (place + first * itemsize(zero),)
        middle = total(n, here, (zero,), 0)[0] / T(n) if centred else zero
        around = spread(n, here, (middle,), far)[0]
        if count == 0:
            mean, squares = float(middle), float(around)
        else:
            step, share = middle - mean, n / (count + n)
            mean += step * share
            squares += around + step * step * (count * share)
        count += n
    return count, mean, squares


# Runs: a flat x is (P, R, L).


@kernel("T[::1], T[:], T[:], T[::1], T[:,::1], int, f8, int, int, int", writes="out statistics", parallel=True)
def norm__runs(x, weight, bias, out, statistics, length, eps, runs, centred, far, lo, hi):
    """x(P R L), weight(W), bias(W) -> out(P R L), statistics(2, R).

    Each x[p, r] is cut into equal runs; all weights serve one run after the other, over and over. far: whether out is
    more than the caches hold.
    """
    T = x.dtype.type
    zero, size, part = T(0), itemsize(T(0)), length // runs
    rows = statistics.shape[1]
    planes = x.size // (rows * length)
    ahead = far * (length if planes == 1 else rows * length)  # there lies what is read next
    for r in range(lo, hi):
        count, mean, squares = 0, 0.0, 0.0
        for p in range(planes):
            place = address(x) + (p * rows + r) * length * size
            count, mean, squares = moments(zero, place, length, centred, ahead, count, mean, squares)
        statistics[0, r], statistics[1, r] = mean, squares / count
        middle, scale = T(mean), T(1 / sqrt(squares / count + eps))
        for p in range(planes - 1, -1, -1):  # what was read last is still near
            for k in range(runs):
                w, at = (r * runs + k) % weight.size, ((p * rows + r) * length + k * part) * size
                affine(part, (address(x) + at, address(out) + at), (middle, scale * weight[w], bias[w]), -far)
    if far:
        fence()


@kernel("T[::1], T[:], T[:], T[:], T[:], T[::1], int, f8, int", writes="out", parallel=True)
def norm__given(x, mean, variance, weight, bias, out, length, eps, far, lo, hi):
    """x(P R L), mean(R), variance(R), weight(R), bias(R) -> out(P R L). The range is over P R."""
    T = x.dtype.type
    for i in range(lo, hi):
        r, at = i % weight.size, i * length * itemsize(T(0))
        scale = T(weight[r] / sqrt(variance[r] + eps))
        affine(length, (address(x) + at, address(out) + at), (mean[r], scale, bias[r]), far * length)
    if far:
        fence()


@kernel(
    "T[::1], T[::1], T[:], T[:], T[:], T[::1], T[:,::1], int, f8, int, f8, f8, int", writes="dx sums", parallel=True
)
def norm_backward__runs(dy, x, mean, variance, weight, dx, sums, length, eps, runs, mean_share, share, far, lo, hi):
    """dy(P R L), x(P R L), mean(R), variance(R), weight(W) -> dx(P R L), sums(2, R runs): of dy xhat, and of dy.

    dx = (w dy - mean(w dy) - xhat mean(w dy xhat)) / std. share is what makes a mean of a sum: 1 / (P L), or 0 where
    the variance does not depend on x; mean_share the same of the mean.
    """
    T = x.dtype.type
    size, part, rows = itemsize(T(0)), length // runs, mean.size
    planes = x.size // (rows * length)
    ahead = far * (length if planes == 1 else rows * length)
    for r in range(lo, hi):
        middle, scale = mean[r], 1 / sqrt(variance[r] + eps)
        m1, m2 = 0.0, 0.0
        for k in range(runs):
            w = weight[(r * runs + k) % weight.size]
            s1, s2 = 0.0, 0.0
            for p in range(planes):
                at = ((p * rows + r) * length + k * part) * size
                product, sum = products(part, (address(dy) + at, address(x) + at), (middle,), ahead)
                s1, s2 = s1 + sum, s2 + product
            sums[0, r * runs + k], sums[1, r * runs + k] = s2 * scale, s1
            m1, m2 = m1 + w * s1, m2 + w * s2
        offset, steepness = T(scale * m1 * mean_share), T(scale**3 * m2 * share)
        for p in range(planes - 1, -1, -1):
            for k in range(runs):
                factor, at = (
                    T(scale * weight[(r * runs + k) % weight.size]), ((p * rows + r) * length + k * part) * size
                )  # fmt: skip
                places = address(dy) + at, address(x) + at, address(dx) + at
                slope(part, places, (middle, factor, offset, steepness), -far)
    if far:
        fence()


@kernel("T[:,::1], T[::1], T[::1], T[:,::1], T[:,::1], T, int, int", writes="out statistics", parallel=True)
def norm__columns(x, weight, bias, out, statistics, eps, centred, far, lo, hi):
    """x(R, C), weight(C), bias(C) -> out(R, C), statistics(2, R). far: whether out is more than the caches hold."""
    T, n = x.dtype.type, x.shape[1]
    size, width = itemsize(eps), lanes(eps)
    means, variances = statistics[0], statistics[1]
    w, b = address(weight), address(bias)
    for r in range(lo, hi):
        a, y = address(x) + r * n * size, address(out) + r * n * size
        mean, variance = address(means) + r * size, address(variances) + r * size
        if n <= width:
            normalize_row1(eps, a, n, w, b, y, eps, centred, mean, variance)
        elif n <= 2 * width:
            normalize_row2(eps, a, n, w, b, y, eps, centred, mean, variance)
        elif n <= 4 * width:
            normalize_row4(eps, a, n, w, b, y, eps, centred, mean, variance)
        else:
            count, average, squares = moments(T(0), a, n, centred, 0, 0, 0.0, 0.0)
            means[r], variances[r] = average, squares / count
            scale = T(1) / sqrt(variances[r] + eps)
            affine_columns(n, (a, w, b, y), (means[r], scale), far * n)
    if far:
        fence()


@kernel(
    "T[:,::1], T[:,::1], T[:,::1], T[::1], T[:,::1], T[:,:,::1], f8, int, int, int", writes="dx sums", parallel=True
)
def norm_backward__columns(dy, x, statistics, weight, dx, sums, eps, block, centred, far, lo, hi):
    """dy(R, C), x(R, C), statistics(2, R), weight(C) -> dx(R, C), sums(2, B, C): of dy xhat, and of dy.

    The range is over B blocks of rows.
    """
    T, n = x.dtype.type, x.shape[1]
    share = T(1) / T(n)
    for b in range(lo, hi):
        dweight, dbias = sums[0, b], sums[1, b]
        dweight[:] = 0
        dbias[:] = 0
        for r in range(b * block, min((b + 1) * block, x.shape[0])):
            mean, scale = statistics[0, r], T(1) / sqrt(statistics[1, r] + T(eps))
            product, sum = weighted_products(n, (address(dy[r]), address(x[r]), address(weight)), (mean,), 0)
            offset = scale * sum * share if centred else T(0)
            steepness = scale * scale * scale * product * share
            dw, db = address(dweight), address(dbias)
            places = address(dy[r]), address(x[r]), address(weight), dw, db, address(dx[r]), dw, db
            slope_columns(n, places, (mean, scale, offset, steepness), far * n)
    if far:
        fence()


@kernel("T[:,:,::1], T[:,::1]", writes="sums")
def norm_sums__merge(parts, sums):
    """parts(2, B, C) -> sums(2, C) over B."""
    for i in range(2):
        for c in range(sums.shape[1]):
            sums[i, c] = parts[i, 0, c]
        for b in range(1, parts.shape[1]):
            part, sum = parts[i, b], sums[i]
            for c in range(sum.size):
                store(sum, c, load(sum, c) + load(part, c))


@kernel("T[:], T[:], T[:], T[:], f8, f8", writes="running_mean running_variance")
def norm_statistics__follow(mean, variance, running_mean, running_variance, momentum, unbiased):
    """mean(C), variance(C) -> running_mean(C), running_variance(C); unbiased: what makes a sample's variance of one."""
    for c in range(mean.size):
        running_mean[c] += momentum * (mean[c] - running_mean[c])
        running_variance[c] += momentum * (unbiased * variance[c] - running_variance[c])
