"""Normalisation of rows: (x - mean) / sqrt(variance + eps) weight + bias.

A flat x(P, R, L) is normalised per r over P and L: the channels of channels-first images (batch norm), or with P = 1
any rows (instance, group and layer norm). `group_norm__rows` has a weight for each part of a row, a channel;
`layer_norm__rows` has one for each column. `channels_last` normalises columns.

Means and variances are computed in two passes over pieces that stay in the first-level cache, and merged in order
(Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979, eq. 2.1),
so that no large numbers cancel. A norm without a mean (RMS) takes 0 for it. `statistics` holds means and variances.
streaming: 1 for results larger than the caches, which are stored by streaming stores while x is prefetched.
"""

from math import sqrt

from ...ground.jit import jitted, kernel
from ..vector.row_loop import fma, row_loop
from ..vector.short_rows import normalize_rows1, normalize_rows2, normalize_rows4
from ..vector.simd import address, fence, itemsize, lanes, load, store

PIECE = 4096  # numbers whose mean and variance are computed at once


@row_loop(reads=1, sums=1)
def total(reads, numbers, sums):
    """Sum x."""
    return [sums[0] + reads[0]], []


@row_loop(reads=1, sums=1)
def spread(reads, numbers, sums):
    """Sum (x - mean)^2."""
    distance = reads[0] - numbers[0]
    return [fma(distance, distance, sums[0])], []


@row_loop(reads=2, sums=2, fetched=2)
def products(reads, numbers, sums):
    """Sum dy (x - mean) and dy."""
    dy, x = reads
    return [fma(dy, x - numbers[0], sums[0]), sums[1] + dy], []


@row_loop(reads=3, sums=2, fetched=2)
def weighted_products(reads, numbers, sums):
    """Sum w dy (x - mean) and w dy."""
    dy, x, w = reads
    g = dy * w
    return [fma(g, x - numbers[0], sums[0]), sums[1] + g], []


@row_loop(reads=1, writes=1)
def affine(reads, numbers, sums):
    """Set y = (x - mean) scale + bias."""
    mean, scale, bias = numbers
    return [], [fma(reads[0] - mean, scale, bias)]


@row_loop(reads=3, writes=1, fetched=0)
def affine_columns(reads, numbers, sums):
    """Set y = (x - mean) scale w + b."""
    (x, weight, bias), (mean, scale) = reads, numbers
    return [], [fma((x - mean) * scale, weight, bias)]


@row_loop(reads=2, writes=1, fetched=0)
def slope(reads, numbers, sums):
    """Set dx = dy factor - offset - (x - mean) slope."""
    (dy, x), (mean, factor, offset, slope) = reads, numbers
    return [], [fma(-(x - mean), slope, fma(dy, factor, -offset))]


