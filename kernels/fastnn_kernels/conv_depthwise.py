"""Depthwise convolution, one channel per group: what it needs, its filters' layout, its buffer, its gradient."""

from functools import lru_cache
from math import prod

import numpy as np

from . import activation as activations
from ._memory import empty
from ._parallel import tasks
from ._plans import ghost
from ._simd import vector_bytes
from .cpu import conv_depthwise as cpu
from .images import pixels, planes, turning

GRAIN = 1 << 18  # multiplications of a task, at least
PLANE_BUFFER = 3 << 13  # bytes of a band of a plane, which stays in the nearest cache
PIXEL_BUFFER = 3 << 15  # of a vector of channels, whose rows are longer: in the second-level cache
NARROW = 16  # columns of planes that would leave most lanes of their vectors empty
PIECES = 16  # into how many pieces the gradient of the weight is cut at least, where it can be


def refusal(layer):
    """Say why a layer is not depthwise."""
    return "" if layer.channels == 1 else f"needs one channel per group, not {layer.channels}"


def pack(layer):
    """Return what lays filters (G, OC/G, 1, KH, KW) out as (KH * KW, OC)."""
    rows, taps = layer.groups * layer.filters, layer.window[6] * layer.window[7]
    turn = turning(1, rows, taps, layer.dtype)

    def run(filters):
        packed = empty((taps, rows), layer.dtype)
        turn(np.ascontiguousarray(filters), packed)
        return packed

    return run


def plan(layer, x, y, gated, floor, prepared):
    """Return what convolves x into y; see `conv_algorithms.Algorithm`."""
    by_pixel = _by_pixel(x) and y.strides[1] == y.itemsize and layer.filters == 1
    if not by_pixel and layer.filters == 1 and _narrow(y):
        return _plan_turned(layer, x, y, floor, prepared)
    table, offsets, taps, length = _plan(layer.window, y.shape[2:], by_pixel and x.strides[2:], y.itemsize)
    count, kernel = tasks(y.size * taps, GRAIN), cpu.conv2d__depthwise[layer.dtype]
    as_is = by_pixel or x.strides[3] == x.itemsize

    def run(x, gate, packed, bias, y):
        scratch = empty((count, length), layer.dtype)
        kernel(x if as_is else planes(x), packed, bias, floor, table, offsets, scratch, y, count, count)

    return run


def _plan_turned(layer, x, y, floor, prepared):
    """Return what convolves planes by pixels."""
    (batch, channels, *above), below, dtype = x.shape, y.shape[2:], layer.dtype
    memories = (batch, *above, channels), (batch, *below, channels)
    turned = [ghost(shape, dtype).transpose(0, 3, 1, 2) for shape in memories]
    compute = plan(layer, *turned, 0, floor, prepared)
    forth = x.flags.c_contiguous and turning(batch, channels, prod(above), dtype)
    back = y.flags.c_contiguous and turning(batch, prod(below), channels, dtype)

    def run(x, gate, packed, bias, y):
        source, result = empty(memories[0], dtype) if forth else pixels(x), empty(memories[1], dtype)
        if forth:
            forth(x, source)
        compute(source.transpose(0, 3, 1, 2), gate, packed, bias, result.transpose(0, 3, 1, 2))
        if back:
            back(result, y)
        else:
            y[...] = result.transpose(0, 3, 1, 2)

    return run


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
