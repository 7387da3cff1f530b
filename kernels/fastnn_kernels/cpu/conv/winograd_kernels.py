"""Winograd's convolution: fewer products, for some rounding.

The tiles of outputs are worked on in blocks that the second-level cache holds. Of each row of tiles, what they see is
gathered, some channels at a time, in a small buffer (zeros outside the image, pixels one after the other, whatever the
layout), and transformed from there: V, a matrix of tiles x channels for each number of a transformed tile. For each
panel of filters as many matrix products follow, and the output transform of each tile while those are in the cache.

With a stride, what a window reads of every sh-th row and sw-th column is a window without one on an image of those: the
sh * sw such images are more channels, each with its part of the filters' taps.

Where images do not fit into the caches, the memory of results and the pixels of the next block are prefetched while the
products are computed, a part of them per product.

Filters, V and M have odd numbers of vectors from matrix to matrix, so that the numbers that a transform
touches fall into different sets of the nearest cache.
"""

from collections import namedtuple

import numpy as np

from ...ground.jit import jitted, kernel
from ...ground.records import fields
from ..matmul.kernels import ZEROS
from ..vector.simd import address, itemsize, lanes, prefetch, stack_bytes
from ..vector.winograd_tile import transform_filter, transform_input, transform_output
from .gather import (
    TAPS,
    channels_at_once,
    fill_zeros,
    gather_pixels,
    gather_scattered_taps,
    gather_taps,
    panel_width,
    put_pixels,
    tile,
    tile_rows,
)

CHANNELS = 32  # that are gathered at a time
LINE = 64  # bytes of a cache line


# What tiles see: their form, rows and columns of a tile and of what it sees of the image; stride, padding. prefetches:
# whether images are likely to come from memory.
Phases = namedtuple("Phases", "form rows columns seen_rows seen_columns sh sw top left prefetches")
# How work is cut: tiles of a strip (a row of tiles or a part of one), strips of a block, panels of a piece. Then
# where in a row of scratch, in numbers, V (row, matrix), M (start, matrix), the gathered and the finished pixels
# (start) are.
Blocks = namedtuple("Blocks", "segment strips block v_row v_matrix m_start m_matrix gathered finished")


PHASES = fields(Phases)
BLOCKS = fields(Blocks, PHASES)


@jitted
def strip_offset(strides, strip, parts, tall, rows, columns):
    """Return where a strip begins in images: strips of `rows` rows, `parts` of `columns` pixels, `tall` per image."""
    row = strip // parts
    return row // tall * strides[0] + row % tall * rows * strides[2] + strip % parts * columns * strides[3]


@jitted
def fetch(number, at, strides, unit, channels, rows, pixels):
    """Prefetch from a strip one channel, if images are channels-first, or else one row."""
    size, inner, step, run = itemsize(number), pixels, strides[3], channels
    if strides[3] == size:
        at += unit * strides[1]
        inner, step, run = rows, strides[2], pixels
    else:
        at += unit * strides[2]
    for i in range(inner):
        for line in range(0, run * size, LINE):
            prefetch(at + i * step + line)


@kernel("S[:,:,:,:,:], int, int, int, T[:,::1]", writes="out", parallel=True)
def prepare_conv2d__winograd(w, form, before, total, out, lo, hi):
    """w(1,OC,C,KH,KW) -> out(N,P*K*NR+), padded with zeros. The range is over P * C rows of NR filters.

    Gather taps, transform vectors of filters.
    N: numbers of a transformed tile; the C channels are those from `before` on, of K = `total`.
    """
    number = out.dtype.type(0)
    size, width, channels = itemsize(number), panel_width(number), w.shape[2]
    taps, at_once, row = stack_bytes(TAPS), channels_at_once(number, w), lo
    while row < hi:
        p, c = divmod(row, channels)
        n = max(1, min(at_once, channels - c, hi - row))
        if at_once:
            at, by_channel, by_row, by_column = gather_taps(number, w, 0, p * width, c, n, taps)
        else:
            at, by_channel, by_row, by_column = gather_scattered_taps(number, w, 0, p * width, c, taps)
        for i in range(n):
            source = at + i * by_channel * width * size
            target = address(out) + (p * total + before + c + i) * width * size
            for j in range(0, width * size, lanes(number) * size):
                transform_filter(number, form, source + j, by_row * width, by_column * width, target + j, out.shape[1])
        row += n