def slope_columns(rows):
    """Make a loop over one or two rows that sets dx = dy w scale - offset - (x - mean) slope, and adds to dw and db."""

    @row_loop(2 * rows + 3, rows + 2, fetched=0, streamed=rows, together=2 // rows)
    def slope_columns(reads, numbers, sums):
        *pairs, w, dw, db = reads
        results = []
        for i in range(rows):
            dy, x, (mean, scale, offset, slope) = pairs[i], pairs[rows + i], numbers[4 * i : 4 * i + 4]
            distance, g = x - mean, dy * scale
            results.append(fma(-distance, slope, fma(g, w, -offset)))
            dw, db = fma(g, distance, dw), db + dy
        return [], [*results, dw, db]

    return slope_columns


slope_one, slope_two = slope_columns(1), slope_columns(2)


# A weight for each part of a row: a flat x is (P, R, L).


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
    """Set mean and variance of rows lo .. hi. Short rows get all means first, so that no row waits for another."""
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


@kernel("S[::1], S[:], S[:], S[::1], T[::1], T[::1], int, f8, int, int, int", writes="out mean variance", parallel=True)
def group_norm__rows(x, weight, bias, out, mean, variance, length, eps, runs, centred, streaming, lo, hi):
    """x(P R L), weight(W), bias(W) -> out(P R L), mean(R), variance(R).

    Each x[p, r] has `runs` equal parts with a weight each; the next row goes on with the next weights, from the first
    again after the last. Compute the statistics of a batch of rows, normalise it.
    """
    T = x.dtype.type
    size, part, rows = itemsize(T(0)), length // runs, mean.size
    planes = x.size // (rows * length)
    batch = max(1, PIECE // (planes * length))
    ahead = streaming * (length if planes == 1 else rows * length)  # where what is read next begins
    for start in range(lo, hi, batch):
        end = min(start + batch, hi)
        set_statistics(x, mean, variance, planes, length, centred, ahead, start, end)
        for r in range(start, end):
            factor = T(1 / sqrt(variance[r] + eps))
            for p in range(planes - 1, -1, -1):  # what was read last is still in the cache
                for k in range(runs):
                    w, at = (r * runs + k) % weight.size, ((p * rows + r) * length + k * part) * size
                    affine(
                        part, (address(x) + at, address(out) + at), (mean[r], factor * weight[w], bias[w]), streaming
                    )
    if streaming:
        fence()


@kernel("S[::1], S[:], S[:], S[:], S[:], S[::1], f8, int, int", writes="out", parallel=True)
def batch_norm__channels_first(x, mean, variance, weight, bias, out, eps, length, streaming, lo, hi):
    """x(P R L), mean(R), variance(R), weight(R), bias(R) -> out(P R L), by statistics given. The range is over P R."""
    T = x.dtype.type
    for i in range(lo, hi):
        r, at = i % weight.size, i * length * itemsize(T(0))
        scale = T(weight[r] / sqrt(variance[r] + eps))
        affine(length, (address(x) + at, address(out) + at), (mean[r], scale, bias[r]), streaming * length)
    if streaming:
        fence()


@kernel(
    "S[::1], S[::1], T[:], T[:], S[:], S[::1], S[::1], S[::1], int, f8, int, f8, f8, int",
    writes="dx dweight dbias",
    parallel=True,
)
def group_norm_backward__rows(
    dy, x, mean, variance, weight, dx, dweight, dbias, length, eps, runs, mean_share, share, streaming, lo, hi
):
    """dy(P R L), x(P R L), mean(R), variance(R), weight(W) -> dx(P R L), dweight(R runs), dbias(R runs).

    dx = (w dy - mean(w dy) - xhat mean(w dy xhat)) / std. share: the factor from a sum to a mean, 1 / (P L), or 0 where
    the variance does not depend on x; mean_share: the same for the mean. Sum dy and dy (x - mean), compute dx.
    """
    T = x.dtype.type
    size, part, rows = itemsize(T(0)), length // runs, mean.size
    planes = x.size // (rows * length)
    ahead = streaming * (length if planes == 1 else rows * length)
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
                slope(part, places, (middle, factor, offset, steepness), streaming)
    if streaming:
        fence()


@jitted
def scale(variance, eps):
    """Return 1 / sqrt(variance + eps) in the dtype of the variance."""
    T = type(variance)
    return T(1) / sqrt(variance + T(eps))


# --- a weight for each column


@kernel("S[:,::1], S[::1], S[::1], S[:,::1], T[:,::1], T, int, int", writes="out statistics", parallel=True)
def layer_norm__rows(x, weight, bias, out, statistics, eps, centred, streaming, lo, hi):
    """x(R C), weight(C), bias(C) -> out(R C), statistics(2 R).

    streaming: -1 where out is as large but its rows are no whole cache lines: then x is only prefetched.
    Rows of up to four vectors are normalised in registers; of others, compute the statistics of a batch, normalise it.
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
        batch = 1 if streaming else max(1, PIECE // n)
        for start in range(lo, hi, batch):
            end = min(start + batch, hi)
            set_statistics(x, means, variances, 1, n, centred, abs(streaming) * n, start, end)
            for r in range(start, end):
                numbers = means[r], scale(variances[r], eps)
                affine_columns(n, (address(x[r]), w, b, address(out[r])), numbers, max(streaming, 0))
    if streaming:
        fence()


@jitted
def steepness(dy, x, statistics, weight, eps, centred, ahead, r):
    """Return (mean, scale, offset, slope) of a row for `slope_columns`."""
    T, n = x.dtype.type, x.shape[1]
    mean, factor, share = statistics[0, r], scale(statistics[1, r], eps), T(1) / T(n)
    product, sum = weighted_products(n, (address(dy[r]), address(x[r]), address(weight)), (mean,), ahead)
    return mean, factor, factor * sum * share if centred else T(0), factor * factor * factor * product * share


@kernel(
    "S[:,::1], S[:,::1], T[:,::1], S[::1], S[:,::1], T[::1], T[::1], f8, int, int, int",
    writes="dx dweights dbiases",
    parallel=True,
)
def layer_norm_backward__rows(dy, x, statistics, weight, dx, dweights, dbiases, eps, block, centred, streaming, lo, hi):
    """dy(R C), x(R C), statistics(2 R), weight(C) -> dx(R C), dweights(B C), dbiases(B C).

    The range is over B blocks of rows. Of two rows at a time sum w dy and w dy (x - mean), then compute dx.
    """
    n, ahead = x.shape[1], abs(streaming) * 2 * x.shape[1]
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
            slope_two(n, (a, b, c, d, w, dw, db, address(dx[r]), address(dx[r + 1]), dw, db), p + q, max(streaming, 0))
        if (end - i * block) % 2:
            r = end - 1
            p = steepness(dy, x, statistics, weight, eps, centred, ahead, r)
            slope_one(n, (address(dy[r]), address(x[r]), w, dw, db, address(dx[r]), dw, db), p, max(streaming, 0))
    if streaming:
        fence()


@kernel("T[::1], S[::1]", writes="sum")
def layer_norm_backward__merge(parts, sum):
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
