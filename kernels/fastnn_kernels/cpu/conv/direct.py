"""The direct algorithm: how the output is cut into bands and the filters into panels."""

from math import prod

from ...ground.memory import ALIGNMENT, empty, streams
from ...ground.records import packed
from ...ground.threads import tasks
from ..grains import CONVOLUTION as GRAIN
from ..grains import MOVES
from ..vector.gemm_tile import TILE_VECTORS
from ..vector.machine import caches
from ..vector.simd import vector_bytes
from . import depthwise
from .direct_kernels import Bands, conv2d__bands, conv2d__bias, prepare_conv2d__panels
from .layer import NO_MASK, Planned

BUFFER = caches().second // 4  # bytes of a band
PIECES = 16  # into how many pieces a convolution is cut at least, where it can be


def plan(layer, x, y, floor, kept, masked):
    """Return the `Planned` of the direct algorithm."""
    single = None if masked else depthwise.plan_single(layer, x, y, floor)
    return Planned(_plan_packing(layer), single or _plan_bands(layer, x, y, floor))


def plan_fill(y, floor):
    """Plan the result of empty sums, the bias but not below the floor: f(bias, y)."""
    kernel, batch, count = conv2d__bias[y.dtype], y.shape[0], tasks(y.size, MOVES)
    return lambda bias, y: kernel(bias, floor, y, batch, count)


def _plan_packing(layer):
    """Plan packing of filters (G, OC/G, C/G, KH, KW) in panels."""
    _, _, groups, count, channels, dtype = layer
    lanes = TILE_VECTORS * vector_bytes() // dtype.itemsize
    shape = groups, -(-count // lanes), layer.window.taps * channels, lanes
    number, kernel = tasks(prod(shape), 32768), prepare_conv2d__panels[dtype]

    def pack(filters):
        panels = empty(shape, dtype)
        kernel(filters, panels, groups * shape[1], number)
        return panels

    return pack


def _plan_bands(layer, x, y, floor):
    """Plan a convolution band by band."""
    window, _, groups, filters, channels, dtype = layer
    rows, block, length = _cut(layer)
    count = tasks(y.size * max(window.taps * channels, 1), GRAIN)
    streaming = streams(y) and (groups == 1 or filters * dtype.itemsize % ALIGNMENT == 0)  # all groups start aligned
    table, kernel = packed(window, Bands(rows, block, streaming)), conv2d__bands[dtype]
    shape = count, length

    def compute(x, panels, bias, y, mask=NO_MASK[dtype]):
        kernel(x, mask, panels, bias, floor, table, empty(shape, dtype), y, count, count)

    return compute


def _cut(layer):
    """Return the rows of a band, the panels of filters of a piece, and the length of a task's workspace."""
    (sh, sw, _, _, dh, dw, kh, kw), (batch, _, height, width), groups, filters, channels, dtype = layer
    row = (((width - 1) * sw + kw) if dw == 1 else width * kw) * channels
    panels = -(-filters // (lanes := TILE_VECTORS * vector_bytes() // dtype.itemsize))
    images = max(1, batch * groups)
    # one buffer in the second-level cache, and enough bands for all threads
    rows = (BUFFER // (row * dtype.itemsize + 1) - (kh - 1) * dh - 1) // sh + 1
    band = max(1, min(height, rows, -(-height * images // PIECES)))
    count = -(-height // band)
    block = max(1, -(-panels * images * count // PIECES)) if images * count < PIECES else panels
    length = ((band - 1) * sh + (kh - 1) * dh + 1) * row
    return band, min(block, panels), -(-length // 16) * 16 + band * width * lanes + 16
