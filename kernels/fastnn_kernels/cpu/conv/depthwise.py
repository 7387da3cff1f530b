"""Depthwise convolution, one channel per group: tiles of channels-last images, or bands in a buffer; its gradient."""

from math import prod
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ground.checks import contiguous
from ...ground.memory import empty, streams
from ...ground.plans import ghost
from ...ground.records import packed
from ...ground.threads import tasks
from ..grains import DEPTHWISE as GRAIN
from ..move import ghost_last, pixels, plan_transpose, planes
from ..vector.depthwise_tile import COLUMNS, ENTRY, ROWS, WINDOWS
from ..vector.machine import caches
from ..vector.simd import vector_bytes
from . import depthwise_kernels as kernels
from .depthwise_kernels import Strips, Tiles
from .layer import Planned, Window
from .weight_gradient_kernels import conv2d_backward_weight__sum

FIRST, SECOND, _ = caches()
PLANE_BUFFER = FIRST * 3 // 4  # bytes of a band of a channel
PIXEL_BUFFER = SECOND * 3 // 32  # of a vector of channels, whose rows are longer
NARROW = 16  # columns of channels-first images that would leave most lanes of their vectors empty
BAND = SECOND // 2  # bytes of a band of channels-last images and its result
PIECES = 16  # into how many pieces the gradient of the weight is cut at least, where it can be
LINE = 64  # bytes, to which a task aligns the start of its workspace: fewer are lost before it, whatever the vectors


def refusal(layer):
    """Say why a layer is not depthwise."""
    return "" if layer.channels == 1 else f"needs one channel per group, not {layer.channels}"


def plan(layer, x, y, floor, kept, masked):
    """Return the `Planned` of a depthwise convolution."""
    return Planned(_plan_packing(layer), _plan(layer, x, y, floor))


def _plan_packing(layer):
    """Plan packing of filters (G, OC/G, 1, KH, KW) as (KH * KW, OC)."""
    shape = layer.window.taps, layer.groups * layer.filters
    transpose = plan_transpose(1, *shape[::-1], layer.dtype)

    def pack(filters):
        out = empty(shape, layer.dtype)
        transpose(contiguous(filters), out)
        return out

    return pack


def _plan(layer, x, y, floor):
    last = _channels_last(x) and y.strides[1] == y.itemsize and layer.filters == 1
    if not last and layer.filters == 1 and _narrow(y):
        return _plan_channels_last(layer, x, y, floor)
    if last and _has_tiles(layer.window, y, 0):
        return _plan_tiles(layer, x, y, floor)
    table, offsets, length = _strips(layer.window, y.shape[2:], last and x.strides[2:], y.itemsize)
    count, kernel = tasks(y.size * layer.window.taps, GRAIN), kernels.conv2d__depthwise[layer.dtype]
    in_place = last or x.strides[3] == x.itemsize

    def compute(x, filters, bias, y):
        scratch = empty((count, length), layer.dtype)
        kernel(x if in_place else planes(x), filters, bias, floor, table, offsets, scratch, y, count, count)

    return compute


def _plan_channels_last(layer, x, y, floor):
    """Plan narrow channels-first images by way of channels-last copies."""
    (batch, channels, *above), below, dtype = x.shape, y.shape[2:], layer.dtype
    memories = (batch, *above, channels), (batch, *below, channels)
    convolve = _plan(layer, ghost_last(x.shape, dtype), ghost_last(y.shape, dtype), floor)
    forth = x.flags.c_contiguous and plan_transpose(batch, channels, prod(above), dtype)
    back = y.flags.c_contiguous and plan_transpose(batch, prod(below), channels, dtype)

    def compute(x, filters, bias, y):
        source, result = empty(memories[0], dtype) if forth else pixels(x), empty(memories[1], dtype)
        if forth:
            forth(x, source)
        convolve(source.transpose(0, 3, 1, 2), filters, bias, result.transpose(0, 3, 1, 2))
        if back:
            back(result, y)
        else:
            y[...] = result.transpose(0, 3, 1, 2)

    return compute


