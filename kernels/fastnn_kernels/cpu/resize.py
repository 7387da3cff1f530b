"""Resampling of one axis: every place of the result is a weighted sum of a few places of the input."""

from .._jit import kernel


@kernel("T[:,:,::1], i8[::1], i8[::1], T[::1], T[:,:,::1]", writes="y", parallel=True)
def resize__axis(x, first, places, weights, y, lo, hi):
    """x(P,N,S) -> y(P,M,S): sums over the taps first[m] .. first[m + 1] of weights[t] x[p, places[t]].

    The range is over P * M, or over P where S is 1.
    """
    if y.shape[2] == 1:
        for p in range(lo, hi):
            source, target = x[p, :, 0], y[p, :, 0]
            for m in range(target.size):
                total = weights[0] * 0
                for t in range(first[m], first[m + 1]):
                    total += weights[t] * source[places[t]]
                target[m] = total
        return
    for r in range(lo, hi):
        p, m = divmod(r, y.shape[1])
        target, start, stop = y[p, m], first[m], first[m + 1]
        if stop - start == 2:  # the taps of linear interpolation, in one go
            a, b = x[p, places[start]], x[p, places[start + 1]]
            for s in range(target.size):
                target[s] = weights[start] * a[s] + weights[start + 1] * b[s]
            continue
        for s in range(target.size):
            target[s] = 0
        for t in range(start, stop):
            source, weight = x[p, places[t]], weights[t]
            for s in range(target.size):
                target[s] += weight * source[s]
