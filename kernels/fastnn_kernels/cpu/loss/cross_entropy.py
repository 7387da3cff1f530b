"""Cross entropy of rows of logits, alone or together with its gradient in one pass over them."""

import math

from ...ground.jit import exact, jitted, kernel
from ..math.elementary import exp, log
from ..softmax.kernels import log_share, row_maximum, sum_of_exponentials, transpose_rows
from ..vector.simd import address, itemsize, maximum, stack_bytes, vector_at
from ..vector.values import pointer

FEW = 32  # classes up to which rows are transposed, so that a vector holds many rows
TOGETHER = 64  # rows that are transposed at a time
TILE_BYTES = 8 * FEW * TOGETHER
LANES_BYTES = 8 * TOGETHER


@jitted
def divisor(labels, weight, ignore, classes):
    """Return the weights of all labels but `ignore`; how many these are, if classes have no weights."""
    total = 0.0
    if weight.size == 0:
        count = 0
        for r in range(labels.size):
            count += labels[r] != ignore
        return float(count)
    for r in range(labels.size):
        if labels[r] != ignore and 0 <= labels[r] < classes:
            total += weight[labels[r]]
    return total


@jitted
def share(scale, mean, used, labels, weight, ignore, classes, lo):
    """Return the gradient of each loss, and set used(1), by which a mean is divided. Each task counts all labels."""
    T = weight.dtype.type
    if not mean:
        return T(scale)
    count = divisor(labels, weight, ignore, classes)
    if lo == 0:
        used[0] = count
    return T(scale / (count if count else 1.0))


@jitted
def multiply_row(dx, r, dloss):
    """Multiply a row of a gradient by that of its loss, if there is one."""
    if dloss.size:
        for c in range(dx.shape[1]):
            dx[r, c] *= dloss[r]


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


@kernel(
    "S[:,::1], i8[::1], S[::1], S[::1], int, T, f8, int, T[::1], S[:,::1], f8[::1]",
    writes="losses dx used",
    parallel=True,
)
def cross_entropy__labels(x, labels, weight, dloss, ignore, smoothing, scale, mean, losses, dx, used, lo, hi):
    """x(B C), labels(B), weight(C or 0), dloss(B or 0) -> losses(B), dx(B C or 0 C) = scale gradient, used(1).

    With a = (1 - smoothing) weight[label], b = smoothing / C: losses = sum (a onehot + b weight) (log(sum e^x) - x).
    NaN for labels out of range. Find the maximum, sum the exponentials, scale them.
    """
    classes, logits = x.shape[1], pointer(x)
    scale = share(scale, mean, used, labels, weight, ignore, classes, lo)
    smooth, each = weights_of(weight, classes, smoothing, x)
    for r in range(lo, hi):
        label = labels[r]
        if label == ignore:
            losses[r] = 0
            if dx.shape[0]:
                dx[r, :] = 0
            continue
        if label < 0 or label >= classes:
            losses[r] = math.nan
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
            multiply_row(dx, r, dloss)


@kernel(
    "S[:,::1], i8[::1], S[::1], S[::1], int, T, f8, int, T[::1], S[:,::1], f8[::1]",
    writes="losses dx used",
    parallel=True,
)
def cross_entropy__few(x, labels, weight, dloss, ignore, smoothing, scale, mean, losses, dx, used, lo, hi):
    """Compute the same for up to FEW classes, from TOGETHER rows at a time, transposed: a vector holds many rows.

    Where fewer are left, the rest of the vectors holds zeros: every row goes the same way, wherever a range begins.
    """
    classes, T = x.shape[1], x.dtype.type
    scale = share(scale, mean, used, labels, weight, ignore, classes, lo)
    size = itemsize(scale)
    smooth, each = weights_of(weight, classes, smoothing, x)
    tile = vector_at(scale, stack_bytes(TILE_BYTES), FEW * TOGETHER)
    shift = vector_at(scale, stack_bytes(LANES_BYTES), TOGETHER)
    total = vector_at(scale, stack_bytes(LANES_BYTES), TOGETHER)
    rest = vector_at(scale, stack_bytes(LANES_BYTES), TOGETHER)
    share_of = vector_at(scale, stack_bytes(LANES_BYTES), TOGETHER)  # of the label; before, the weighted sum of logits
    bad = False
    while lo < hi:
        count = min(TOGETHER, hi - lo)
        if count < TOGETHER:
            tile[:] = 0
        transpose_rows(scale, address(x) + lo * classes * size, classes, address(tile), TOGETHER, count, classes)
        for i in range(TOGETHER):
            shift[i] = tile[i]
            total[i] = 0
            share_of[i] = 0
        for c in range(1, classes):
            column = tile[c * TOGETHER : (c + 1) * TOGETHER]
            for i in range(TOGETHER):
                shift[i] = maximum(shift[i], column[i])
        for c in range(classes):
            column = tile[c * TOGETHER : (c + 1) * TOGETHER]
            if smoothing:
                w = weight[c] if weight.size else T(1)
                for i in range(TOGETHER):
                    share_of[i] += w * (column[i] - shift[i])
            for i in range(TOGETHER):
                e = exp(column[i] - shift[i])
                column[i] = e
                total[i] += e
        for i in range(TOGETHER):
            rest[i] = log(total[i])
        for i in range(count):
            label = labels[lo + i]
            losses[lo + i] = 0
            if label != ignore and (label < 0 or label >= classes):
                losses[lo + i], bad = math.nan, True
            elif label != ignore:
                a = (T(1) - smoothing) * (weight[label] if weight.size else T(1))
                loss = -a * log_share(x[lo + i, label], shift[i], rest[i])
                losses[lo + i] = loss + (smooth * rest[i] - each * share_of[i]) if smoothing else loss
                share_of[i] = a
        if dx.shape[0]:
            for i in range(TOGETHER):
                total[i] = scale * (share_of[i] + smooth) / total[i]
            for c in range(classes):
                column = tile[c * TOGETHER : (c + 1) * TOGETHER]
                less = scale * each * (weight[c] if weight.size else T(1))
                for i in range(TOGETHER):
                    column[i] = column[i] * total[i] - less
            transpose_rows(scale, address(tile), TOGETHER, address(dx) + lo * classes * size, classes, classes, count)
            for i in range(count):
                label = labels[lo + i]
                if label == ignore:
                    dx[lo + i, :] = 0
                elif not bad:
                    dx[lo + i, label] -= scale * share_of[i]
            if dloss.size:
                for r in range(lo, lo + count):
                    multiply_row(dx, r, dloss)
        lo += count


