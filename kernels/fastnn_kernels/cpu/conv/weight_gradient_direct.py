"""The gradient of a convolution's weight, directly: how its sums and its memory are cut.

It is a product whose sums go over all pixels, some of them at a time: pieces of rows, small enough that what they see
of the images and of dy stays in the second-level cache. A fixed number of partial sums is added up at the end.
"""

from functools import lru_cache

import numpy as np

from ...ground.memory import empty
from ...ground.threads import tasks
from ..vector.gemm_tile import TILE_VECTORS
from ..vector.simd import vector_bytes
from . import kernels as cpu

GRAIN = 1 << 20  # multiplications of a task, at least
BUFFER = 1 << 18  # bytes of images and of dy that are multiplied at a time
SUM = 128  # pixels, at least: every piece reads and writes all of a part
PARTS = 1 << 23  # bytes of partial sums, at most
PIECES = 16  # into how many parts and pieces of filters the work is cut, where it can be


def correlate(dy, gate, gated, x, window, groups, dw, dbias):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> dw(OC,C/groups,KH,KW) and, unless None, dbias(OC); see `conv2d_backward`."""
    if window[6:] == (1, 1) and window[2:4] == (0, 0):  # no window sees the other pixels
        x, window = x[:, :, :: window[0], :: window[1]], (1, 1, 0, 0, 1, 1, 1, 1)
    count = _neighbours(dy, gate, gated, window[5], groups)
    if count > 1:
        _correlate_together(count, dy, gate, gated, x, window, dw, dbias)
        return
    filters, channels = dw.shape[0] // groups, dw.shape[1]
    band, block, segment, length, count = _plan(window, dy.shape, channels, groups, filters, x.itemsize)
    parts = empty((count, groups, window[6], window[7] * channels, filters), x.dtype)
    sums = empty((count if dbias is not None else 0, dw.shape[0]), x.dtype)
    number = tasks(dy.size * dw[0].size, GRAIN)
    scratch = empty((number, length), x.dtype)
    plan = np.array((*window, band, block, gated, segment), np.int64)
    cpu.conv2d_backward_weight__bands[x.dtype](dy, gate, x, plan, scratch, parts, sums, number, number)
    cpu.conv2d_backward_weight__sum[x.dtype](parts, dw, dw.size // filters, tasks(parts.size, 32768))
    if dbias is not None:
        np.add.reduce(sums, 0, out=dbias)


def _neighbours(dy, gate, gated, dilation, groups):
    """Return how many neighbouring pixels of dy fit into a vector, if they lie side by side and divide a row."""
    filters, width, (_, by_filter, _, by_column) = dy.shape[1], dy.shape[3], dy.strides
    together = by_filter == dy.itemsize and by_column == filters * dy.itemsize
    if groups * dilation > 1 or not together or (gated and gate.strides != dy.strides):
        return 1
    return max(n for n in range(1, max(1, vector_bytes() // by_column) + 1) if width % n == 0)


def _correlate_together(count, dy, gate, gated, x, window, dw, dbias):
    """Compute the gradient with `count` neighbouring pixels of dy as one of so many more filters.

    Few filters leave most of a vector empty. A window of such a pixel is that much wider; what a filter has of it
    is its gradient, moved by as many strides as the pixel is behind the first.
    """
    _, sw, *_, kw = window
    filters, wide = dw.shape[0], kw + (count - 1) * sw
    dy, gate = (
        np.lib.stride_tricks.as_strided(
            a,
            (a.shape[0], count * filters, a.shape[2], a.shape[3] // count),
            (*a.strides[:3], count * a.strides[3]),
            writeable=False,
        )
        for a in (dy, gate)
    )
    made = empty((count * filters, *dw.shape[1:3], wide), dw.dtype)
    sums = None if dbias is None else empty((count * filters,), dw.dtype)
    correlate(dy, gate, gated, x, (window[0], count * sw, *window[2:7], wide), 1, made, sums)
    each = made.reshape(count, *dw.shape[:3], wide)
    dw[...] = sum(each[n, ..., n * sw : n * sw + kw] for n in range(count))
    if dbias is not None:
        dbias[...] = sums.reshape(count, filters).sum(0)


@lru_cache(maxsize=512)
def _plan(window, shape, channels, groups, filters, itemsize):
    """Return (rows of a band, panels of filters of a piece, columns of a band, length of scratch, parts)."""
    sh, sw, _, _, dh, dw, kh, kw = window
    batch, _, height, width = shape
    lanes = TILE_VECTORS * vector_bytes() // itemsize
    panels = -(-filters // lanes)
    seen = sh * (sw if dw == 1 else kw) * channels  # numbers of the images for each pixel of dy
    parts = max(1, min(PIECES, PARTS // (filters * channels * kh * kw * groups * itemsize)))
    block = min(panels, max(1, panels * parts * groups // PIECES))
    pixels = max(SUM, BUFFER // (itemsize * (seen + block * lanes)))
    segment = -(-width // -(-width // pixels))
    band = max(1, min(height, pixels // segment))
    units = batch * -(-height // band) * -(-width // segment)
    row = (((segment - 1) * sw + kw) if dw == 1 else segment * kw) * channels
    length = -(-((band - 1) * sh + (kh - 1) * dh + 1) * row // 16) * 16 + band * segment * lanes * block + 16
    return band, block, segment, length, min(units, parts)
