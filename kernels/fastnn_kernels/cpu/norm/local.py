"""Normalisation by a vector's own length, and by the squares of neighbouring channels."""

import math

from ...ground.jit import jitted, kernel
from ..math.elementary import exp, log
from ..vector.simd import load, store

BLOCK = 1024  # pixels of a plane whose sums stay in the first-level cache


@jitted
def length(x, p):
    """Return (sum |x|^p)^(1/p); the largest |x| for p = inf, the smallest for -inf, how many are not 0 for 0."""
    T = x.dtype.type
    total = T(0)
    if p == 2:
        for i in range(x.size):
            total += load(x, i) * load(x, i)
        return math.sqrt(total)
    if p == math.inf:
        for i in range(x.size):
            total = max(total, abs(x[i]))
        return total
    if p == -math.inf:
        total = T(math.inf)
        for i in range(x.size):
            total = min(total, abs(x[i]))
        return total
    if p == 0:
        for i in range(x.size):
            total += T(x[i] != 0)
        return total
    for i in range(x.size):
        total += T(abs(x[i]) ** p)
    return T(total ** (1 / p))


@kernel("S[:,::1], S[:,::1], f8, T", writes="out", parallel=True)
def normalize__rows(x, out, p, eps, lo, hi):
    """x(R C) -> out(R C) = x / max(length of the row, eps)."""
    T = x.dtype.type
    for r in range(lo, hi):
        row, result = x[r], out[r]
        scale = T(1) / max(length(row, p), eps)
        for c in range(row.size):
            store(result, c, load(row, c) * scale)


@kernel("S[:,::1], S[:,::1], S[:,::1], f8, T", writes="dx", parallel=True)
def normalize_backward__rows(dy, x, dx, p, eps, lo, hi):
    """dy(R C), x(R C) -> dx(R C) = (dy - slope of the length sum(dy x) / length) / length; dy / eps below eps.

    Compute the length and sum(dy x); for infinite p count the largest numbers or the smallest; compute dx.
    """
    T = x.dtype.type
    for r in range(lo, hi):
        a, row, result = dy[r], x[r], dx[r]
        size, total, ties = length(row, p), T(0), 0
        scale = T(1) / max(size, eps)
        for c in range(row.size):
            total += load(a, c) * load(row, c)
        total = total * scale if size > eps else T(0)
        if p == 2:
            for c in range(row.size):
                store(result, c, (load(a, c) - load(row, c) * scale * total) * scale)
            continue
        for c in range(row.size):
            ties += abs(row[c]) == size
        for c in range(row.size):
            if abs(p) == math.inf:
                slope = T(abs(row[c]) == size) / T(max(ties, 1))
            else:
                slope = T((abs(row[c]) * scale) ** (p - 1)) if row[c] != 0 and p != 0 else T(0)
            result[c] = (a[c] - math.copysign(slope, row[c]) * total) * scale


@jitted
def energies(x, c, before, after, first, alpha, k, out):
    """Set out = k + alpha times the sum of squares over channels c - before .. c + after; pixels from `first` on."""
    out[:] = k
    for j in range(max(c - before, 0), min(c + after + 1, x.shape[0])):
        row = x[j, first : first + out.size]
        for i in range(out.size):
            out[i] += alpha * (load(row, i) * load(row, i))


@kernel("S[:,:,::1], S[:,:,::1], int, T, T, T", writes="out", parallel=True)
def local_response_norm__planes(x, out, size, alpha, beta, k, lo, hi):
    """x(B C L) -> out(B C L) = x energy^-beta. The range is over B C. Compute the energies of a block, normalise it."""
    for plane in range(lo, hi):
        b, c = plane // x.shape[1], plane % x.shape[1]
        for first in range(0, x.shape[2], BLOCK):
            row, result = x[b, c, first : first + BLOCK], out[b, c, first : first + BLOCK]
            energies(x[b], c, size // 2, (size - 1) // 2, first, alpha, k, result)
            for i in range(row.size):
                result[i] = row[i] * exp(-beta * log(result[i]))


@kernel("S[:,:,::1], S[:,:,::1], S[:,:,::1], T[:,:,::1], int, T, T, T", writes="dx energy", parallel=True)
def local_response_norm_backward__planes(dy, x, dx, energy, size, alpha, beta, k, lo, hi):
    """dy(B C L), x(B C L), energy(B C L) -> dx(B C L). The range is over B.

    dx = dy energy^-beta - 2 alpha beta x sum(dy x energy^(-beta-1)), over the channels to whose energy this one adds.
    Of each channel compute the energy and the first term; then subtract the others.
    """
    channels, T = x.shape[1], x.dtype.type
    for b in range(lo, hi):
        for c in range(channels):
            for first in range(0, x.shape[2], BLOCK):
                part = slice(first, first + BLOCK)
                a, row, e, result = dy[b, c, part], x[b, c, part], energy[b, c, part], dx[b, c, part]
                energies(x[b], c, size // 2, (size - 1) // 2, first, alpha, k, e)
                for i in range(row.size):
                    power = exp(-beta * log(e[i]))
                    result[i] = a[i] * power
                    e[i] = a[i] * row[i] * power / e[i]
        for c in range(channels):
            for j in range(max(c - (size - 1) // 2, 0), min(c + size // 2 + 1, channels)):
                row, e, result = x[b, c], energy[b, j], dx[b, c]
                for i in range(row.size):
                    result[i] -= T(2) * alpha * beta * row[i] * e[i]
