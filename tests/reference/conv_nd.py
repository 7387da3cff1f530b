"""Convolutions in any number of dimensions, their transposes and windows, in plain float64 NumPy."""

import itertools

import numpy as np


def each(value, count) -> tuple:
    """Return a number `count` times, and a tuple as it is."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


def sides(padding, kernel, dilation) -> tuple:
    """Return (before, after) per dimension for numbers, "valid" or "same" (the odd one goes last)."""
    if padding == "same":
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((span // 2, span - span // 2) for span in spans)
    return tuple((p, p) for p in each(0 if padding == "valid" else padding, len(kernel)))


def taps(padded, kernel, stride, dilation, places):
    """Yield (tap, view) for each position in the window: the inputs it meets at all places of the window."""
    for tap in itertools.product(*map(range, kernel)):
        index = [
            slice(t * d, t * d + (n - 1) * s + 1, s) if n else slice(0, 0)
            for t, s, d, n in zip(tap, stride, dilation, places, strict=True)
        ]
        yield tap, padded[(..., *index)]


def window_of(x, weight, stride, padding, dilation):
    """Return the padded input and (kernel, stride, dilation, places)."""
    kernel = weight.shape[2:]
    stride, dilation = each(stride, len(kernel)), each(dilation, len(kernel))
    padded = np.pad(x, ((0, 0), (0, 0), *sides(padding, kernel, dilation)))
    form = zip(padded.shape[2:], kernel, stride, dilation, strict=True)
    return padded, (kernel, stride, dilation, tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in form))


def convolve(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """x(B, C, ...), weight(OC, C/groups, K...), bias(OC) -> (B, OC, ...)."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    padded, window = window_of(x, weight, stride, padding, dilation)
    parts = [
        sum(np.einsum("bc...,oc->bo...", view, w[(..., *tap)]) for tap, view in taps(part, *window))
        for part, w in zip(np.split(padded, groups, 1), np.split(weight, groups, 0), strict=True)
    ]
    y = np.concatenate(parts, 1)
    return y if bias is None else y + np.reshape(bias, (-1, *(1,) * (y.ndim - 2)))


def convolve_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """Return (dx, dweight, dbias): each product of the forward pass, undone one tap at a time."""
    dy, x, weight = (np.asarray(a, np.float64) for a in (dy, x, weight))
    padded, window = window_of(x, weight, stride, padding, dilation)
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
    split = [np.split(a, groups, axis) for a, axis in ((dy, 1), (padded, 1), (dpadded, 1), (weight, 0), (dweight, 0))]
    for grad, part, dpart, w, dw in zip(*split, strict=True):
        for (tap, view), (_, dview) in zip(taps(part, *window), taps(dpart, *window), strict=True):
            dw[(..., *tap)] = products(grad, view)
            dview += np.einsum("bo...,oc->bc...", grad, w[(..., *tap)])
    return crop(dpadded, sides(padding, window[0], window[2])), dweight, dy.sum((0, *range(2, dy.ndim)))


def products(a, b):
    """a(B, M, ...), b(B, N, ...) -> (M, N): sums over everything else."""
    over = (0, *range(2, a.ndim))
    return np.tensordot(a, b, (over, over))


def crop(padded, borders):
    """Take the border away."""
    return padded[(..., *(slice(a, n - b) for (a, b), n in zip(borders, padded.shape[2:], strict=True)))]


def convolve_transpose(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """x(B, C, ...), weight(C, OC/groups, K...), bias(OC) -> (B, OC, ...): every input spreads its filter, then crop."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    kernel, count = weight.shape[2:], weight.ndim - 2
    stride, dilation, padding, more = (each(v, count) for v in (stride, dilation, padding, output_padding))
    form = zip(x.shape[2:], kernel, stride, dilation, more, strict=True)
    size = tuple((n - 1) * s + d * (k - 1) + 1 + extra for n, k, s, d, extra in form)
    y = np.zeros((x.shape[0], weight.shape[1] * groups, *size))
    split = np.split(x, groups, 1), np.split(weight, groups, 0), np.split(y, groups, 1)
    for part, w, out in zip(*split, strict=True):
        for tap, view in taps(out, kernel, stride, dilation, x.shape[2:]):
            view += np.einsum("bc...,co->bo...", part, w[(..., *tap)])
    y = crop(y, [(p, p) for p in padding])
    return y if bias is None else y + np.reshape(bias, (-1, *(1,) * count))


def convolve_transpose_backward(dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Return (dx, dweight, dbias)."""
    dy, x, weight = (np.asarray(a, np.float64) for a in (dy, x, weight))
    kernel, count = weight.shape[2:], weight.ndim - 2
    stride, dilation, padding = (each(v, count) for v in (stride, dilation, padding))
    padded = np.pad(dy, ((0, 0), (0, 0), *((p, p) for p in padding)))
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    split = [np.split(a, groups, axis) for a, axis in ((padded, 1), (x, 1), (dx, 1), (weight, 0), (dweight, 0))]
    for grad, part, dpart, w, dw in zip(*split, strict=True):
        for tap, view in taps(grad, kernel, stride, dilation, x.shape[2:]):
            dpart += np.einsum("bo...,co->bc...", view, w[(..., *tap)])
            dw[(..., *tap)] = products(part, view)
    return dx, dweight, dy.sum((0, *range(2, dy.ndim)))


def unfold(x, kernel, dilation=1, padding=0, stride=1):
    """x(B, C, H, W) -> (B, C * KH * KW, L)."""
    kernel = each(kernel, 2)
    padded, window = window_of(x, np.empty((0, 0, *kernel)), stride, padding, dilation)
    columns = np.stack([view for _, view in taps(padded, *window)], 2)
    return columns.reshape(x.shape[0], x.shape[1] * kernel[0] * kernel[1], -1)
