"""Losses of rows: each row has one loss, and gradients, which have no rows where they are not wanted.

Gradients are multiplied by `scale` and, where there are such, by the gradients dloss(B or 0) of the losses.
"""

import math

from ...ground.jit import exact, jitted, kernel
from .cross_entropy import multiply_row


@kernel("S[:,::1], i8[::1], S[::1], int, T, S[::1], T, T[::1], S[:,::1]", writes="losses dx", parallel=True)
def multi_margin_loss__rows(x, labels, weight, power, margin, dloss, scale, losses, dx, lo, hi):
    """x(B C), labels(B), weight(C or 0) -> losses(B), dx(B C or 0 C).

    Sum max(0, margin - x[label] + x)^power over the other classes, / C; NaN for labels out of range.
    """
    classes, T = x.shape[1], x.dtype.type
    for r in range(lo, hi):
        label = labels[r]
        if label < 0 or label >= classes:
            losses[r] = math.nan
            continue
        share = (weight[label] if weight.size else T(1)) / T(classes)
        total, pull, bar = T(0), T(0), margin - x[r, label]
        for c in range(classes):
            z = max(bar + x[r, c], T(0)) if c != label else T(0)
            total += z if power == 1 else z * z
            if dx.shape[0]:
                slope = T(2) * z if power == 2 else (T(1) if z > T(0) else T(0))
                dx[r, c] = scale * share * slope
                pull += slope
        losses[r] = share * total
        if dx.shape[0]:
            dx[r, label] = -scale * share * pull
            multiply_row(dx, r, dloss)


@kernel("S[:,::1], i8[:,::1], S[::1], T, T[::1], S[:,::1]", writes="losses dx", parallel=True)
def multilabel_margin_loss__rows(x, labels, dloss, scale, losses, dx, lo, hi):
    """x(B C), labels(B C), those of a row end at -1 -> losses(B), dx(B C or 0 C).

    Sum max(0, 1 - x[label] + x[c]) over labels and other classes, / C; NaN for labels out of range.
    """
    classes, T = x.shape[1], x.dtype.type
    share = T(1) / T(classes)
    for r in range(lo, hi):
        if dx.shape[0]:
            dx[r, :] = 0
        bad = False
        for c in range(classes):
            bad |= labels[r, c] < -1 or labels[r, c] >= classes
        if bad:
            losses[r] = math.nan
            continue
        count = 0
        while count < classes and labels[r, count] >= 0:
            count += 1
        total = T(0)
        for c in range(classes):
            mine = False
            for j in range(count):
                mine |= labels[r, j] == c
            if mine:
                continue
            for j in range(count):
                z = T(1) - x[r, labels[r, j]] + x[r, c]
                if z > T(0):
                    total += z
                    if dx.shape[0]:
                        dx[r, c] += scale * share
                        dx[r, labels[r, j]] -= scale * share
        losses[r] = total * share
        if dx.shape[0]:
            multiply_row(dx, r, dloss)


@kernel("S[:,::1], S[:,::1], S[::1], T, S[::1], T, T[::1], S[:,::1], S[:,::1]", writes="losses da db", parallel=True)
def cosine_embedding_loss__rows(a, b, signs, margin, dloss, scale, losses, da, db, lo, hi):
    """a(B D), b(B D), signs(B) -> losses(B), da(B D or 0 D), db(B D or 0 D).

    1 - cos(a, b) for 1, max(0, cos(a, b) - margin) for -1, NaN for others.
    """
    T = a.dtype.type
    for r in range(lo, hi):
        dot, aa, bb = T(0), T(1e-12), T(1e-12)
        for c in range(a.shape[1]):
            dot += a[r, c] * b[r, c]
            aa += a[r, c] * a[r, c]
            bb += b[r, c] * b[r, c]
        length = math.sqrt(aa) * math.sqrt(bb)
        cosine = dot / length
        slope = T(0)
        if signs[r] == T(1):
            losses[r], slope = T(1) - cosine, -scale
        elif signs[r] == T(-1):
            losses[r] = max(cosine - margin, T(0))
            if cosine >= margin:
                slope = scale
        else:
            losses[r] = math.nan
        if da.shape[0]:
            for c in range(a.shape[1]):
                da[r, c] = slope * (b[r, c] / length - cosine * (a[r, c] / aa))
                db[r, c] = slope * (a[r, c] / length - cosine * (b[r, c] / bb))
            multiply_row(da, r, dloss)
            multiply_row(db, r, dloss)


@exact
def apart(a, b, eps):
    """Return a - b + eps: (a + eps) - b would lose eps, and everything with it where a = b."""
    return a - b + eps


@jitted
def distance(a, b, power, eps):
    """Return the norm of a - b + eps."""
    T, total = a.dtype.type, a.dtype.type(0)
    if power == T(2):
        for c in range(a.size):
            u = apart(a[c], b[c], eps)
            total += u * u
        return math.sqrt(total)
    if math.isinf(power):
        for c in range(a.size):
            total = max(total, abs(apart(a[c], b[c], eps)))
        return total
    for c in range(a.size):
        total += abs(apart(a[c], b[c], eps)) ** power
    return total ** (T(1) / power)


@jitted
def push(a, b, power, eps, length, scale, da, db):
    """Add scale times the gradient of the distance `length` to da, and its opposite to db."""
    T = a.dtype.type
    if length == T(0):
        return
    if math.isinf(power):  # the largest difference alone, which rounding may keep from being equal to `length`
        largest = 0
        for c in range(a.size):
            if abs(apart(a[c], b[c], eps)) > abs(apart(a[largest], b[largest], eps)):
                largest = c
        slope = scale if apart(a[largest], b[largest], eps) > T(0) else -scale
        da[largest] += slope
        db[largest] -= slope
        return
    for c in range(a.size):
        u = apart(a[c], b[c], eps)
        slope = scale * (u / length)
        if power != T(2):
            ratio = (abs(u) / length) ** (power - T(1))
            slope = scale * (ratio if u > T(0) else -ratio)
        da[c] += slope
        db[c] -= slope


@kernel(
    "S[:,::1], S[:,::1], S[:,::1], T, T, T, int, S[::1], T, T[::1], S[:,::1], S[:,::1], S[:,::1]",
    writes="losses da dp dn",
    parallel=True,
)
def triplet_margin_loss__rows(a, p, n, margin, power, eps, swap, dloss, scale, losses, da, dp, dn, lo, hi):
    """a(B D), p(B D), n(B D) -> losses(B), da, dp, dn(B D or 0 D).

    max(0, margin + |a - p| - |a - n|), with swap |p - n| if that is shorter.
    """
    T = a.dtype.type
    for r in range(lo, hi):
        near, apart, other = distance(a[r], p[r], power, eps), distance(a[r], n[r], power, eps), T(math.inf)
        if swap:
            other = distance(p[r], n[r], power, eps)
        loss = margin + near - min(apart, other)
        losses[r] = T(0) if loss < T(0) else loss
        if da.shape[0]:
            da[r, :] = 0
            dp[r, :] = 0
            dn[r, :] = 0
            if loss >= T(0):
                push(a[r], p[r], power, eps, near, scale, da[r], dp[r])
                if other < apart:
                    push(p[r], n[r], power, eps, other, -scale, dp[r], dn[r])
                else:
                    push(a[r], n[r], power, eps, apart, -scale, da[r], dn[r])
            multiply_row(da, r, dloss)
            multiply_row(dp, r, dloss)
            multiply_row(dn, r, dloss)
