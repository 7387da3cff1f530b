"""Losses, and losses together with their gradients in one pass over the logits."""

import math

from .._elementary import exp, log
from .._jit import kernel
from .softmax import row_maximum, sum_of_exponentials

BLOCK = 4096  # elements whose squared errors make one partial sum


@kernel("T[:,::1], i8[::1], T[::1]", writes="losses", parallel=True)
def cross_entropy__labels(x, labels, losses, lo, hi):
    """x(B, C), labels(B) -> losses(B) = log(sum e^x) - x[label]. A label outside 0 .. C - 1 gives NaN."""
    for r in range(lo, hi):
        label = labels[r]
        if 0 <= label < x.shape[1]:
            shift = row_maximum(x, r)
            losses[r] = log(sum_of_exponentials(x, r, shift)) - (x[r, label] - shift)
        else:
            losses[r] = math.nan


@kernel("T[:,::1], T[:,::1], T[::1]", writes="losses", parallel=True)
def cross_entropy__probabilities(x, target, losses, lo, hi):
    """x(B, C), target(B, C) -> losses(B) = sum of target (log(sum e^x) - x)."""
    for r in range(lo, hi):
        shift = row_maximum(x, r)
        rest = log(sum_of_exponentials(x, r, shift))
        loss = x.dtype.type(0)
        for c in range(x.shape[1]):
            loss += target[r, c] * (rest - (x[r, c] - shift))
        losses[r] = loss


@kernel("T[:,::1], i8[::1], T, T[::1], T[:,::1]", writes="losses dx", parallel=True)
def cross_entropy_with_gradient__labels(x, labels, scale, losses, dx, lo, hi):
    """x(B, C), labels(B) -> losses(B), dx(B, C) = scale (softmax(x) - onehot(labels)). Other labels give NaN."""
    for r in range(lo, hi):
        label = labels[r]
        if 0 <= label < x.shape[1]:
            shift = row_maximum(x, r)
            total = x.dtype.type(0)
            for c in range(x.shape[1]):
                e = exp(x[r, c] - shift)
                dx[r, c] = e
                total += e
            factor = scale / total
            for c in range(x.shape[1]):
                dx[r, c] *= factor
            dx[r, label] -= scale
            losses[r] = log(total) - (x[r, label] - shift)
        else:
            losses[r] = math.nan
            for c in range(x.shape[1]):
                dx[r, c] = math.nan


@kernel("T[:,::1], T[:,::1], T, T[::1], T[:,::1]", writes="losses dx", parallel=True)
def cross_entropy_with_gradient__probabilities(x, target, scale, losses, dx, lo, hi):
    """x(B, C), target(B, C) -> losses(B), dx(B, C) = scale (softmax(x) sum(target) - target)."""
    for r in range(lo, hi):
        shift = row_maximum(x, r)
        total = x.dtype.type(0)
        weight = x.dtype.type(0)
        for c in range(x.shape[1]):
            e = exp(x[r, c] - shift)
            dx[r, c] = e
            total += e
            weight += target[r, c]
        rest = log(total)
        factor = weight / total
        loss = x.dtype.type(0)
        for c in range(x.shape[1]):
            loss += target[r, c] * (rest - (x[r, c] - shift))
            dx[r, c] = scale * (dx[r, c] * factor - target[r, c])
        losses[r] = loss


@kernel("T[::1], T[::1], T[::1]", writes="partial", parallel=True)
def squared_error__blocks(x, target, partial, lo, hi):
    """x(N), target(N) -> partial(N / BLOCK): sums of (x - target)^2 over blocks, of which the range counts."""
    for block in range(lo, hi):
        total = x.dtype.type(0)
        a, b = x[block * BLOCK : (block + 1) * BLOCK], target[block * BLOCK : (block + 1) * BLOCK]
        for i in range(a.size):
            difference = a[i] - b[i]
            total += difference * difference
        partial[block] = total


@kernel("T[::1], T[::1], T, T[::1]", writes="out", parallel=True)
def mse_loss_backward__vector(x, target, scale, out, lo, hi):
    """x(N), target(N) -> out(N) = scale (x - target)."""
    x, target, out = x[lo:hi], target[lo:hi], out[lo:hi]
    for i in range(x.size):
        out[i] = scale * (x[i] - target[i])


@kernel("T[::1], f8, T[::1]", writes="out")
def total__scaled(x, scale, out):
    """x(N) -> out(1) = scale sum(x), summed in float64."""
    total = 0.0
    for i in range(x.size):
        total += x[i]
    out[0] = scale * total
