"""Winograd's convolution: which layers it can do, at what cost, how its work and its memory are cut."""

from math import prod

import numpy as np

from ...ground.memory import empty, zeros
from ...ground.records import packed
from ...ground.threads import tasks
from ..grains import CONVOLUTION as GRAIN
from ..vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from ..vector.machine import caches
from ..vector.simd import vector_bytes
from ..vector.winograd_tile import FORMS
from .layer import NO_MASK, Planned
from .winograd_kernels import CHANNELS, Blocks, Phases, conv2d__winograd, prepare_conv2d__winograd

CALL = 1 << 19  # multiplications that take as long as a call
_, SECOND, THIRD = caches()
LARGE_IMAGES = THIRD // 2  # bytes of images that are likely to come from memory
BLOCK = SECOND // 2  # bytes of transformed tiles and products
MOST = min(THIRD * 3 // 8, 6 << 20)  # ... for filters that come from memory once for each block
LARGE = THIRD  # bytes of such filters
PIECE = THIRD // 2  # ... of which so many are transformed and used at a time, where they are not kept


def refusal(layer):
    """Say why a layer cannot be computed so."""
    if layer.dtype != np.float32:
        return "is for float32 only: its rounding would spoil float64"
    if layer.groups > 1 or not any(fits(layer, form) for form in FORMS):
        return "supports 3x3, 2x2 and 5x5 kernels (3 and 2 for signals) with stride or dilation, not both, and groups=1"
    return ""


def fits(layer, form):
    """Return whether a form of tiles is for a layer: with a stride, for what a window reads of every sh-th row."""
    window = layer.window
    taps = -(-window.kh // window.sh), -(-window.kw // window.sw)
    return taps == form.taps and 1 in (window.sh, window.dh) and 1 in (window.sw, window.dw)


def plan(form, layer, x, y, floor, kept, masked):
    """Return the `Planned` of a form of tiles. Large filters that are not kept are packed piece by piece."""
    if not kept and (count := _piece(form, layer)):
        return Planned(lambda filters: filters, _plan_pieces(form, layer, x, y, floor, count))
    return Planned(
        _plan_packing(form, layer), _plan_phases(form, layer, x, y, floor), (form, layer.window.sh, layer.window.sw)
    )


def _plan_packing(form, layer):
    """Plan the transform of filters (1, OC, C, KH, KW) to (P, SH * SW * C, NR), an odd number of vectors apart."""
    channels, dtype, sh, sw = layer.channels, layer.dtype, layer.window.sh, layer.window.sw
    phases, lanes = sh * sw, vector_bytes() // dtype.itemsize
    rows, number = -(-layer.filters // (TILE_VECTORS * lanes)) * channels, FORMS.index(form)
    used = phases * rows * TILE_VECTORS * lanes
    shape = prod(form.sides), (phases * rows * TILE_VECTORS | 1) * lanes
    count, kernel = tasks(prod(shape) // phases, 65536), prepare_conv2d__winograd[dtype]
    size = form.taps[0] * sh, form.taps[1] * sw

    def pack(filters):
        if filters.shape[3:] != size:  # zeros, so that all phases have as many taps
            (*_, kh, kw), source = filters.shape, filters
            filters = zeros((*source.shape[:3], *size), dtype)
            filters[..., :kh, :kw] = source
        out = empty(shape, dtype)
        out[:, used:] = 0
        for phase in range(phases):
            view = filters[..., phase // sw :: sh, phase % sw :: sw]
            kernel(view, number, phase * channels, phases * channels, out, rows, count)
        return out

    return pack


def _piece(form, layer):
    """Return of how many filters the cache holds the transforms, if not of all and if pieces pay, else 0.

    Images are transformed again for each piece.
    """
    width, matrices = TILE_VECTORS * vector_bytes() // layer.dtype.itemsize, prod(form.sides)
    one = 4 * matrices * layer.window.sh * layer.window.sw * layer.channels
    if one * layer.filters < LARGE:
        return 0
    count = max(1, PIECE // (one * width)) * width
    return count if 12 * _tiles(form, layer.shape) * (layer.filters // count) < 5 * layer.filters else 0


def _plan_pieces(form, layer, x, y, floor, count):
    parts = []
    for first in range(0, layer.filters, count):
        piece = slice(first, first + count)
        part = y[:, piece]
        pack, convolve, _ = plan(form, layer._replace(filters=part.shape[1]), x, part, floor, True, False)
        parts.append((piece, pack, convolve))

    def compute(x, filters, bias, y, mask=NO_MASK[layer.dtype]):
        for piece, pack, convolve in parts:
            convolve(x, pack(filters[:, piece]), bias[piece], y[:, piece], mask)

    return compute


def _plan_phases(form, layer, x, y, floor):
    """Plan the images that a dilated window sees: every dh-th row and dw-th column is one."""
    sh, sw, top, left, dh, dw, _, _ = layer.window
    if dh == dw == 1:
        return _plan_tiles(form, x, y, floor, (sh, sw, top, left))
    parts, every = [], (slice(None),) * 2
    for i in range(min(dh, y.shape[2])):
        for j in range(min(dw, y.shape[3])):
            (above, row), (before, column) = divmod(i - top, dh), divmod(j - left, dw)
            read = *every, slice(row, None, dh), slice(column, None, dw)
            written = *every, slice(i, None, dh), slice(j, None, dw)
            convolve = _plan_tiles(form, x[read], y[written], floor, (sh, sw, -above, -before))
            parts.append((read, written, convolve))

    def compute(x, filters, bias, y, mask=NO_MASK[layer.dtype]):
        for read, written, convolve in parts:
            convolve(x[read], filters, bias, y[written], mask[read] if mask.size else mask)

    return compute


def _plan_tiles(form, x, y, floor, window):
    sh, sw, top, left = window
    phases, dtype = sh * sw, x.dtype
    count = tasks(_tiles(form, y.shape) * prod(form.sides) * phases * x.shape[1] * y.shape[1], GRAIN)
    blocks, length = cut(form, y.shape, phases, x.shape[1], y.shape[1], count)
    head = Phases(
        FORMS.index(form), form.rows, form.columns, *form.sides, sh, sw, top, left, x.nbytes + y.nbytes > LARGE_IMAGES
    )
    table, kernel = packed(head, blocks), conv2d__winograd[dtype]

    def compute(x, filters, bias, y, mask=NO_MASK[dtype]):
        kernel(x, mask, filters, bias, floor, table, empty((count, length), dtype), y, count, count)

    return compute


def cut(form, shape, phases, channels, filters, threads):
    """Return how a convolution with output `shape` is cut, and the length of a task's workspace."""
    lanes, width, matrices = vector_bytes() // 4, TILE_VECTORS * vector_bytes() // 4, prod(form.sides)
    batch, _, height, across = shape
    tall, wide = -(-height // form.rows), -(-across // form.columns)
    total, panels = batch * tall * wide, -(-filters // width)
    written = -(-channels // lanes) * lanes  # by the transforms of a phase, one phase after the other
    depth = (phases - 1) * channels + written
    tile_bytes = 4 * matrices * (depth + width)
    room = MOST if 4 * matrices * depth * filters > LARGE else BLOCK
    tiles = min(total, max(TILE_ROWS, min(4 * TILE_ROWS, room // tile_bytes)))
    if total <= min(2 * TILE_ROWS, 8 * BLOCK // tile_bytes):
        tiles = total  # then the filters are read once
    segment = -(-wide // -(-wide // tiles))
    strips = max(1, tiles // segment)
    pieces = min(panels, -(-threads // max(1, total // tiles)))
    row, count = (-(-depth // lanes) | 1) * lanes, segment * strips
    v_step, m_step = (count * row // lanes | 1) * lanes, (count * width // lanes | 1) * lanes
    m_at = matrices * v_step
    source_at = m_at + matrices * m_step
    pixels = segment * form.columns + form.taps[1] - 1
    result_at = source_at + form.sides[0] * pixels * min(written, CHANNELS) + lanes
    length = result_at + form.rows * form.columns * segment * width + lanes
    blocks = Blocks(segment, strips, -(-panels // pieces), row, v_step, m_at, m_step, source_at, result_at)
    return blocks, -(-length // 16) * 16


def _tiles(form, shape):
    batch, _, height, width = shape
    return batch * -(-height // form.rows) * -(-width // form.columns)


def cost(layer, form, kept):
    """Estimate a layer in units of a multiplication: directly (no form), or by Winograd's transforms.

    Each transform costs 6 per number; packing a filter 16, transforming it 8 per number. With fewer than 8 tiles,
    products wait for filters.
    """
    batch, _, height, width = layer.shape
    sh, sw, _, _, dh, dw, kh, kw = layer.window
    channels, filters, half = layer.channels, layer.filters, TILE_VECTORS * vector_bytes() // layer.dtype.itemsize // 2
    products = channels * -(-filters // half) * half
    if form is None:
        return kh * kw * (batch * height * width * products + (0 if kept else 16 * channels * filters))
    channels, products = sh * sw * channels, sh * sw * products
    packing = 0 if kept else 8 * channels * filters
    parts = min(dh, height) * min(dw, width)
    tiles = batch * -(-height // (form.rows * dh)) * -(-width // (form.columns * dw))
    transforms = 6 * sum(side > 1 for side in form.sides) * (channels + filters)
    numbers = parts * (max(tiles, 8) * products + tiles * transforms) + packing
    return prod(form.sides) * numbers + (parts - 1) * CALL
