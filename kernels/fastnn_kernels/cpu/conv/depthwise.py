"""Depthwise convolution, one channel per group: what it needs, its filters' layout, its buffer, its gradient."""

from functools import lru_cache
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ground.checks import contiguous
from ...ground.memory import empty, streams
from ...ground.plans import ghost
from ...ground.threads import tasks
from ..activation import relu
from ..move import pixels, planes, turning
from ..vector.depthwise_tile import COLUMNS, ENTRY, ROWS, WINDOWS
from ..vector.simd import vector_bytes
from . import depthwise_kernels as cpu

GRAIN = 1 << 17  # multiplications of a task, at least
PLANE_BUFFER = 3 << 13  # bytes of a band of a plane, which stays in the nearest cache
PIXEL_BUFFER = 3 << 15  # of a vector of channels, whose rows are longer: in the second-level cache
NARROW = 16  # columns of planes that would leave most lanes of their vectors empty
BAND = 1 << 19  # bytes of a band of images by pixels and its result, which stay in the second-level cache
PIECES = 16  # into how many pieces the gradient of the weight is cut at least, where it can be
LINE = 64  # bytes, to which a task aligns the start of its scratch: fewer are lost before it, whatever the vectors


def refusal(layer):
    """Say why a layer is not depthwise."""
    return "" if layer.channels == 1 else f"needs one channel per group, not {layer.channels}"


def pack(layer):
    """Return what lays filters (G, OC/G, 1, KH, KW) out as (KH * KW, OC)."""
    rows, taps = layer.groups * layer.filters, layer.window[6] * layer.window[7]
    turn = turning(1, rows, taps, layer.dtype)

    def run(filters):
        packed = empty((taps, rows), layer.dtype)
        turn(contiguous(filters), packed)
        return packed

    return run


def plan(layer, x, y, gated, floor, prepared):
    """Return what convolves x into y; see `conv_algorithms.Algorithm`."""
    by_pixel = _by_pixel(x) and y.strides[1] == y.itemsize and layer.filters == 1
    if not by_pixel and layer.filters == 1 and _narrow(y):
        return _plan_turned(layer, x, y, floor, prepared)
    if by_pixel and suits_pixels(layer.window, y, 0):
        return plan_pixels(layer, x, y, floor)
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
        dy = relu.apply_backward(dy, gate)
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


def suits_pixels(window, y, spread):
    """Return whether there are tiles of pixels for a window over many channels, or over one that is spread."""
    down, across, _, _, *dilation, height, width = window
    there = (height, width, down, across, spread) in WINDOWS and dilation == [1, 1]
    return there and y.strides[1] == y.itemsize and (spread or y.shape[1] * y.itemsize >= vector_bytes())


def plan_single(layer, x, y, floor):
    """Return what convolves an image whose channels can be taken for columns of a single one, None if nothing does."""
    down, across, above, left, *dilation, height, width = layer.window
    n = layer.channels
    window = down, across * n, above, left * n, *dilation, height, width * n
    dense = n == 1 or (x.strides[1], x.strides[3]) == (x.itemsize, n * x.itemsize)
    if layer.groups > 1 or not dense or not suits_pixels(window, y, 1):
        return None
    if n == 1:
        return plan_pixels(layer, x, y, floor)
    shape, strides = (len(x), 1, x.shape[2], n * x.shape[3]), (*x.strides[:1], 0, x.strides[2], x.itemsize)
    compute = plan_pixels(layer._replace(window=window), ghost(shape, x.dtype, strides), y, floor)

    def run(x, gate, packed, bias, y):
        compute(x.transpose(0, 2, 3, 1).reshape(shape[0], *shape[2:])[:, None], gate, packed, bias, y)

    return run


