"""What pooling does before and after its sums, number by number: divisions, and the powers and roots of norms."""

import math

import numpy as np

from ...ground.jit import exact, kernel
from ..math.elementary import exp, log
from ..vector.simd import constant, load, store

is_float32 = constant(1.0, 0.0)


@exact
def power_of(x, p):
    """Return x^p; squares, roots and their like without a logarithm."""
    if p == 2:
        return x * x
    if p == 1:
        return x
    if p == 0:
        return type(x)(1)
    if p == -1:
        return type(x)(1) / x
    if p == 0.5:
        return math.sqrt(x)
    if p == 3:
        return x * x * x
    if is_float32(x) == 1:  # in vectors: the logarithm of float64 leaves all digits right
        power = exp(np.float64(p) * log(np.float64(abs(x))))
        power = -power if x < 0 and p % 2 == 1 else power
        return type(x)(np.nan if x < 0 and p != math.floor(p) else power)
    return x**p


@exact
def quotient(dy, y, power, taps):
    """Return the gradient of a sum of powers: dy y^(1 - p) / (1 / taps), 0 where the norm is."""
    return y if y == 0 else dy * power_of(y, power) * taps


@exact
def over(x, divisor):
    """Return x / divisor, rounded as a division, not as a product with 1 / divisor."""
    return x / divisor


@kernel("S[:,:,:,::1], T[::1], S[:,:,:,::1]", writes="out", parallel=True)
def avg_pool_backward__quotients(dy, counts, out, lo, hi):
    """dy(P,D,H,W), counts(D + H + W) -> out(P,D,H,W) = dy over the product of its counts. The range: P * D * H."""
    depth, height, width = out.shape[1:]
    for r in range(lo, hi):
        rest, i = divmod(r, height)
        p, k = divmod(rest, depth)
        count, along = counts[k] * counts[depth + i], counts[depth + height :]
        row, result = dy[p, k, i], out[p, k, i]
        for j in range(width):
            store(result, j, over(load(row, j), count * load(along, j)))


@kernel("S[::1], T, S[::1]", writes="y", parallel=True)
def lp_pool3d__powers(x, power, y, lo, hi):
    """x(N) -> y(N) = x^power."""
    x, y = x[lo:hi], y[lo:hi]
    for i in range(x.size):
        y[i] = power_of(x[i], power)


@kernel("S[::1], T, T", writes="y", parallel=True)
def lp_pool3d__roots(y, taps, power, lo, hi):
    """y(N) = (taps y)^power, in place: the root of a sum from the mean."""
    y = y[lo:hi]
    for i in range(y.size):
        y[i] = power_of(y[i] * taps, power)


@kernel("S[::1], S[::1], T, T, S[::1]", writes="out", parallel=True)
def lp_pool_backward__quotients(dy, y, power, taps, out, lo, hi):
    """dy(N), y(N) -> out(N) = dy y^power taps, 0 where y is: the gradients of the means of powers, over p."""
    dy, y, out = dy[lo:hi], y[lo:hi], out[lo:hi]
    for i in range(y.size):
        out[i] = quotient(dy[i], y[i], power, taps)


@kernel("S[::1], T, S[::1]", writes="dx", parallel=True)
def lp_pool_backward__powers(x, power, dx, lo, hi):
    """x(N), dx(N) -> dx(N) *= x^power."""
    x, dx = x[lo:hi], dx[lo:hi]
    for i in range(x.size):
        dx[i] *= power_of(x[i], power)
