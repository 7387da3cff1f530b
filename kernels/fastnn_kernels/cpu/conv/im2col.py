"""Convolution and its gradients as products of whole matrices: for few pixels, and for few channels.

`columns` lays out what each place in the window meets, (C * KH * KW, pixels). The filters times these are the result;
for a few pixels that takes less than laying large filters out for anything better. The gradient of the weight is dy
times the columns' transpose. With few pixels and large filters that beats the sums of `conv`, which come panel by panel
and have to be laid out as a weight afterwards. The other way round, the weight's transpose times dy is the gradient of
the columns, and `fold` adds it up: for images of few channels, which would leave the tiles of `conv` half empty.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy import ndarray

from ...ground.checks import contiguous
from ...ground.memory import empty, zeros
from ...ground.plans import ghost
from ...ground.threads import tasks
from ..matmul.plan import plan_products, product
from ..move import planes, turning
from ..vector.gemm_tile import TILE_ROWS
from ..vector.simd import vector_bytes
from . import unfold_kernels as cpu

FEW_PIXELS = 2048
FEW_STRIDED_PIXELS = 512
MANY_WEIGHTS = 1 << 21  # which take longer to lay out than a few pixels to multiply by them
ROWS = 4 * TILE_ROWS  # pixels, of which tiles read the weights in place
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
    """Return whether the filters of a layer are better taken as they are than laid out for so few pixels."""
    pixels = layer.shape[0] * prod(layer.shape[2:])
    weights = layer.filters * layer.channels * prod(layer.window[6:])
    return not prepared and pixels <= ROWS and weights >= MANY_WEIGHTS and not refusal(layer)


def plan(layer, x, y, gated, floor, prepared):
    """Return what multiplies filters (1, OC, C, KH, KW) as they lie with the columns of x; see `Algorithm`.

    For few pixels both run along the sums: nothing is laid out but what the windows see.
    """
    (batch, filters, *places), dtype = y.shape, layer.dtype
    pixels, length = batch * prod(places), layer.channels * prod(layer.window[6:])
    rows, matrix = ghost((1, pixels, length), dtype), ghost((filters, length), dtype)
    multiply = plan_products(rows, matrix, ghost((1, pixels, filters), dtype), int(floor == 0), turned=True)
    turn = turning(1, length, pixels, dtype)

    def run(x, gate, weight, bias, y):
        rows, made = empty((pixels, length), dtype), empty((batch, *places, filters), dtype)
        turn(columns(planes(x), layer.window, places), rows)
        multiply(rows, weight.reshape(filters, length), bias, made.reshape(pixels, filters))
        y[...] = made.transpose(0, 3, 1, 2)

    return run


def suits_weight(dy, filters) -> bool:
    """Return whether `correlate` is the way to a weight's gradient: for few pixels that many filters share."""
    return dy.shape[0] * dy.shape[2] * dy.shape[3] <= FEW_PIXELS and filters >= 64


