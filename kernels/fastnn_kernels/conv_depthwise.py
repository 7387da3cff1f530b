"""Depthwise convolution, one channel per group: what it needs, its filters' layout, its buffer, its gradient."""

from functools import lru_cache

import numpy as np

from . import activation as activations
from ._memory import empty
from ._parallel import tasks
from ._simd import vector_bytes
from .cpu import conv_depthwise as cpu
from .cpu.images import relayout__blocks
from .images import pixels, planes

GRAIN = 1 << 18  # multiplications of a task, at least
PLANE_BUFFER = 3 << 13  # bytes of a band of a plane, which stays in the nearest cache
PIXEL_BUFFER = 3 << 15  # of a vector of channels, whose rows are longer: in the second-level cache
NARROW = 16  # columns of planes that would leave most lanes of their vectors empty
PIECES = 16  # into how many pieces the gradient of the weight is cut at least, where it can be


def refusal(layer):
    """Say why a layer is not depthwise."""
    return "" if layer.channels == 1 else f"needs one channel per group, not {layer.channels}"


def pack(filters):
    """Return filters (G, OC/G, 1, KH, KW) as (KH * KW, OC)."""
    flat = np.ascontiguousarray(filters.reshape(1, -1, filters.shape[3] * filters.shape[4]))
    packed = empty((1, *flat.shape[:0:-1]), flat.dtype)
    relayout__blocks[flat.dtype](flat, 0.0, packed, 1, 1)
    return packed[0]


def run(x, gate, gated, packed, bias, floor, layer, y):
    """Convolve x into y; see `convolve`."""
    if gated:
        x = activations.relu_backward(x, gate)
    by_pixel = _by_pixel(x) and y.strides[1] == y.itemsize and layer.filters == 1
    if not by_pixel and layer.filters == 1 and _narrow(y):
        b, c, height, width = y.shape
        result = empty((b, height, width, c), y.dtype).transpose(0, 3, 1, 2)
        run(pixels(x).transpose(0, 3, 1, 2), x, 0, packed, bias, floor, layer, result)
        y[...] = planes(result)
        return
    if not by_pixel:
        x = _by_rows(x)
    plan, offsets, taps, length = _plan(layer.window, y.shape[2:], by_pixel and x.strides[2:], y.itemsize)
    count = tasks(y.size * taps, GRAIN)
    scratch = empty((count, length), y.dtype)
    cpu.conv2d__depthwise[y.dtype](x, packed, bias, floor, plan, offsets, scratch, y, count, count)


def correlate(dy, gate, gated, x, window, dw):
    """Write the gradient of the weight (OC, 1, KH, KW)."""
    if gated:
        dy = activations.relu_backward(dy, gate)
    by_pixel = (_by_pixel(x) or _narrow(dy)) and dy.shape[1] == x.shape[1]
    if by_pixel:
        x = x if _by_pixel(x) else pixels(x).transpose(0, 3, 1, 2)
        dy = dy if _by_pixel(dy) else pixels(dy).transpose(0, 3, 1, 2)
    else:
        x, dy = _by_rows(x), _by_rows(dy)
    plan, offsets, taps, length = _plan(window, dy.shape[2:], by_pixel and x.strides[2:], x.itemsize)
    slices = -(-dy.shape[1] * x.itemsize // vector_bytes()) if by_pixel else dy.shape[1]
    parts = empty((min(dy.shape[0], max(1, PIECES // slices)), taps, dy.shape[1]), x.dtype)
    count = tasks(dy.size * taps, GRAIN)
    scratch = empty((count, length), x.dtype)
    cpu.conv2d_backward_weight__depthwise[x.dtype](dy, x, plan, offsets, scratch, parts, count, count)
    dw[...] = np.add.reduce(parts, 0).T.reshape(dw.shape)


def _by_pixel(x):
    """Say whether channels lie side by side, and more of them than one."""
    return x.shape[1] > 1 and x.strides[1] == x.itemsize


def _narrow(y):
    """Say whether rows are so short and channels so many that turning planes into pixels and back is worth it."""
    return y.shape[3] <= NARROW and y.shape[1] * y.itemsize >= vector_bytes()


def _by_rows(x):
    return x if x.strides[3] == x.itemsize else planes(x)


@lru_cache(maxsize=512)
def _plan(window, size, by_pixel, itemsize):
    """Return (plan, offsets of the taps, their number, length of a task's scratch).

    by_pixel: strides of the image's rows and columns if its channels are lanes, else False.
    """
    sh, sw, ph, pw, dh, dw, kh, kw = window
    height, width = size
    lanes = vector_bytes() // itemsize
    vectors = -(-width // lanes)
    if by_pixel:
        span = 0
        pitch = ((width - 1) * sw + (kw - 1) * dw + 1) * lanes
        columns = [s * dw * lanes for s in range(kw)]
    else:
        span = (vectors + -(-((kw - 1) * dw // sw) // lanes)) * lanes
        pitch = span * sw
        columns = [s * dw % sw * span + s * dw // sw for s in range(kw)]
    offsets = [r * dh * pitch + column for r in range(kh) for column in columns]
    if by_pixel:
        row, column = (stride // itemsize for stride in by_pixel)
        offsets += [r * dh * row + s * dw * column for r in range(kh) for s in range(kw)]
    room = (PIXEL_BUFFER if by_pixel else PLANE_BUFFER) // (pitch * itemsize) - (kh - 1) * dh - 1
    rows = max(1, min(height, room // sh + 1))
    bands = -(-height // rows)
    rows = min(height, -(-height // (bands * cpu.STRIP_ROWS)) * cpu.STRIP_ROWS)
    count = (rows - 1) * sh + (kh - 1) * dh + 1
    length = (kh * kw + 1) * lanes + rows * vectors * lanes + count * pitch + 2 * lanes
    plan = np.array((*window, rows, span, pitch, bool(by_pixel)), np.int64)
    return plan, np.array(offsets, np.int64), kh * kw, length
