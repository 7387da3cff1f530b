"""Winograd's convolution: which layers it can do, at what cost, how its work and its memory are cut."""

from functools import lru_cache
from math import prod

import numpy as np

from ...ground.memory import empty, zeros
from ...ground.threads import tasks
from ..vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from ..vector.simd import vector_bytes
from ..vector.winograd_tile import FORMS
from . import winograd_kernels as cpu

__all__ = ["FORMS", "cost", "pack", "plan", "refusal"]

GRAIN = 1 << 20  # multiplications of a task, at least
CALL = 1 << 19  # multiplications that take as long as a call
FAR = 1 << 23  # bytes of images that are likely to come from memory
BLOCK = 1 << 19  # bytes of transformed tiles and products in the second-level cache
MOST = 6 << 20  # ... or in the third, for filters that come from memory once for each block
LARGE = 1 << 24  # bytes of such filters
PIECE = 1 << 23  # ... of which so many are transformed and used at a time, where they are not prepared


def refusal(layer):
    """Say why a layer cannot be computed so."""
    if layer.dtype != np.float32:
        return "is for float32 only: its rounding would spoil float64"
    if layer.groups > 1 or not any(fits(layer, form) for form in FORMS):
        return (
            "needs kernels of 3x3, 2x2, 5x5, 3 or 2, or so many strides, without both stride and dilation, and groups=1"
        )
    return ""


