"""Connectionist temporal classification (Graves et al., 2006), in logarithms.

The labels l of a sequence become l' = blank l1 blank l2 ... blank, S' = 2 S + 1 symbols. alpha[t, s] is the probability
of all ways to have gone through l' up to s by time t, beta[t, s] that of all ways to go on from there.
"""

import math

from ...ground.jit import jitted, kernel
from ..math.elementary import exp, log


@jitted
def add_logs(a, b):
    """Return log(e^a + e^b)."""
    high = max(a, b)
    if high == type(a)(-math.inf):
        return high
    return high + log(type(a)(1) + exp(min(a, b) - high))


@jitted
def symbol(labels, s, blank):
    """Return symbol s of l'."""
    return labels[s // 2] if s % 2 else blank


@jitted
def skips(labels, s):
    """Tell whether symbol s of l' may follow s - 2: it is a label, and another one than that before."""
    return s % 2 == 1 and s >= 3 and labels[s // 2] != labels[s // 2 - 1]


@jitted
def are_labels(labels, count, blank, classes):
    """Return whether the first labels of a row are classes other than blank."""
    for i in range(count):
        if labels[i] < 0 or labels[i] >= classes or labels[i] == blank:
            return False
    return True


@kernel(
    "S[:,:,::1], i8[:,::1], i8[::1], i8[::1], S[::1], int, int, int, f8, T[:,:,::1], T[::1], S[:,:,::1]",
    writes="alpha losses dx",
    parallel=True,
)
def ctc_loss__logs(x, labels, lengths, counts, dloss, blank, mean, zero_infinity, scale, alpha, losses, dx, lo, hi):
    """x(T B C), labels(B S), lengths(B), counts(B), dloss(B or 0), alpha(B T+2 2S+1) -> losses(B), dx(T B C or 0 B C).

    The gradient is minus the probability of each symbol at each time, given that the labels were read, times scale.
    mean: divide by the number of labels. NaN for labels that are not allowed. Go forward, then back.
    """
    T = x.dtype.type
    for b in range(lo, hi):
        time, last, row, a = lengths[b], 2 * counts[b], labels[b], alpha[b]
        if dx.shape[0]:
            dx[:, b, :] = 0
        if not are_labels(row, counts[b], blank, x.shape[2]):
            losses[b] = math.nan
            continue
        if time == 0:
            losses[b] = T(0) if last == 0 or zero_infinity else T(math.inf)
            continue
        for t in range(time):
            for s in range(last + 1):
                if t == 0:
                    before = T(0) if s < 2 else T(-math.inf)
                else:
                    before = a[t - 1, s]
                    if s >= 1:
                        before = add_logs(before, a[t - 1, s - 1])
                    if skips(row, s):
                        before = add_logs(before, a[t - 1, s - 2])
                a[t, s] = before + x[t, b, symbol(row, s, blank)]
        total = a[time - 1, last]
        if last:
            total = add_logs(total, a[time - 1, last - 1])
        losses[b] = -total
        slope = scale * dloss[b] if dloss.size else scale
        if mean:
            losses[b] /= T(max(counts[b], 1))
            slope /= max(counts[b], 1)
        if zero_infinity and math.isinf(total):
            losses[b] = slope = 0.0
        if dx.shape[0] and slope != 0.0:
            # beta[t, s] without x[t], in place of alpha[t]: of these only the row before is needed again
            width = last + 1
            beta, later = a[time], a[time + 1]
            for s in range(width):
                beta[s] = T(0) if s >= last - 1 else T(-math.inf)
            for t in range(time - 1, -1, -1):
                if t < time - 1:
                    for s in range(width):
                        later[s] = beta[s] + x[t + 1, b, symbol(row, s, blank)]
                    for s in range(width):
                        after = later[s]
                        if s + 1 < width:
                            after = add_logs(after, later[s + 1])
                        if s + 2 < width and skips(row, s + 2):
                            after = add_logs(after, later[s + 2])
                        beta[s] = after
                for s in range(width):
                    dx[t, b, symbol(row, s, blank)] -= T(slope) * exp(a[t, s] + beta[s] - total)