def _plan_signal(layer, x, y, floor):
    """Return what convolves a signal as an image of rows of COLUMNS results: tiles are of neighbours then."""
    batch, filters, _, length = layer.shape
    taps, front, step = layer.window[7], layer.window[3], layer.dtype.itemsize
    count, end = length + taps - 1, front + x.shape[3]
    rows = length // COLUMNS
    shape, strides = (batch, 1, rows, COLUMNS + taps - 1), (count * step, step, COLUMNS * step, step)
    y_shape, y_strides = (batch, filters, rows, COLUMNS), (*y.strides[:2], COLUMNS * y.strides[3], y.strides[3])
    window = (1, 1, 0, 0, 1, 1, 1, taps)
    images = ghost(shape, layer.dtype, strides), ghost(y_shape, layer.dtype, y_strides)
    compute = plan_pixels(layer._replace(window=window, shape=y_shape), *images, floor)

    def run(x, gate, packed, bias, y):
        signal = empty((batch, count), layer.dtype)
        signal[:, :front] = 0
        signal[:, end:] = 0
        signal[:, front:end] = x[:, 0, 0, : count - front]
        compute(as_strided(signal, shape, strides), gate, packed, bias, as_strided(y, y_shape, y_strides))

    return run


def plan_pixels(layer, x, y, floor):
    """Return what convolves pixels in place; the weight lies in panels of some width, or in a single one."""
    if layer.window[6] == y.shape[2] == 1 < y.shape[3] and y.shape[3] % COLUMNS == layer.window[2] == 0:
        return _plan_signal(layer, x, y, floor)
    down, across, ph, pw, _, _, *kernel = layer.window
    which = WINDOWS.index((*kernel, down, across, int(layer.groups == 1)))
    step = layer.dtype.itemsize
    x_row, x_column, y_row, y_column = (n // step for n in (*x.strides[2:], *y.strides[2:]))
    (channels, *seen), (height, width) = x.shape[1:], y.shape[2:]

    def tiles(count, length, step, stride, padding, size):
        """Return (first output, outputs, bits of what lies in the image) of each tile of rows or columns."""
        reach, made = (step - 1) * stride + size, []
        for first in range(0, count, step):
            start = first * stride - padding
            bits = sum(1 << i for i in range(reach) if 0 <= start + i < length)
            made.append((first, min(step, count - first), bits, bits == (1 << reach) - 1 and first + step <= count))
        return made

    columns = tiles(width, seen[1], COLUMNS, across, pw, kernel[1])
    inner = [t for t, *_, whole in columns if whole]
    row_bytes = step * (channels * seen[1] * down + y.shape[1] * width)
    band = max(1, BAND // (row_bytes * ROWS))
    rows, bands, edges = tiles(height, seen[0], ROWS, down, ph, kernel[0]), [], []
    for top in range(0, len(rows), band):
        some = rows[top : top + band]
        within, first = [i for i, *_, whole in some if whole], len(edges)
        for i, n_rows, row_bits, row_inner in some:
            for t, n_columns, column_bits, column_inner in columns:
                if not (row_inner and column_inner):
                    x_at = (i * down - ph) * x_row + (t * across - pw) * x_column
                    edges.append((x_at, i * y_row + t * y_column, row_bits, column_bits, n_rows, n_columns))
        start = within[0] if within else 0
        bands.append((first, len(edges) - first, (start * down - ph) * x_row, start * y_row, len(within)))
    start = inner[0] if inner else 0
    x_band = min(band * ROWS * down, seen[0]) * x_row
    first = (start * across - pw) * x_column, start * y_column, len(inner)
    table = np.array((which, prod(kernel), *first, x_band, streams(y)), np.int64)
    bands, edges = np.array(bands, np.int64), np.array(edges, np.int64).reshape(-1, ENTRY)
    units = y.shape[0] * len(bands) * -(-y.shape[1] * step // vector_bytes())
    count, compute = tasks(y.size * prod(kernel), GRAIN), cpu.conv2d__pixels[layer.dtype]

    def run(x, gate, packed, bias, y):
        compute(x, packed.reshape(-1, packed.shape[-1]), bias, floor, table, bands, edges, y, units, count)

    return run


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
    length = LINE // itemsize + (kh * kw + 1) * lanes + rows * vectors * lanes + count * pitch
    plan = np.array((*window, rows, span, pitch, bool(by_pixel)), np.int64)
    return plan, np.array(offsets, np.int64), kh * kw, length