def fits(layer, form):
    """Return whether a form of tiles is for a layer: with a stride, for what a window meets of every sh-th row."""
    strides, dilations, kernel = layer.window[:2], layer.window[4:6], layer.window[6:]
    taps = tuple(-(-k // s) for k, s in zip(kernel, strides, strict=True))
    return taps == form.taps and all(1 in pair for pair in zip(strides, dilations, strict=True))


def pack(form, layer):
    """Return what makes of filters (1, OC, C, KH, KW) matrices (P, SH * SW * C, NR), an odd number of vectors apart."""
    channels, dtype, (sh, sw) = layer.channels, layer.dtype, layer.window[:2]
    phases, lanes = sh * sw, vector_bytes() // dtype.itemsize
    rows, number = -(-layer.filters // (TILE_VECTORS * lanes)) * channels, FORMS.index(form)
    used = phases * rows * TILE_VECTORS * lanes
    shape = prod(form.sides), (phases * rows * TILE_VECTORS | 1) * lanes
    count, kernel = tasks(prod(shape) // phases, 65536), cpu.conv2d_filters__winograd[dtype]
    size = form.taps[0] * sh, form.taps[1] * sw

    def run(filters):
        if filters.shape[3:] != size:  # zeros, so that each phase meets as many
            (*_, kh, kw), given = filters.shape, filters
            filters = zeros((*given.shape[:3], *size), dtype)
            filters[..., :kh, :kw] = given
        packed = empty(shape, dtype)
        packed[:, used:] = 0
        for phase in range(phases):
            some = filters[..., phase // sw :: sh, phase % sw :: sw]
            kernel(some, number, phase * channels, phases * channels, packed, rows, count)
        return packed

    return run


def pack_soon(form, layer):
    """Return what packs filters for one convolution, or leaves them to it: it packs them piece by piece."""
    return (lambda filters: filters) if _piece(form, layer) else pack(form, layer)


def _piece(form, layer):
    """Return of how many filters the cache holds what the transforms make, if not of all and if that pays, else 0.

    Images are transformed again for each piece.
    """
    width, matrices = TILE_VECTORS * vector_bytes() // layer.dtype.itemsize, prod(form.sides)
    one = 4 * matrices * prod(layer.window[:2]) * layer.channels
    if one * layer.filters < LARGE:
        return 0
    count = max(1, PIECE // (one * width)) * width
    return count if 12 * _tiles(form, layer.shape) * (layer.filters // count) < 5 * layer.filters else 0


@lru_cache(maxsize=512)
def _plan(form, shape, phases, channels, filters, threads):
    """Return (segment, strips, block, row of V, its matrix, M, its matrix, brought, finished, length of all)."""
    lanes, width, matrices = vector_bytes() // 4, TILE_VECTORS * vector_bytes() // 4, prod(form.sides)
    batch, _, height, across = shape
    tall, wide = -(-height // form.rows), -(-across // form.columns)
    total, panels = batch * tall * wide, -(-filters // width)
    some = -(-channels // lanes) * lanes  # which transforms write for each phase, one after the other
    depth = (phases - 1) * channels + some
    tile_bytes = 4 * matrices * (depth + width)
    room = MOST if 4 * matrices * depth * filters > LARGE else BLOCK
    tiles = min(total, max(TILE_ROWS, min(4 * TILE_ROWS, room // tile_bytes)))
    if total <= min(2 * TILE_ROWS, 8 * BLOCK // tile_bytes):
        tiles = total  # then the filters are read once
    segment = -(-wide // -(-wide // tiles))
    strips = max(1, tiles // segment)
    pieces = min(panels, -(-threads // max(1, total // tiles)))
    block = -(-panels // pieces)
    row = (-(-depth // lanes) | 1) * lanes
    count = segment * strips
    v_step, m_step = (count * row // lanes | 1) * lanes, (count * width // lanes | 1) * lanes
    m_at = matrices * v_step
    brought = m_at + matrices * m_step
    pixels = segment * form.columns + form.taps[1] - 1
    finished = brought + form.sides[0] * pixels * min(some, cpu.CHANNELS) + lanes
    length = finished + form.rows * form.columns * segment * width + lanes
    return segment, strips, block, row, v_step, m_at, m_step, brought, finished, -(-length // 16) * 16


def plan(form, layer, x, y, gated, floor, prepared):
    """Return what convolves x into y; see `conv_algorithms.Algorithm`.

    A dilated window sees every dh-th row and dw-th column: images in turn.
    """
    if not prepared and (count := _piece(form, layer)):
        return _plan_pieces(form, layer, x, y, gated, floor, count)
    sh, sw, top, left, dh, dw, _, _ = layer.window
    if dh == dw == 1:
        return _plan_images(form, x, y, gated, floor, (sh, sw, top, left))
    parts = []
    for i in range(min(dh, y.shape[2])):
        for j in range(min(dw, y.shape[3])):
            (above, row), (before, column) = divmod(i - top, dh), divmod(j - left, dw)
            seen = (..., slice(row, None, dh), slice(column, None, dw))
            made = (..., slice(i, None, dh), slice(j, None, dw))
            parts.append((seen, made, _plan_images(form, x[seen], y[made], gated, floor, (sh, sw, -above, -before))))

    def run(x, gate, packed, bias, y):
        for seen, made, convolve in parts:
            convolve(x[seen], gate[seen], packed, bias, y[made])

    return run


def _plan_pieces(form, layer, x, y, gated, floor, count):
    parts = []
    for first in range(0, layer.filters, count):
        piece = slice(first, first + count)
        made = y[:, piece]
        some = layer._replace(filters=made.shape[1])
        parts.append((piece, pack(form, some), plan(form, some, x, made, gated, floor, True)))

    def run(x, gate, filters, bias, y):
        for piece, transform, convolve in parts:
            convolve(x, gate, transform(filters[:, piece]), bias[piece], y[:, piece])

    return run


def _plan_images(form, x, y, gated, floor, window):
    phases, channels, filters, dtype = window[0] * window[1], x.shape[1], y.shape[1], x.dtype
    count = tasks(_tiles(form, y.shape) * prod(form.sides) * phases * channels * filters, GRAIN)
    *sizes, length = _plan(form, y.shape, phases, channels, filters, count)
    far = x.nbytes + y.nbytes > FAR
    table = (FORMS.index(form), form.rows, form.columns, *form.sides, *window, gated, *sizes, far)
    table, kernel = np.array(table, np.int64), cpu.conv2d__winograd[dtype]

    def run(x, gate, packed, bias, y):
        kernel(x, gate, packed, bias, floor, table, empty((count, length), dtype), y, count, count)

    return run


def _tiles(form, shape):
    batch, _, height, width = shape
    return batch * -(-height // form.rows) * -(-width // form.columns)


def cost(layer, form, prepared):
    """Estimate a layer in units of a multiplication: directly (no form), or by Winograd's transforms.

    Each transform costs 6 per number; laying a filter out 16, transforming it 8 per number. With fewer than 8 tiles,
    products wait for filters.
    """
    batch, _, height, width = layer.shape
    sh, sw, _, _, dh, dw, kh, kw = layer.window
    channels, filters, half = layer.channels, layer.filters, TILE_VECTORS * vector_bytes() // layer.dtype.itemsize // 2
    products = channels * -(-filters // half) * half
    if form is None:
        return kh * kw * (batch * height * width * products + (0 if prepared else 16 * channels * filters))
    channels, products = sh * sw * channels, sh * sw * products
    packing = 0 if prepared else 8 * channels * filters
    parts = min(dh, height) * min(dw, width)
    tiles = batch * -(-height // (form.rows * dh)) * -(-width // (form.columns * dw))
    transforms = 6 * sum(side > 1 for side in form.sides) * (channels + filters)
    numbers = parts * (max(tiles, 8) * products + tiles * transforms) + packing
    return prod(form.sides) * numbers + (parts - 1) * CALL
