"""Winograd's convolution: which layers it can do, at what cost, how its work and its memory are cut."""

from functools import lru_cache
from math import prod

import numpy as np

from ._memory import empty
from ._microkernel import TILE_ROWS, TILE_VECTORS
from ._parallel import tasks
from ._simd import vector_bytes
from ._winograd_tile import FORMS
from .cpu import conv_winograd as cpu

__all__ = ["FORMS", "cost", "pack", "plan", "refusal"]

GRAIN = 1 << 20  # multiplications of a task, at least
CALL = 1 << 19  # multiplications that take as long as a call
FAR = 1 << 23  # bytes of images that are likely to come from memory
BLOCK = 1 << 19  # bytes of transformed tiles and products in the second-level cache
MOST = 6 << 20  # ... or in the third, for filters that come from memory once for each block
LARGE = 1 << 24  # bytes of such filters


def refusal(layer):
    """Say why a layer cannot be computed so."""
    if layer.dtype != np.float32:
        return "is for float32 only: its rounding would spoil float64"
    if layer.window[:2] != (1, 1) or layer.groups > 1 or not any(map(layer.fits, FORMS)):
        return "needs kernels of 3x3, 2x2, 5x5, 3 or 2 with stride 1 and groups=1"
    return ""


def pack(form, layer):
    """Return what transforms filters (1, OC, C, KH, KW): matrices (P, C, NR), an odd number of vectors apart."""
    lanes, dtype = vector_bytes() // layer.dtype.itemsize, layer.dtype
    rows = -(-layer.filters // (TILE_VECTORS * lanes)) * layer.channels
    shape, number = (prod(form.sides), (rows * TILE_VECTORS | 1) * lanes), FORMS.index(form)
    count, kernel = tasks(prod(shape), 65536), cpu.conv2d_filters__winograd[dtype]

    def run(filters):
        packed = empty(shape, dtype)
        kernel(filters, number, packed, rows, count)
        return packed

    return run


@lru_cache(maxsize=512)
def _plan(form, shape, channels, filters, threads):
    """Return (segment, strips, block, row of V, its matrix, M, its matrix, brought, finished, length of all)."""
    lanes, width, matrices = vector_bytes() // 4, TILE_VECTORS * vector_bytes() // 4, prod(form.sides)
    batch, _, height, across = shape
    tall, wide = -(-height // form.rows), -(-across // form.columns)
    total, panels = batch * tall * wide, -(-filters // width)
    tile_bytes = 4 * matrices * (channels + width)
    room = MOST if 4 * matrices * channels * filters > LARGE else BLOCK
    tiles = min(total, max(TILE_ROWS, min(4 * TILE_ROWS, room // tile_bytes)))
    if total <= min(2 * TILE_ROWS, 8 * BLOCK // tile_bytes):
        tiles = total  # then the filters are read once
    segment = -(-wide // -(-wide // tiles))
    strips = max(1, tiles // segment)
    pieces = min(panels, -(-threads // max(1, total // tiles)))
    block = -(-panels // pieces)
    row = (-(-channels // lanes) | 1) * lanes
    count = segment * strips
    v_step, m_step = (count * row // lanes | 1) * lanes, (count * width // lanes | 1) * lanes
    m_at = matrices * v_step
    brought = m_at + matrices * m_step
    pixels = segment * form.columns + form.taps[1] - 1
    finished = brought + form.sides[0] * pixels * min(-(-channels // lanes) * lanes, cpu.CHANNELS) + lanes
    length = finished + form.rows * form.columns * segment * width + lanes
    return segment, strips, block, row, v_step, m_at, m_step, brought, finished, -(-length // 16) * 16


def plan(form, layer, x, y, gated, floor, prepared):
    """Return what convolves x into y; see `conv_algorithms.Algorithm`.

    A dilated window sees every dh-th row and dw-th column: images in turn.
    """
    _, _, top, left, dh, dw, _, _ = layer.window
    if dh == dw == 1:
        return _plan_images(form, x, y, gated, floor, (top, left))
    parts = []
    for i in range(min(dh, y.shape[2])):
        for j in range(min(dw, y.shape[3])):
            (above, row), (before, column) = divmod(i - top, dh), divmod(j - left, dw)
            seen = (..., slice(row, None, dh), slice(column, None, dw))
            made = (..., slice(i, None, dh), slice(j, None, dw))
            parts.append((seen, made, _plan_images(form, x[seen], y[made], gated, floor, (-above, -before))))

    def run(x, gate, packed, bias, y):
        for seen, made, convolve in parts:
            convolve(x[seen], gate[seen], packed, bias, y[made])

    return run


def _plan_images(form, x, y, gated, floor, padding):
    channels, filters, dtype = x.shape[1], y.shape[1], x.dtype
    count = tasks(_products(form, y.shape, channels, filters), GRAIN)
    *sizes, length = _plan(form, y.shape, channels, filters, count)
    far = x.nbytes + y.nbytes > FAR
    table = (FORMS.index(form), form.rows, form.columns, *form.sides, *padding, gated, *sizes, far)
    table, kernel = np.array(table, np.int64), cpu.conv2d__winograd[dtype]

    def run(x, gate, packed, bias, y):
        kernel(x, gate, packed, bias, floor, table, empty((count, length), dtype), y, count, count)

    return run


def _products(form, shape, channels, filters):
    batch, _, height, width = shape
    return batch * -(-height // form.rows) * -(-width // form.columns) * prod(form.sides) * channels * filters


def cost(layer, form, prepared):
    """Estimate a layer in units of a multiplication: directly (no form), or by Winograd's transforms.

    Each transform costs 6 per number; laying a filter out, 22. With fewer than 8 tiles, products wait for filters.
    """
    batch, _, height, width = layer.shape
    dh, dw, kh, kw = layer.window[4:]
    channels, filters, half = layer.channels, layer.filters, TILE_VECTORS * vector_bytes() // layer.dtype.itemsize // 2
    packing = 0 if prepared else 22 * channels * filters
    products = channels * -(-filters // half) * half
    if form is None:
        return kh * kw * (batch * height * width * products + packing)
    parts = min(dh, height) * min(dw, width)
    tiles = batch * -(-height // (form.rows * dh)) * -(-width // (form.columns * dw))
    transforms = 6 * sum(side > 1 for side in form.sides) * (channels + filters)
    numbers = parts * (max(tiles, 8) * products + tiles * transforms) + packing
    return prod(form.sides) * numbers + (parts - 1) * CALL
