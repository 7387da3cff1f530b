"""The algorithms of convolution: what each can do, how it lays filters out, how it runs, and which one to take.

An entry point describes what it has to compute by a `Layer`, and `convolve` does it. An algorithm packs the filters
first; `prepare_conv2d` keeps what it made.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import conv_depthwise
from ._memory import empty
from ._microkernel import TILE_VECTORS
from ._parallel import tasks
from ._simd import vector_bytes
from .cpu import conv as cpu

GRAIN = 1 << 20  # multiplications of a task, at least
BUFFER = 1 << 18  # bytes of a band, which stays in the second-level cache
PIECES = 16  # into how many pieces a convolution is cut at least, where it can be


class Layer(NamedTuple):
    """A convolution: its window (stride, padding at top and left, dilation, kernel), its output's shape, its filters.

    channels, filters: of one group.
    """

    window: tuple[int, ...]
    shape: tuple[int, ...]
    groups: int
    filters: int
    channels: int
    dtype: np.dtype


class Algorithm(NamedTuple):
    """One way to convolve.

    refusal(layer) says why it cannot, or "". pack(filters) lays filters (G, OC/G, C/G, KH, KW) out for
    run(x, gate, gated, packed, bias, floor, layer, y), which writes y.
    """

    name: str
    refusal: Callable
    pack: Callable
    run: Callable


def convolve(x, gate, gated, filters, bias, floor, window, y, algorithm="auto", prepared=None):
    """Convolve x with filters (G, OC/G, C/G, KH, KW) into y, no smaller than the floor.

    If `gated`, x counts only where `gate` is positive. prepared: keeps packed filters, see `PreparedConv2d`.
    """
    layer = Layer(window, y.shape, *filters.shape[:3], x.dtype)
    way, _ = select(layer, algorithm, prepared is not None)
    if y.size == 0:
        return
    packed = way.pack(filters) if prepared is None else prepared.packed(way, layer.groups)
    way.run(x, gate, gated, packed, bias, floor, layer, y)


@lru_cache(maxsize=1024)
def select(layer, algorithm, prepared):
    """Return the algorithm for a layer and the reason. Raises ValueError if the one named cannot do it."""
    if algorithm == "auto":
        if layer.channels == 1 < layer.groups:
            return DEPTHWISE, "one channel per group: nothing is summed over channels"
        return DIRECT, "any layer"
    way = BY_NAME[algorithm]
    if refusal := way.refusal(layer):
        raise ValueError(f"conv2d: algorithm {algorithm!r} {refusal}")
    return way, "asked for"


@lru_cache(maxsize=512)
def bands(window, shape, channels, groups, filters, itemsize, pieces_of):
    """Return how a convolution with output `shape` is cut into work.

    (rows of a band, panels of filters of a piece, length of a band's buffer, number of bands, number of panels)
    """
    sh, sw, _, _, dh, dw, kh, kw = window
    batch, _, height, width = shape
    row = (((width - 1) * sw + kw) if dw == 1 else width * kw) * channels
    panels = -(-filters // (lanes := TILE_VECTORS * vector_bytes() // itemsize))
    images = max(1, batch * groups)
    # one buffer in the second-level cache, and enough bands for all threads
    rows = (BUFFER // (row * itemsize + 1) - (kh - 1) * dh - 1) // sh + 1
    band = max(1, min(height, rows, -(-height * images // PIECES)))
    count = -(-height // band)
    block = max(1, -(-panels * images * count // PIECES)) if images * count < PIECES else panels
    block = min(block, panels)
    length = ((band - 1) * sh + (kh - 1) * dh + 1) * row
    length = -(-length // 16) * 16 + band * width * lanes * (block if pieces_of == "gradient" else 1) + 16
    return band, block, length, count, panels


def _pack_panels(filters):
    groups, count, channels, kh, kw = filters.shape
    lanes = TILE_VECTORS * vector_bytes() // filters.itemsize
    panels = empty((groups, -(-count // lanes), kh * kw * channels, lanes), filters.dtype)
    cpu.conv2d_filters__panels[filters.dtype](filters, panels, groups * panels.shape[1], tasks(panels.size, 32768))
    return panels


def _run_bands(x, gate, gated, packed, bias, floor, layer, y):
    window, shape, groups, filters, channels, _ = layer
    band, block, length, _, _ = bands(window, shape, channels, groups, filters, x.itemsize, "images")
    count = tasks(y.size * max(packed.shape[2], 1), GRAIN)
    scratch = empty((count, length), x.dtype)
    plan = np.array((*window, band, block, gated), np.int64)
    cpu.conv2d__bands[x.dtype](x, gate, packed, bias, floor, plan, scratch, y, count, count)


DIRECT = Algorithm("direct", lambda layer: "", _pack_panels, _run_bands)
DEPTHWISE = Algorithm("depthwise", conv_depthwise.refusal, conv_depthwise.pack, conv_depthwise.run)
BY_NAME = {"depthwise": DEPTHWISE, "direct": DIRECT, "im2col": DIRECT}
NAMES = ("auto", *BY_NAME)
