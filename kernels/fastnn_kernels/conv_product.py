"""Convolution and its gradients as products of whole matrices: for few pixels, and for few channels.

`columns` lays out what each place in the window meets, (C * KH * KW, pixels). The filters times these are the result;
for short signals that takes less than laying the filters out for anything better. The gradient of the weight is dy
times the columns' transpose. With few pixels and large filters that beats the sums of `conv`, which come panel by panel
and have to be laid out as a weight afterwards. The other way round, the weight's transpose times dy is the gradient of
the columns, and `fold` adds it up: for images of few channels, which would leave the tiles of `conv` half empty.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy import ndarray

from ._memory import empty
from ._parallel import tasks
from ._simd import vector_bytes
from .cpu import unfold as cpu
from .images import planes
from .matmul import matmul

FEW_PIXELS = 2048
FEW_STRIDED_PIXELS = 512
SHORT = 128  # signals, all of them together
MANY_WEIGHTS = 1 << 17
COLUMNS = 1 << 21  # bytes of columns at a time, more only where one image has more
LARGEST = 1 << 23
GRAIN = 1 << 16  # numbers of a task, at least


def refusal(layer) -> str:
    """Say why a layer cannot be computed so."""
    if layer.groups > 1:
        return "is for groups=1"
    columns = layer.channels * prod(layer.window[6:]) * layer.shape[0] * prod(layer.shape[2:])
    return "would need more than 8 MB for its columns" if columns * layer.dtype.itemsize > LARGEST else ""


def suits(layer, prepared) -> bool:
    """Return whether the filters of a layer are better taken as they are than laid out for such short signals."""
    pixels = layer.shape[0] * prod(layer.shape[2:])
    weights = layer.filters * layer.channels * prod(layer.window[6:])
    signals = layer.window[6] == layer.shape[2] == 1
    return signals and not prepared and pixels <= SHORT and weights >= MANY_WEIGHTS and not refusal(layer)


def plan(layer, x, y, gated, floor, prepared):
    """Return what multiplies filters (1, OC, C, KH, KW) as they lie with the columns of x; see `Algorithm`."""

    def run(x, gate, filters, bias, y):
        some = columns(planes(x), layer.window, y.shape[2:])
        made = matmul(filters.reshape(layer.filters, len(some)), some)
        made += bias[:, None]
        if floor > -np.inf:
            np.maximum(made, floor, out=made)
        y[...] = made.reshape(layer.filters, y.shape[0], *y.shape[2:]).swapaxes(0, 1)

    return run


def suits_weight(dy, filters) -> bool:
    """Return whether `correlate` is the way to a weight's gradient: for few pixels that many filters share."""
    return dy.shape[0] * dy.shape[2] * dy.shape[3] <= FEW_PIXELS and filters >= 64


def correlate(dy, x, window, groups, dw):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> dw(OC,C/groups,KH,KW), a piece of the channels at a time."""
    b, oc, height, width = dy.shape
    filters, channels, kh, kw = oc // groups, *dw.shape[1:]
    grads = np.ascontiguousarray(dy.transpose(1, 0, 2, 3)).reshape(groups, filters, -1)
    x = planes(x)
    made = dw if dw.flags.c_contiguous else empty(dw.shape, dw.dtype)
    matrix = made.reshape(groups, filters, channels * kh * kw)
    piece = max(1, COLUMNS // (kh * kw * grads[0, 0].nbytes))
    for g in range(groups):
        for first in range(0, channels, piece):
            last = min(channels, first + piece)
            some = columns(x[:, g * channels + first : g * channels + last], window, (height, width))
            matmul(grads[g], some.T, out=matrix[g, :, first * kh * kw : last * kh * kw])
    if made is not dw:
        dw[...] = made


def suits_images(dy, w, window, prepared) -> bool:
    """Return whether `convolve_back` is the way to an image: one of few channels, or strided and of few pixels.

    Strided windows overlap less, so that there is less to add up; 3x3 without a stride is what Winograd's way is for.
    Few pixels are not worth laying filters out, unless that is done already.
    """
    strided = window[0] * window[1] > 1
    few = vector_bytes() // dy.itemsize // (2 if strided or w.shape[2:] != (3, 3) else 4)
    pixels = dy.shape[0] * dy.shape[2] * dy.shape[3]
    if w[0].nbytes * dy.shape[2] * dy.shape[3] > LARGEST:
        return False
    if 1 < w.shape[1] <= few:
        return True
    short = SHORT if w.shape[2] == dy.shape[2] == 1 and w.size >= MANY_WEIGHTS else 0
    enough = FEW_STRIDED_PIXELS if strided else short
    return w.shape[1] > 1 and not prepared and pixels <= enough


def convolve_back(dy, w, window, groups, bias, floor, dx):
    """dy(B,OC,OH,OW), w(OC,C/groups,KH,KW), bias(C) -> dx(B,C,H,W), not smaller than the floor."""
    b, oc, height, width = dy.shape
    channels, kh, kw = w.shape[1:]
    filters = w.reshape(groups, oc // groups, -1).transpose(0, 2, 1)
    count = max(1, COLUMNS // (w.nbytes // (oc // groups) * height * width))
    for first in range(0, b, count):
        some = dy[first : first + count]
        grads = np.ascontiguousarray(some.transpose(1, 0, 2, 3)).reshape(groups, oc // groups, -1)
        made = empty((groups, channels * kh * kw, grads.shape[2]), dy.dtype)
        matmul(filters, grads, out=made)
        made = made.reshape(groups * channels, kh, kw, len(some), height, width)
        fold(made.transpose(3, 0, 1, 2, 4, 5), bias, floor, window, dx[first : first + count])


def columns(x: ndarray, window, places) -> ndarray:
    """Return (C * KH * KW, B * OH * OW) for images (B, C, H, W)."""
    (b, c), (kh, kw) = x.shape[:2], window[6:8]
    made = empty((c, kh, kw, b, *places), x.dtype)
    unfold(x, window, made.transpose(3, 0, 1, 2, 4, 5))
    return made.reshape(c * kh * kw, -1)


def unfold(x, window, target):
    """x(B,C,H,W) -> target(B,C,KH,KW,OH,OW), the last axis contiguous."""
    if target.size:
        plan = np.array(window[:6], np.int64)
        cpu.unfold__rows[x.dtype](x, 0.0, plan, target, x.shape[0] * x.shape[1], tasks(target.size, GRAIN))


def fold(windows, bias, floor, window, y):
    """windows(B,C,KH,KW,OH,OW), the last axis contiguous, bias(C) -> y(B,C,H,W): the sums, not below the floor."""
    if y.size:
        plan, count = np.array(window[:6], np.int64), tasks(windows.size, GRAIN)
        apart = [min(s, n) * -(-n // s) for s, n in zip(window[:2], y.shape[2:], strict=True)]
        scratch = empty((count, apart[0] * apart[1]), y.dtype)
        cpu.fold__planes[y.dtype](windows, bias, floor, plan, scratch, y, count, count)