@exact
def smoothed(target, keep, each):
    """Return keep target + each."""
    return target * keep + each


@kernel("S[:,::1], S[::1], T, S[:,::1]", writes="out", parallel=True)
def cross_entropy__smoothed(target, weight, smoothing, out, lo, hi):
    """target(B C), weight(C or 0) -> out(B C) = ((1 - smoothing) target + smoothing / C) weight."""
    T, classes = target.dtype.type, target.shape[1]
    keep, each = T(1) - smoothing, smoothing / T(max(1, classes))
    for r in range(lo, hi):
        for c in range(classes):
            out[r, c] = smoothed(target[r, c], keep, each)
        if weight.size:
            for c in range(classes):
                out[r, c] *= weight[c]


@kernel(
    "S[:,::1], S[:,::1], S[::1], S[::1], T, T, T[::1], S[:,::1], S[:,::1]",
    writes="losses dx dtarget",
    parallel=True,
)
def cross_entropy__probabilities(x, target, weight, dloss, keep, scale, losses, dx, dtarget, lo, hi):
    """x(B C), target(B C), weight(C or 0), dloss(B or 0) -> losses(B), dx(B C or 0 C), dtarget(B C or 0 C).

    losses = sum target (log(sum e^x) - x). target: smoothed and weighted; dtarget: the gradient of the one before that.
    Find the maximum, sum the exponentials, sum the losses, compute the gradients.
    """
    classes, logits, T = x.shape[1], pointer(x), x.dtype.type
    for r in range(lo, hi):
        shift = row_maximum(logits, r * classes, classes)
        total, _ = sum_of_exponentials(logits, r * classes, classes, shift, None, None)
        rest = log(total)
        loss = T(0)
        for c in range(classes):
            loss -= target[r, c] * log_share(x[r, c], shift, rest)
        losses[r] = loss
        if dx.shape[0]:
            whole = T(0)
            for c in range(classes):
                whole += target[r, c]
            for c in range(classes):
                dx[r, c] = scale * (exp(log_share(x[r, c], shift, rest)) * whole - target[r, c])
            multiply_row(dx, r, dloss)
        if dtarget.shape[0]:
            for c in range(classes):
                dtarget[r, c] = -scale * keep * log_share(x[r, c], shift, rest)
            if weight.size:
                for c in range(classes):
                    dtarget[r, c] *= weight[c]
            multiply_row(dtarget, r, dloss)


@kernel(
    "S[:,:,::1], i8[::1], S[::1], S[::1], int, f8, int, T[::1], S[:,:,::1], f8[::1]",
    writes="losses dx used",
    parallel=True,
)
def nll_loss__labels(x, labels, weight, dloss, ignore, scale, mean, losses, dx, used, lo, hi):
    """x(B C L), labels(B L), weight(C or 0), dloss(B L or 0) -> losses(B L), dx(B C L or 0 C L), used(1).

    The range is over B. Set dx to 0, then go over the labels.
    """
    classes, length, T = x.shape[1], x.shape[2], x.dtype.type
    scale = share(scale, mean, used, labels, weight, ignore, classes, lo)
    for b in range(lo, hi):
        if dx.shape[0]:
            dx[b, :, :] = 0
        for i in range(length):
            r = b * length + i
            label = labels[r]
            losses[r] = 0
            if label == ignore:
                continue
            if label < 0 or label >= classes:
                losses[r] = math.nan
                continue
            w = weight[label] if weight.size else T(1)
            losses[r] = -x[b, label, i] * w
            if dx.shape[0]:
                dx[b, label, i] = -(dloss[r] * w if dloss.size else w * scale)


@kernel("i8[::1], i8[:,::1], i8[::1]", writes="out bad")
def one_hot__labels(labels, out, bad):
    """labels(N) -> out(N C), bad(1): how many labels are out of range."""
    bad[0] = 0
    for r in range(labels.size):
        label = labels[r]
        out[r, :] = 0
        if 0 <= label < out.shape[1]:
            out[r, label] = 1
        else:
            bad[0] += 1