def plan_weight(dy, x, window):
    """Plan the gradient of the weight (OC, 1, KH, KW): f(dy, x, dw)."""
    dtype, count, taps = dy.dtype, tasks(dy.size * window.taps, GRAIN), window.taps
    last = (_channels_last(x) or _narrow(dy)) and dy.shape[1] == x.shape[1]
    if last:
        fine = [_channels_last(a) for a in (dy, x)]
        copy = lambda a: pixels(a).transpose(0, 3, 1, 2)  # noqa: E731
        if not fine[1]:
            x = ghost_last(x.shape, dtype)
    else:
        fine, copy = [a.strides[3] == a.itemsize for a in (dy, x)], planes
    table, offsets, length = _strips(window, dy.shape[2:], last and x.strides[2:], dtype.itemsize)
    slices = -(-dy.shape[1] * dtype.itemsize // vector_bytes()) if last else dy.shape[1]
    shape = min(dy.shape[0], max(1, PIECES // slices)), taps, dy.shape[1]
    kernel, add = kernels.conv2d_backward_weight__depthwise[dtype], conv2d_backward_weight__sum[dtype]
    each, adders = (shape[0], 1, window.kh, window.kw, shape[2]), tasks(prod(shape), 32768)

    def compute(dy, x, dw):
        dy, x = (a if ok else copy(a) for a, ok in zip((dy, x), fine, strict=True))
        parts = empty(shape, dtype)
        kernel(dy, x, table, offsets, empty((count, length), dtype), parts, count, count)
        add(parts.reshape(each), dw, taps, adders)

    return compute


def _channels_last(x):
    """Return whether channels are contiguous, and more of them than one."""
    return x.shape[1] > 1 and x.strides[1] == x.itemsize


def _narrow(y):
    """Return whether rows are so short and channels so many that copying to channels-last and back is worth it."""
    return y.shape[3] <= NARROW and y.shape[1] * y.itemsize >= vector_bytes()


def _has_tiles(window, y, spread):
    """Return whether there are tiles for a window over many channels, or over a single one spread over all lanes."""
    there = (window.kh, window.kw, window.sh, window.sw, spread) in WINDOWS and window.dh == window.dw == 1
    return there and y.strides[1] == y.itemsize and (spread or y.shape[1] * y.itemsize >= vector_bytes())


def plan_single(layer, x, y, floor):
    """Plan an image whose channels can be read as columns of a single channel. None if it has no tiles."""
    window, n = layer.window, layer.channels
    window = window._replace(sw=window.sw * n, left=window.left * n, kw=window.kw * n)
    dense = n == 1 or (x.strides[1], x.strides[3]) == (x.itemsize, n * x.itemsize)
    if layer.groups > 1 or not dense or not _has_tiles(window, y, 1):
        return None
    if n == 1:
        return _plan_tiles(layer, x, y, floor)
    shape, strides = (len(x), 1, x.shape[2], n * x.shape[3]), (*x.strides[:1], 0, x.strides[2], x.itemsize)
    convolve = _plan_tiles(layer._replace(window=window), ghost(shape, x.dtype, strides), y, floor)

    def compute(x, panels, bias, y):
        convolve(x.transpose(0, 2, 3, 1).reshape(shape[0], *shape[2:])[:, None], panels, bias, y)

    return compute


def _plan_signal(layer, x, y, floor):
    """Plan a signal as an image with COLUMNS outputs in a row: a tile then computes neighbours."""
    batch, filters, _, length = layer.shape
    taps, front, step = layer.window.kw, layer.window.left, layer.dtype.itemsize
    count, end = length + taps - 1, front + x.shape[3]
    rows = length // COLUMNS
    shape, strides = (batch, 1, rows, COLUMNS + taps - 1), (count * step, step, COLUMNS * step, step)
    y_shape, y_strides = (batch, filters, rows, COLUMNS), (*y.strides[:2], COLUMNS * y.strides[3], y.strides[3])
    images = ghost(shape, layer.dtype, strides), ghost(y_shape, layer.dtype, y_strides)
    convolve = _plan_tiles(layer._replace(window=Window(1, 1, 0, 0, 1, 1, 1, taps), shape=y_shape), *images, floor)

    def compute(x, panels, bias, y):
        signal = empty((batch, count), layer.dtype)
        signal[:, :front] = 0
        signal[:, end:] = 0
        signal[:, front:end] = x[:, 0, 0, : count - front]
        convolve(as_strided(signal, shape, strides), panels, bias, as_strided(y, y_shape, y_strides))

    return compute


class _Tile(NamedTuple):
    """A tile of rows, or of columns: its first output, how many, bits of the inputs inside of the image."""

    first: int
    count: int
    bits: int
    inner: bool  # whether it is whole and all its inputs are inside


def _tiles(count, length, step, stride, padding, size):
    """Return the tiles of `step` outputs each, of rows or columns."""
    reach, tiles = (step - 1) * stride + size, []
    for first in range(0, count, step):
        start = first * stride - padding
        bits = sum(1 << i for i in range(reach) if 0 <= start + i < length)
        inner = bits == (1 << reach) - 1 and first + step <= count
        tiles.append(_Tile(first, min(step, count - first), bits, inner))
    return tiles


def _plan_tiles(layer, x, y, floor):
    """Plan channels-last images that are read in place; the filters are in panels of any width, or in one."""
    window = layer.window
    if window.kh == y.shape[2] == 1 < y.shape[3] and y.shape[3] % COLUMNS == window.top == 0:
        return _plan_signal(layer, x, y, floor)
    which = WINDOWS.index((window.kh, window.kw, window.sh, window.sw, int(layer.groups == 1)))
    step = layer.dtype.itemsize
    x_row, x_column, y_row, y_column = (n // step for n in (*x.strides[2:], *y.strides[2:]))
    (channels, *size), (height, width) = x.shape[1:], y.shape[2:]
    columns = _tiles(width, size[1], COLUMNS, window.sw, window.left, window.kw)
    rows = _tiles(height, size[0], ROWS, window.sh, window.top, window.kh)
    inner = [tile.first for tile in columns if tile.inner]
    row_bytes = step * (channels * size[1] * window.sh + y.shape[1] * width)
    band = max(1, BAND // (row_bytes * ROWS))
    bands, edges = [], []

    def corner(row, column):  # where the window of an output begins in x
        return (row * window.sh - window.top) * x_row + (column * window.sw - window.left) * x_column

    for top in range(0, len(rows), band):
        here = rows[top : top + band]
        within, first = [tile.first for tile in here if tile.inner], len(edges)
        for r in here:
            for c in columns:
                if not (r.inner and c.inner):
                    at = corner(r.first, c.first), r.first * y_row + c.first * y_column
                    edges.append((*at, r.bits, c.bits, r.count, c.count))
        start = within[0] if within else 0
        bands.append((first, len(edges) - first, (start * window.sh - window.top) * x_row, start * y_row, len(within)))
    start = inner[0] if inner else 0
    table = packed(
        Tiles(
            window=which,
            taps=window.taps,
            x_first=(start * window.sw - window.left) * x_column,
            y_first=start * y_column,
            count=len(inner),
            x_band=min(band * ROWS * window.sh, size[0]) * x_row,
            streaming=streams(y),
        )
    )
    bands, edges = np.array(bands, np.int64), np.array(edges, np.int64).reshape(-1, ENTRY)
    units = y.shape[0] * len(bands) * -(-y.shape[1] * step // vector_bytes())
    count, kernel = tasks(y.size * window.taps, GRAIN), kernels.conv2d__depthwise_tiles[layer.dtype]

    def compute(x, panels, bias, y):
        kernel(x, panels.reshape(-1, panels.shape[-1]), bias, floor, table, bands, edges, y, units, count)

    return compute


def _strips(window, size, last, itemsize):
    """Return (table, offsets of the taps, length of a task's workspace) of the kernels that work band by band.

    last: strides of the image's rows and columns if its channels are lanes, else False.
    """
    sh, sw, _, _, dh, dw, kh, kw = window
    height, width = size
    lanes = vector_bytes() // itemsize
    vectors = -(-width // lanes)
    if last:
        span = 0
        pitch = ((width - 1) * sw + (kw - 1) * dw + 1) * lanes
        columns = [s * dw * lanes for s in range(kw)]
    else:
        span = (vectors + -(-((kw - 1) * dw // sw) // lanes)) * lanes
        pitch = span * sw
        columns = [s * dw % sw * span + s * dw // sw for s in range(kw)]
    offsets = [r * dh * pitch + column for r in range(kh) for column in columns]
    if last:
        row, column = (stride // itemsize for stride in last)
        offsets += [r * dh * row + s * dw * column for r in range(kh) for s in range(kw)]
    room = (PIXEL_BUFFER if last else PLANE_BUFFER) // (pitch * itemsize) - (kh - 1) * dh - 1
    rows = max(1, min(height, room // sh + 1))
    bands = -(-height // rows)
    rows = min(height, -(-height // (bands * kernels.STRIP_ROWS)) * kernels.STRIP_ROWS)
    count = (rows - 1) * sh + (kh - 1) * dh + 1
    length = LINE // itemsize + (kh * kw + 1) * lanes + rows * vectors * lanes + count * pitch
    return packed(window, Strips(rows, span, pitch, bool(last))), np.array(offsets, np.int64), length
