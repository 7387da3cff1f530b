"""Cross entropy of rows of logits, alone or together with its gradient in one pass over them."""

from ...ground.jit import jitted, kernel
from ..math.elementary import exp, log
from ..softmax.kernels import log_share, row_maximum, sum_of_exponentials, turn
from ..vector.simd import address, itemsize, maximum, stack_bytes, vector_at
from ..vector.values import pointer

FEW = 32  # classes up to which rows are turned around, so that a vector holds many rows
TOGETHER = 64  # rows that are turned around at a time
TILE_BYTES = 8 * FEW * TOGETHER
LANES_BYTES = 8 * TOGETHER


@kernel("i8[::1], int, T[::1], int, f8[::1]", writes="out")
def count__labels(labels, classes, weight, ignore, out):
    """labels(B) -> out(2): the weights of all labels but `ignore`, or how many these are; how many are out of range."""
    used, bad = 0, 0
    for r in range(labels.size):
        label = labels[r]
        counts = label != ignore
        used += counts
        bad += counts & ((label < 0) | (label >= classes))
    out[0], out[1] = used, bad
    if weight.size and not bad:
        total = 0.0
        for r in range(labels.size):
            if labels[r] != ignore:
                total += weight[labels[r]]
        out[0] = total


@jitted
def weights_of(weight, classes, smoothing, x):
    """Return what all classes together count by smoothing, and each of them before its weight."""
    each = smoothing / x.dtype.type(classes)
    total = x.dtype.type(classes)
    if weight.size:
        total = x.dtype.type(0)
        for c in range(classes):
            total += weight[c]
    return each * total, each


@kernel("T[:,::1], i8[::1], T[::1], int, T, T, T[::1], T[:,::1]", writes="losses dx", parallel=True)
def cross_entropy__labels(x, labels, weight, ignore, smoothing, scale, losses, dx, lo, hi):
    """x(B, C), labels(B), weight(C) or (0) -> losses(B), dx(B, C) = scale gradient, or nothing if dx is (0, C).

    With a = (1 - smoothing) weight[label], b = smoothing / C: losses = sum (a onehot + b weight) (log(sum e^x) - x).
    """
    classes, logits = x.shape[1], pointer(x)
    smooth, each = weights_of(weight, classes, smoothing, x)
    for r in range(lo, hi):
        label = labels[r]
        if label == ignore:
            losses[r] = 0
            if dx.shape[0]:
                dx[r, :] = 0
            continue
        shift = row_maximum(logits, r * classes, classes)
        if dx.shape[0]:
            total, _ = sum_of_exponentials(logits, r * classes, classes, shift, pointer(dx), None)
        else:
            total, _ = sum_of_exponentials(logits, r * classes, classes, shift, None, None)
        rest = log(total)
        a = x.dtype.type(1) - smoothing
        if weight.size:
            a *= weight[label]
        loss = -a * log_share(x[r, label], shift, rest)
        if smoothing:
            more = x.dtype.type(0)
            for c in range(classes):
                more -= log_share(x[r, c], shift, rest) * (weight[c] if weight.size else x.dtype.type(1))
            loss += each * more
        losses[r] = loss
        if dx.shape[0]:
            factor = scale * (a + smooth) / total
            for c in range(classes):
                dx[r, c] *= factor
            if smoothing:
                for c in range(classes):
                    dx[r, c] -= scale * each * (weight[c] if weight.size else x.dtype.type(1))
            dx[r, label] -= scale * a