def correlate(dy, x, window, groups, dw):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> dw(OC,C/groups,KH,KW), a piece of the channels at a time."""
    b, oc, height, width = dy.shape
    filters, channels, kh, kw = oc // groups, *dw.shape[1:]
    grads = contiguous(dy.transpose(1, 0, 2, 3)).reshape(groups, filters, -1)
    x = planes(x)
    made = dw if dw.flags.c_contiguous else empty(dw.shape, dw.dtype)
    matrix = made.reshape(groups, filters, channels * kh * kw)
    piece = max(1, COLUMNS // (kh * kw * grads[0, 0].nbytes))
    for g in range(groups):
        for first in range(0, channels, piece):
            last = min(channels, first + piece)
            some = columns(x[:, g * channels + first : g * channels + last], window, (height, width))
            product(grads[g], some.T, matrix[g, :, first * kh * kw : last * kh * kw])
    if made is not dw:
        dw[...] = made


def suits_images(dy, channels, window, groups, prepared) -> bool:
    """Return whether `plan_back` is the way to an image: one of few channels, or of few pixels that see many weights.

    Strided windows overlap less, so that there is less to add up; 3x3 without a stride is what Winograd's way is for.
    Few pixels are not worth laying filters out, unless that is done already; a single one is where windows meet none.
    """
    (batch, filters, *size), taps = dy.shape, window[6:]
    strided, pixels = window[0] * window[1] > 1, batch * prod(size)
    few = vector_bytes() // dy.itemsize // (2 if strided or taps != (3, 3) else 4)
    if channels == 1 or channels * prod(taps) * prod(size) * dy.itemsize > LARGEST:
        return False
    if channels <= few or (prod(size) == groups == 1 and window[2:4] == (0, 0)):
        return True
    if prepared:
        return False
    many = filters * channels * prod(taps) >= MANY_WEIGHTS
    return pixels <= (FEW_STRIDED_PIXELS if strided else ROWS // 2 if many else 0)


def plan_back(dy, dx, window, groups, channels, floor):
    """dy(B,OC,OH,OW), w(OC,C/groups,KH,KW), bias(C) -> dx(B,C,H,W), not smaller than the floor: f(dy, w, bias, dx).

    Some images at a time. Few pixels of dy are rows of the product, which is then turned around: as its columns they
    would not fill the tiles.
    """
    (b, oc, height, width), (kh, kw), dtype = dy.shape, window[6:], dy.dtype
    filters, length = oc // groups, channels * kh * kw
    if groups == height == width == 1 and window[2:4] == (0, 0) and dx.shape[2:] == (kh, kw) and dx.flags.c_contiguous:
        shapes = (b, oc), (oc, length), (b, length)
        a, w, out = (ghost(shape, dtype) for shape in shapes)
        multiply = plan_products(a, w, out[None], int(floor == 0))

        def alone(dy, w, bias, dx):
            row = empty((channels, kh * kw), dtype)
            row[...] = bias[:, np.newaxis]
            multiply(dy.reshape(b, oc), w.reshape(oc, length), row.reshape(length), dx.reshape(b, length))

        return alone
    count = min(b, max(1, COLUMNS // (length * height * width * dtype.itemsize)))
    several = _plan_some(dy[:count], dx[:count], window, groups, channels, floor)
    rest = _plan_some(dy[: b % count], dx[: b % count], window, groups, channels, floor) if b % count else several

    def run(dy, w, bias, dx):
        w = w.reshape(groups, filters, length)
        for first in range(0, b, count):
            compute = several if first + count <= b else rest
            compute(dy[first : first + count], w, bias, dx[first : first + count])

    return run


def _plan_some(dy, dx, window, groups, channels, floor):
    """Do as `plan_back` for w(G,OC/G,C/G*KH*KW) and images whose columns are not too many."""
    (b, oc, height, width), (kh, kw), dtype = dy.shape, window[6:], dy.dtype
    filters, length, pixels = oc // groups, channels * kh * kw, b * height * width
    made, w = ghost((groups, length, pixels), dtype), ghost((groups, filters, length), dtype)
    by_rows = pixels <= ROWS and length >= 8 * pixels
    if by_rows:
        grads = ghost((pixels, groups, filters), dtype).swapaxes(0, 1)
        multiply = plan_products(grads, w, ghost((groups, pixels, length), dtype), 0)
        turn, nothing = turning(groups, pixels, length, dtype), zeros((length,), dtype)
    else:
        multiply = plan_products(w.swapaxes(1, 2), ghost((groups, filters, pixels), dtype), made, 0)
        nothing = zeros((pixels,), dtype)
    shape, order = (groups * channels, kh, kw, b, height, width), (3, 0, 1, 2, 4, 5)
    add_up = plan_folding(made.reshape(shape).transpose(order), floor, window, dx)

    def run(dy, w, bias, dx):
        made = empty((groups, length, pixels), dtype)
        if by_rows:
            grads = contiguous(dy.transpose(0, 2, 3, 1)).reshape(pixels, groups, filters)
            turned = empty((groups, pixels, length), dtype)
            multiply(grads[:, 0], w[0], nothing, turned[0])
            turn(turned, made)
        else:
            grads = contiguous(dy.transpose(1, 0, 2, 3)).reshape(groups, filters, pixels)
            multiply(w[0].T, grads[0], nothing, made[0])
        add_up(made.reshape(shape).transpose(order), bias, dx)

    return run


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
        plan_folding(windows, floor, window, y)(windows, bias, y)


def plan_folding(windows, floor, window, y):
    """Return what does as `fold`."""
    table, count = np.array(window[:6], np.int64), tasks(windows.size, GRAIN)
    apart = [min(s, n) * -(-n // s) for s, n in zip(window[:2], y.shape[2:], strict=True)]
    shape, dtype, kernel = (count, apart[0] * apart[1]), y.dtype, cpu.fold__planes[y.dtype]

    def run(windows, bias, y):
        kernel(windows, bias, floor, table, empty(shape, dtype), y, count, count)

    return run