@kernel("S[:,:,:,:], S[:,:,:,:], T[:,::1], S[::1], T, i8[::1], T[:,:], S[:,:,:,:]", writes="y scratch", parallel=True)
def conv2d__winograd(x, mask, filters, bias, floor, table, scratch, y, lo, hi):
    """x(B,C,H,W), filters(N,P*SH*SW*C*NR+), bias(OC) -> y(B,OC,OH,OW), not below the floor.

    For each block: gather and transform tiles, multiply matrices panel by panel, transform back. A mask (B,C,H,W) says
    where x counts, if it has elements. table: `Phases`, `Blocks`. The range is over rows of scratch: tasks.
    """
    form, mh, mw = table[PHASES.form], table[PHASES.rows], table[PHASES.columns]
    nh, nw, sh, sw = table[PHASES.seen_rows], table[PHASES.seen_columns], table[PHASES.sh], table[PHASES.sw]
    top, left, prefetches = table[PHASES.top], table[PHASES.left], table[PHASES.prefetches]
    segment, strips, block = table[BLOCKS.segment], table[BLOCKS.strips], table[BLOCKS.block]
    v_row, v_step, m_step = table[BLOCKS.v_row], table[BLOCKS.v_matrix], table[BLOCKS.m_matrix]
    m_at, gathered_at, finished_at = table[BLOCKS.m_start], table[BLOCKS.gathered], table[BLOCKS.finished]
    size, width, step = itemsize(floor), panel_width(floor), lanes(floor)
    channels, panels, matrices = x.shape[1], -(-y.shape[1] // width), nh * nw
    depth, high, across_x = sh * sw * channels, mh * sh, segment * mw * sw
    tall, wide = -(-y.shape[2] // mh), -(-y.shape[3] // mw)
    parts = -(-wide // segment)
    total = y.shape[0] * tall * parts
    units = -(-panels // block) * total
    pitch = -(-min(channels, CHANNELS) // step) * step
    _, by_filter, by_row, by_column = y.strides
    direct = by_filter == size
    zeros, no_floor = address(ZEROS), y.dtype.type(-np.inf)
    for task in range(lo, hi):
        v = address(scratch) + task * scratch.strides[0]
        products, gathered, finished = v + m_at * size, v + gathered_at * size, v + finished_at * size
        if channels < pitch:  # lanes without a channel are transformed, too
            fill_zeros(floor, gathered, nh * (segment * mw + nw - mw) * pitch)
        unit, end = units * task // scratch.shape[0], units * (task + 1) // scratch.shape[0]
        while unit < end:
            piece, first = divmod(unit, total)
            rest = min(end - unit, total - first)
            count = -(-rest // -(-rest // strips))
            unit += count
            tiles = 0
            for s in range(first, first + count):
                b, r, part = s // parts // tall, s // parts % tall, s % parts
                across = min(segment, wide - part * segment)
                pixels = across * mw + nw - mw
                for phase in range(sh * sw):
                    above, before = phase // sw - top, phase % sw - left
                    for c in range(0, channels, CHANNELS):
                        n = min(CHANNELS, channels - c)
                        for i in range(nh):
                            row, at = (r * mh + i) * sh + above, gathered + i * pixels * pitch * size
                            if row < 0 or row >= x.shape[2]:
                                fill_zeros(floor, at, pixels * pitch)
                            else:
                                column = part * across_x + before
                                gather_pixels(floor, x, mask, b, c, n, row, column, sw, pixels, at, pitch)
                        for t in range(across):
                            source = gathered + t * mw * pitch * size
                            target = v + ((tiles + t) * v_row + phase * channels + c) * size
                            for j in range(0, n * size, step * size):
                                transform_input(floor, form, source + j, pixels * pitch, pitch, target + j, v_step)
                tiles += across
            last = min((piece + 1) * block, panels)
            coming, ahead = unit % total, prefetches * min(strips, end - unit)
            parts_x = channels if x.strides[3] == size else high
            for p in range(piece * block, last):
                n = min(width, y.shape[1] - p * width)
                columns = step if n <= step else width
                parts_y = prefetches * (n if by_column == size else mh)
                at = address(y) + p * width * by_filter
                for matrix in range(matrices):
                    for u in range(count * parts_y * matrix // matrices, count * parts_y * (matrix + 1) // matrices):
                        offset = at + strip_offset(y.strides, first + u // parts_y, parts, tall, mh, segment * mw)
                        fetch(floor, offset, y.strides, u % parts_y, n, mh, segment * mw)
                    part_x, all_parts = (p - piece * block) * matrices + matrix, (last - piece * block) * matrices
                    for u in range(ahead * parts_x * part_x // all_parts, ahead * parts_x * (part_x + 1) // all_parts):
                        offset = strip_offset(x.strides, coming + u // parts_x, parts, tall, high, across_x)
                        offset += address(x) + ((nh - mh) * sh - top) * x.strides[2]
                        fetch(floor, offset, x.strides, u % parts_x, channels, high, across_x)
                    k = address(filters) + (matrix * filters.shape[1] + p * depth * width) * size
                    for i in range(0, tiles, tile_rows(tiles)):
                        rows = min(tile_rows(tiles), tiles - i)
                        a = v + (matrix * v_step + i * v_row) * size
                        to = products + (matrix * m_step + i * width) * size
                        tile(no_floor, rows, 1, depth, a, v_row, 1, 0, k, width, 0, zeros, 0, to, width, 0, columns)
                source, start = products, address(bias) + p * width * size
                for s in range(first, first + count):
                    r, part = s // parts % tall, s % parts
                    across = min(segment, wide - part * segment)
                    rows, pixels = min(mh, y.shape[2] - r * mh), min(across * mw, y.shape[3] - part * segment * mw)
                    offset = at + strip_offset(y.strides, s, parts, tall, mh, segment * mw)
                    target, to_row, to_column = finished, pixels * width, width
                    if direct:
                        target, to_row, to_column = offset, by_row // size, by_column // size
                    for t in range(across):
                        for j in range(0, n, step):
                            transform_output(
                                floor, form, source + j * size, m_step, start + j * size,
                                target + (t * mw * to_column + j) * size, to_row, to_column,
                                rows, pixels - t * mw, n - j,
                            )  # fmt: skip
                        source += width * size
                    if not direct:
                        put_pixels(floor, finished, width, rows, pixels, n, offset, by_filter, by_row, by_column)
