"""Normalisation: numbers minus their mean, over their standard deviation, times a weight, plus a bias.

Two ways of lying in memory serve all norms. Runs: x(P, R, L) is normalised per r over P and L. That is the channels of
images by planes (batch norm), and with P = 1 any rows (instance, group and layer norm), whose weights belong to runs
of columns, or to each column. Pixels: x(N, C) is normalised per column.

Means and variances are taken in two passes over pieces that stay in the nearest cache, and merged in order (Chan,
Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979, eq. 2.1): so no
large numbers cancel. A norm without a mean (RMS) takes 0 for it. `statistics` holds means and variances.
"""

from math import sqrt

from ...ground.jit import jitted, kernel
from ..vector.row_loop import row_loop
from ..vector.short_rows import normalize_rows1, normalize_rows2, normalize_rows4
from ..vector.simd import address, fence, itemsize, lanes, load, store

PIECE = 4096  # numbers whose mean and variance are taken at once


@row_loop(reads=1, sums=1)
def total(t, reads, numbers, sums):
    """Sum x."""
    return [t.add(sums[0], reads[0])], []


@row_loop(reads=1, sums=1)
def spread(t, reads, numbers, sums):
    """Sum (x - mean)^2."""
    distance = t.sub(reads[0], numbers[0])
    return [t.fma(distance, distance, sums[0])], []


@row_loop(reads=2, sums=2, rows=2)
def products(t, reads, numbers, sums):
    """Sum dy (x - mean) and dy."""
    dy, x = reads
    return [t.fma(dy, t.sub(x, numbers[0]), sums[0]), t.add(sums[1], dy)], []


@row_loop(reads=3, sums=2, rows=2)
def weighted_products(t, reads, numbers, sums):
    """Sum w dy (x - mean) and w dy."""
    dy, x, w = reads
    g = t.mul(dy, w)
    return [t.fma(g, t.sub(x, numbers[0]), sums[0]), t.add(sums[1], g)], []


@row_loop(reads=1, writes=1)
def affine(t, reads, numbers, sums):
    """Set y = (x - mean) scale + bias."""
    mean, scale, bias = numbers
    return [], [t.fma(t.sub(reads[0], mean), scale, bias)]


@row_loop(reads=3, writes=1, rows=0)
def affine_columns(t, reads, numbers, sums):
    """Set y = (x - mean) scale w + b."""
    (x, weight, bias), (mean, scale) = reads, numbers
    return [], [t.fma(t.mul(t.sub(x, mean), scale), weight, bias)]


@row_loop(reads=2, writes=1, rows=0)
def slope(t, reads, numbers, sums):
    """Set dx = dy factor - offset - (x - mean) slope."""
    (dy, x), (mean, factor, offset, slope) = reads, numbers
    return [], [t.fnma(t.sub(x, mean), slope, t.fms(dy, factor, offset))]


