"""Winograd's convolution: which layers it can do, at what cost, how its work and its memory are cut."""

from functools import lru_cache

import numpy as np

from ._memory import empty
from ._microkernel import TILE_ROWS, TILE_VECTORS
from ._parallel import tasks
from ._simd import vector_bytes
from ._winograd_tile import SIZES
from .cpu import conv_winograd as cpu

__all__ = ["SIZES", "cost", "pack", "refusal", "run"]

GRAIN = 1 << 20  # multiplications of a task, at least
FAR = 1 << 23  # bytes of images that are likely to come from memory
BLOCK = 1 << 19  # bytes of transformed tiles and products


def refusal(layer):
    """Say why a layer cannot be computed so."""
    if layer.dtype != np.float32:
        return "is for float32 only: its rounding would spoil float64"
    if layer.window[:2] + layer.window[4:] != (1, 1, 1, 1, 3, 3) or layer.groups > 1:
        return "needs 3x3 kernels with stride 1, dilation 1 and groups=1"
    return ""


def pack(m, filters):
    """Return filters (1, OC, C, 3, 3) transformed: (m + 2)^2 matrices (P, C, NR), an odd number of vectors apart."""
    lanes = vector_bytes() // filters.itemsize
    rows = -(-filters.shape[1] // (TILE_VECTORS * lanes)) * filters.shape[2]
    packed = empty(((m + 2) ** 2, (rows * TILE_VECTORS | 1) * lanes), filters.dtype)
    cpu.conv2d_filters__winograd[filters.dtype](filters, m, packed, rows, tasks(packed.size, 65536))
    return packed


@lru_cache(maxsize=512)
def _plan(m, shape, channels, filters, threads):
    """Return (segment, strips, block, row of V, matrix of V, M, matrix of M, brought, finished, length of scratch)."""
    lanes, width, matrices = vector_bytes() // 4, TILE_VECTORS * vector_bytes() // 4, (m + 2) ** 2
    batch, _, height, across = shape
    tall, wide = -(-height // m), -(-across // m)
    tile_bytes = 4 * matrices * (channels + width)
    tiles = max(TILE_ROWS, min(4 * TILE_ROWS, BLOCK // tile_bytes))
    if (total := batch * tall * wide) <= min(2 * TILE_ROWS, 8 * BLOCK // tile_bytes):
        tiles = total  # then the filters are read once
    segment = -(-wide // -(-wide // tiles))
    strips = max(1, tiles // segment)
    panels = -(-filters // width)
    pieces = min(panels, -(-threads // max(1, total // tiles)))
    block = -(-panels // pieces)
    row = (-(-channels // lanes) | 1) * lanes
    count = segment * strips
    v_step, m_step = (count * row // lanes | 1) * lanes, (count * width // lanes | 1) * lanes
    m_at = matrices * v_step
    brought = m_at + matrices * m_step
    finished = brought + (m + 2) * (segment * m + 2) * min(-(-channels // lanes) * lanes, cpu.CHANNELS) + lanes
    length = finished + m * m * segment * width + lanes
    return segment, strips, block, row, v_step, m_at, m_step, brought, finished, -(-length // 16) * 16


def run(m, x, gate, gated, packed, bias, floor, layer, y):
    """Convolve x into y; see `convolve`."""
    count = tasks(cost(layer, m, True), GRAIN)
    plan = _plan(m, y.shape, layer.channels, layer.filters, count)
    scratch = empty((count, plan[-1]), x.dtype)
    far = x.nbytes + y.nbytes > FAR
    plan = np.array((m, *layer.window[2:4], gated, *plan[:-1], far), np.int64)
    cpu.conv2d__winograd[x.dtype](x, gate, packed, bias, floor, plan, scratch, y, count, count)


def cost(layer, m, prepared):
    """Estimate a 3x3 layer in units of a multiplication: directly (m = 0) or by Winograd's F(m x m, 3 x 3).

    Transforms cost 12 per number; laying a filter out, 22. With fewer than 8 tiles, products wait for filters.
    """
    batch, _, height, width = layer.shape
    channels, filters, half = layer.channels, layer.filters, TILE_VECTORS * vector_bytes() // layer.dtype.itemsize // 2
    packing = 0 if prepared else 22 * channels * filters
    products = channels * -(-filters // half) * half
    if m == 0:
        return 9 * (batch * height * width * products + packing)
    tiles = batch * -(-height // m) * -(-width // m)
    return (m + 2) ** 2 * (max(tiles, 8) * products + 12 * tiles * (channels + filters) + packing)