@kernel("T[:,::1], i8[::1], T[::1], int, T, T, T[::1], T[:,::1]", writes="losses dx", parallel=True)
def cross_entropy__few(x, labels, weight, ignore, smoothing, scale, losses, dx, lo, hi):
    """Compute the same for up to FEW classes, TOGETHER rows at a time, which stand side by side in vectors.

    Where fewer are left, the rest of the vectors holds zeros: every row goes the same way, wherever a range begins.
    """
    classes, T, size = x.shape[1], x.dtype.type, itemsize(scale)
    smooth, each = weights_of(weight, classes, smoothing, x)
    tile = vector_at(scale, stack_bytes(TILE_BYTES), FEW * TOGETHER)
    shift = vector_at(scale, stack_bytes(LANES_BYTES), TOGETHER)
    total = vector_at(scale, stack_bytes(LANES_BYTES), TOGETHER)
    rest = vector_at(scale, stack_bytes(LANES_BYTES), TOGETHER)
    share = vector_at(scale, stack_bytes(LANES_BYTES), TOGETHER)  # of the label; before, the weighted sum of logits
    while lo < hi:
        count = min(TOGETHER, hi - lo)
        if count < TOGETHER:
            tile[:] = 0
        turn(scale, address(x) + lo * classes * size, classes, address(tile), TOGETHER, count, classes)
        for i in range(TOGETHER):
            shift[i] = tile[i]
            total[i] = 0
            share[i] = 0
        for c in range(1, classes):
            column = tile[c * TOGETHER : (c + 1) * TOGETHER]
            for i in range(TOGETHER):
                shift[i] = maximum(shift[i], column[i])
        for c in range(classes):
            column = tile[c * TOGETHER : (c + 1) * TOGETHER]
            if smoothing:
                w = weight[c] if weight.size else T(1)
                for i in range(TOGETHER):
                    share[i] += w * (column[i] - shift[i])
            for i in range(TOGETHER):
                e = exp(column[i] - shift[i])
                column[i] = e
                total[i] += e
        for i in range(TOGETHER):
            rest[i] = log(total[i])
        for i in range(count):
            label = labels[lo + i]
            losses[lo + i] = 0
            if label != ignore:
                a = (T(1) - smoothing) * (weight[label] if weight.size else T(1))
                loss = -a * log_share(x[lo + i, label], shift[i], rest[i])
                losses[lo + i] = loss + (smooth * rest[i] - each * share[i]) if smoothing else loss
                share[i] = a
        if dx.shape[0]:
            for i in range(TOGETHER):
                total[i] = scale * (share[i] + smooth) / total[i]
            for c in range(classes):
                column = tile[c * TOGETHER : (c + 1) * TOGETHER]
                less = scale * each * (weight[c] if weight.size else T(1))
                for i in range(TOGETHER):
                    column[i] = column[i] * total[i] - less
            turn(scale, address(tile), TOGETHER, address(dx) + lo * classes * size, classes, classes, count)
            for i in range(count):
                label = labels[lo + i]
                if label == ignore:
                    dx[lo + i, :] = 0
                else:
                    dx[lo + i, label] -= scale * share[i]
        lo += count


@kernel("T[:,::1], T[:,::1], T, T[::1], T[:,::1]", writes="losses dx", parallel=True)
def cross_entropy__probabilities(x, target, scale, losses, dx, lo, hi):
    """x(B, C), target(B, C) -> losses(B) = sum of target (log(sum e^x) - x), dx(B, C) = scale gradient, or nothing."""
    classes, logits = x.shape[1], pointer(x)
    for r in range(lo, hi):
        shift = row_maximum(logits, r * classes, classes)
        total, _ = sum_of_exponentials(logits, r * classes, classes, shift, None, None)
        rest = log(total)
        loss = x.dtype.type(0)
        for c in range(x.shape[1]):
            loss -= target[r, c] * log_share(x[r, c], shift, rest)
        losses[r] = loss
        if dx.shape[0]:
            weight = x.dtype.type(0)
            for c in range(x.shape[1]):
                weight += target[r, c]
            for c in range(x.shape[1]):
                dx[r, c] = scale * (exp(log_share(x[r, c], shift, rest)) * weight - target[r, c])


@kernel("T[::1], f8, T[::1]", writes="out")
def total__scaled(x, scale, out):
    """x(N) -> out(1) = scale sum(x), summed in float64."""
    total = 0.0
    for i in range(x.size):
        total += x[i]
    out[0] = scale * total