def slope_columns(rows):
    """Make a loop over some rows that sets dx = dy w scale - offset - (x - mean) slope, and adds to dw and db."""

    @row_loop(2 * rows + 3, rows + 2, rows=0, far_writes=rows, together=2 // rows)
    def slope_columns(t, reads, numbers, sums):
        *pairs, w, dw, db = reads
        results = []
        for i in range(rows):
            dy, x, (mean, scale, offset, slope) = pairs[i], pairs[rows + i], numbers[4 * i : 4 * i + 4]
            distance, g = t.sub(x, mean), t.mul(dy, scale)
            results.append(t.fnma(distance, slope, t.fms(g, w, offset)))
            dw, db = t.fma(g, distance, dw), t.add(db, dy)
        return [], [*results, dw, db]

    return slope_columns


slope_one, slope_two = slope_columns(1), slope_columns(2)


# Runs: a flat x is (P, R, L).


@jitted
def moments(x, planes, rows, length, centred, ahead, r):
    """Return mean and variance of a long x[:, r], merged from pieces."""
    zero, count, mean, squares = x.dtype.type(0), 0, 0.0, 0.0
    for p in range(planes):
        for first in range(0, length, PIECE):
            n, at = min(PIECE, length - first), ((p * rows + r) * length + first) * itemsize(zero)
            place = (address(x) + at,)
            middle = total(n, place, (zero,), 0)[0] / type(zero)(n) if centred else zero
            around = spread(n, place, (middle,), ahead)[0]
            step, share = middle - mean, n / (count + n)
            mean += step * share
            squares += around + step * step * (count * share)
            count += n
    return mean, squares / count


@jitted
def set_statistics(x, mean, variance, planes, length, centred, ahead, lo, hi):
    """Set mean and variance for some rows, of short ones for one after the other, that none waits for another."""
    T, rows, n = x.dtype.type, mean.size, planes * length
    size = length * itemsize(T(0))
    if n > PIECE:
        for r in range(lo, hi):
            mean[r], variance[r] = moments(x, planes, rows, length, centred, ahead, r)
        return
    for r in range(lo, hi):
        whole = 0.0
        if centred:
            for p in range(planes):
                whole += total(length, (address(x) + (p * rows + r) * size,), (T(0),), 0)[0]
        mean[r] = whole / n
    for r in range(lo, hi):
        around = 0.0
        for p in range(planes):
            around += spread(length, (address(x) + (p * rows + r) * size,), (mean[r],), ahead)[0]
        variance[r] = around / n


@kernel("T[::1], T[:], T[:], T[::1], T[::1], T[::1], int, f8, int, int, int", writes="out mean variance", parallel=True)
def norm__runs(x, weight, bias, out, mean, variance, length, eps, runs, centred, far, lo, hi):
    """x(P R L), weight(W), bias(W) -> out(P R L), mean(R), variance(R).

    Each x[p, r] is cut into equal runs; all weights serve one run after the other, over and over. far: whether out is
    more than the caches hold.
    """
    T = x.dtype.type
    size, part, rows = itemsize(T(0)), length // runs, mean.size
    planes = x.size // (rows * length)
    batch = max(1, PIECE // (planes * length))
    ahead = far * (length if planes == 1 else rows * length)  # there lies what is read next
    for start in range(lo, hi, batch):
        end = min(start + batch, hi)
        set_statistics(x, mean, variance, planes, length, centred, ahead, start, end)
        for r in range(start, end):
            factor = T(1 / sqrt(variance[r] + eps))
            for p in range(planes - 1, -1, -1):  # what was read last is still near
                for k in range(runs):
                    w, at = (r * runs + k) % weight.size, ((p * rows + r) * length + k * part) * size
                    affine(part, (address(x) + at, address(out) + at), (mean[r], factor * weight[w], bias[w]), far)
    if far:
        fence()


@kernel("T[::1], T[:], T[:], T[:], T[:], T[::1], f8, int, int", writes="out", parallel=True)
def norm__given(x, mean, variance, weight, bias, out, eps, length, far, lo, hi):
    """x(P R L), mean(R), variance(R), weight(R), bias(R) -> out(P R L). The range is over P R."""
    T = x.dtype.type
    for i in range(lo, hi):
        r, at = i % weight.size, i * length * itemsize(T(0))
        scale = T(weight[r] / sqrt(variance[r] + eps))
        affine(length, (address(x) + at, address(out) + at), (mean[r], scale, bias[r]), far * length)
    if far:
        fence()


@kernel(
    "T[::1], T[::1], T[:], T[:], T[:], T[::1], T[::1], T[::1], int, f8, int, f8, f8, int",
    writes="dx dweight dbias",
    parallel=True,
)
def norm_backward__runs(
    dy, x, mean, variance, weight, dx, dweight, dbias, length, eps, runs, mean_share, share, far, lo, hi
):
    """dy(P R L), x(P R L), mean(R), variance(R), weight(W) -> dx(P R L), dweight(R runs), dbias(R runs).

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
            dweight[r * runs + k], dbias[r * runs + k] = s2 * scale, s1
            m1, m2 = m1 + w * s1, m2 + w * s2
        offset, steepness = T(scale * m1 * mean_share), T(scale**3 * m2 * share)
        for p in range(planes - 1, -1, -1):
            for k in range(runs):
                factor, at = (
                    T(scale * weight[(r * runs + k) % weight.size]), ((p * rows + r) * length + k * part) * size
                )  # fmt: skip
                places = address(dy) + at, address(x) + at, address(dx) + at
                slope(part, places, (middle, factor, offset, steepness), far)
    if far:
        fence()


@jitted
def scale(variance, eps):
    """Return 1 / sqrt(variance + eps) in the dtype of the variance."""
    T = type(variance)
    return T(1) / sqrt(variance + T(eps))


@kernel("T[:,::1], T[::1], T[::1], T[:,::1], T[:,::1], T, int, int", writes="out statistics", parallel=True)
def norm__columns(x, weight, bias, out, statistics, eps, centred, far, lo, hi):
    """x(R, C), weight(C), bias(C) -> out(R, C), statistics(2, R).

    far: 1 if out is more than the caches hold, -1 if besides its rows are no whole lines.
    """
    n = x.shape[1]
    size, width = itemsize(eps), lanes(eps)
    means, variances, count = statistics[0], statistics[1], hi - lo
    a, y, w, b = address(x) + lo * n * size, address(out) + lo * n * size, address(weight), address(bias)
    mean, variance = address(means) + lo * size, address(variances) + lo * size
    if n <= width:
        normalize_rows1(eps, a, count, n, w, b, y, eps, centred, mean, variance)
    elif n <= 2 * width:
        normalize_rows2(eps, a, count, n, w, b, y, eps, centred, mean, variance)
    elif n <= 4 * width:
        normalize_rows4(eps, a, count, n, w, b, y, eps, centred, mean, variance)
    else:
        batch = 1 if far else max(1, PIECE // n)
        for start in range(lo, hi, batch):
            end = min(start + batch, hi)
            set_statistics(x, means, variances, 1, n, centred, abs(far) * n, start, end)
            for r in range(start, end):
                numbers = means[r], scale(variances[r], eps)
                affine_columns(n, (address(x[r]), w, b, address(out[r])), numbers, max(far, 0))
    if far:
        fence()


@jitted
def steepness(dy, x, statistics, weight, eps, centred, ahead, r):
    """Return (mean, scale, offset, slope) of a row for `slope_columns`."""
    T, n = x.dtype.type, x.shape[1]
    mean, factor, share = statistics[0, r], scale(statistics[1, r], eps), T(1) / T(n)
    product, sum = weighted_products(n, (address(dy[r]), address(x[r]), address(weight)), (mean,), ahead)
    return mean, factor, factor * sum * share if centred else T(0), factor * factor * factor * product * share


@kernel(
    "T[:,::1], T[:,::1], T[:,::1], T[::1], T[:,::1], T[::1], T[::1], f8, int, int, int",
    writes="dx dweights dbiases",
    parallel=True,
)
def norm_backward__columns(dy, x, statistics, weight, dx, dweights, dbiases, eps, block, centred, far, lo, hi):
    """dy(R, C), x(R, C), statistics(2, R), weight(C) -> dx(R, C), dweights(B C), dbiases(B C).

    The range is over B blocks of rows.
    """
    n, ahead = x.shape[1], abs(far) * 2 * x.shape[1]
    for i in range(lo, hi):
        dweight, dbias = dweights[i * n : (i + 1) * n], dbiases[i * n : (i + 1) * n]
        for c in range(n):
            dweight[c], dbias[c] = 0, 0
        w, dw, db = address(weight), address(dweight), address(dbias)
        end = min((i + 1) * block, x.shape[0])
        for r in range(i * block, end - 1, 2):
            p = steepness(dy, x, statistics, weight, eps, centred, ahead, r)
            q = steepness(dy, x, statistics, weight, eps, centred, ahead, r + 1)
            a, b, c, d = address(dy[r]), address(dy[r + 1]), address(x[r]), address(x[r + 1])
            slope_two(n, (a, b, c, d, w, dw, db, address(dx[r]), address(dx[r + 1]), dw, db), p + q, max(far, 0))
        if (end - i * block) % 2:
            r = end - 1
            p = steepness(dy, x, statistics, weight, eps, centred, ahead, r)
            slope_one(n, (address(dy[r]), address(x[r]), w, dw, db, address(dx[r]), dw, db), p, max(far, 0))
    if far:
        fence()


@kernel("T[::1], T[::1]", writes="sum")
def norm_sums__merge(parts, sum):
    """parts(B C) -> sum(C) over B."""
    for c in range(sum.size):
        sum[c] = parts[c]
    for start in range(sum.size, parts.size, sum.size):
        part = parts[start : start + sum.size]
        for c in range(part.size):
            store(sum, c, load(sum, c) + load(part, c))


@kernel("T[:], T[:], S[:], S[:], f8, f8", writes="running_mean running_variance")
def batch_norm__running(mean, variance, running_mean, running_variance, momentum, unbiased):
    """mean(B C), variance(B C) -> running_mean(C), running_variance(C): r = (1 - momentum) r + momentum new.

    unbiased: the factor from a population's variance to a sample's. Average over the images, then update.
    """
    T, channels = mean.dtype.type, running_mean.size
    images = mean.size // channels
    if images == 1:  # as below, in vectors
        for c in range(channels):
            running_mean[c] += momentum * (mean[c] - running_mean[c])
            running_variance[c] += momentum * (unbiased * variance[c] - running_variance[c])
        return
    for c in range(channels):
        average, around = 0.0, 0.0
        for b in range(images):
            average += mean[b * channels + c]
            around += variance[b * channels + c]
        running_mean[c] += momentum * (T(average / images) - running_mean[c])
        running_variance[c] += momentum * (unbiased * T(around / images) - running_variance[c])
