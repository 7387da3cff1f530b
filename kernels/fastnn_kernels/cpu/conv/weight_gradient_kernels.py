"""The gradients of a convolution's weight and bias, directly: sums over pixels of bands of images times dy."""

from collections import namedtuple

import numpy as np

from ...ground.jit import kernel
from ...ground.records import fields
from ..vector.simd import address, itemsize, vector_at
from .gather import (
    band_form,
    corner,
    fetch_part,
    fill_zeros,
    gather_band,
    gather_pixels,
    inside,
    panel_width,
    tile,
    tile_rows,
)
from .layer import WINDOW

SHARES = 16  # tiles among which prefetching is divided, at least: all at once it would hold them up


# How sums are cut: rows of a band, panels of filters of a piece of work, columns of a band.
Pieces = namedtuple("Pieces", "rows block columns")


PIECES = fields(Pieces, WINDOW)


@kernel(
    "S[:,:,:,:], S[:,:,:,:], S[:,:,:,:], i8[::1], T[:,:], T[:,:,:,:,::1], T[:,::1]",
    writes="scratch parts dbias",
    parallel=True,
)
def conv2d_backward_weight__bands(dy, mask, x, table, scratch, parts, dbias, lo, hi):
    """dy(B,G*OC,OH,OW), x(B,G*C,H,W) -> parts(N,G,KH,KW*C,OC), dbias(N,G*OC) or none: sums over 1/N of the bands each.

    Gather a band of x, and one of dy unless that is channels-last; multiply them; prefetch the next band meanwhile. A
    mask (B,G*OC,OH,OW), if it has elements, says where dy counts. table: `Window`, `Pieces`. The range is over rows of
    scratch: tasks with a buffer each.
    """
    sh, sw, top_padding = table[WINDOW.sh], table[WINDOW.sw], table[WINDOW.top]
    dh, kh = table[WINDOW.dh], table[WINDOW.kh]
    band, block, segment = table[PIECES.rows], table[PIECES.block], table[PIECES.columns]
    number = dy.dtype.type(0)
    size, width = itemsize(number), panel_width(number)
    groups, filters = parts.shape[1], parts.shape[4]
    channels, wide = x.shape[1] // groups, dy.shape[3]
    bands, across = -(-dy.shape[2] // band), -(-wide // segment)
    pieces = -(-filters // (block * width))
    units = dy.shape[0] * bands * across
    direct = dy.strides[1] == size and mask.size == 0
    ahead = direct and groups * pieces == 1 and dy.strides[3] == filters * size
    floor = number - dy.dtype.type(np.inf)
    total = parts.shape[0] * groups * pieces
    taps = kh * parts.shape[3]
    for task in range(lo, hi):
        buffer = address(scratch) + task * scratch.strides[0]
        gathered = buffer + (scratch.shape[1] - band * segment * block * width - 1) * size
        one = buffer + (scratch.shape[1] - 1) * size
        vector_at(number, one, 1)[0] = 1
        for item in range(total * task // scratch.shape[0], total * (task + 1) // scratch.shape[0]):
            part, g, piece = item // pieces // groups, item // pieces % groups, item % pieces
            first = piece * block * width
            count = min(block * width, filters - first)
            part_row = address(parts) + ((part * groups + g) * taps * filters + first) * size
            sums = address(dbias) + (part * groups * filters + g * filters + first) * size
            for i in range(taps):
                fill_zeros(number, part_row + i * filters * size, count)
            if dbias.size:
                fill_zeros(number, sums, count)
            for unit in range(units * part // parts.shape[0], units * (part + 1) // parts.shape[0]):
                b, top, left = unit // across // bands, unit // across % bands * band, unit % across * segment
                rows, columns = min(band, dy.shape[2] - top), min(segment, wide - left)
                run, step, pitch = band_form(table, channels, columns)
                gather_band(number, x, x[:0], table, b, g * channels, channels, top, left, rows, columns, buffer)
                grads, b_row, b_run = gathered, count, columns * count
                if direct:
                    grads = address(dy) + corner(dy.strides, unit, bands, across, band, segment)
                    grads += (g * filters + first) * size
                    b_row, b_run = dy.strides[3] // size, dy.strides[2] // size
                else:
                    for i in range(rows):
                        at = gathered + i * columns * count * size
                        gather_pixels(
                            number, dy, mask, b, g * filters + first, count, top + i, left, 1, columns, at, count
                        )
                coming = address(dy) + corner(dy.strides, unit + 1, bands, across, band, segment)
                coming_x = address(x) + corner(x.strides, unit + 1, bands, across, band * sh, segment * sw)
                shares, fetched = -(-count // width) * kh * -(-run // tile_rows(run)), 0
                for p in range(0, count, width):
                    n = min(width, count - p)
                    for i in range(kh):
                        row, runs = inside(top * sh - top_padding + i * dh, sh, x.shape[2], rows)
                        for j in range(0, run, tile_rows(run)):
                            if ahead and shares >= SHARES:
                                fetch_part(fetched, shares, coming, rows * columns * dy.strides[3])
                                fetch_part(fetched, shares, coming_x, rows * columns * sh * sw * x.strides[3])
                                fetched += 1
                            m = min(tile_rows(run), run - j)
                            a = buffer + ((row * sh + i * dh) * pitch + j) * size
                            k, c = grads + (row * b_run + p) * size, part_row + ((i * run + j) * filters + p) * size
                            tile(
                                floor, m, runs, columns, a, 1, step, sh * pitch, k, b_row, b_run,
                                c, filters, c, filters, 0, n,
                            )  # fmt: skip
                    if dbias.size:
                        k, c = grads + p * size, sums + p * size
                        tile(floor, 1, rows, columns, one, 0, 0, 0, k, b_row, b_run, c, 0, c, 0, 0, n)


@kernel("T[:,:,:,:,::1], S[:,:,:,:]", writes="dw", parallel=True)
def conv2d_backward_weight__sum(parts, dw, lo, hi):
    """parts(N,G,KH,KW*C,OC) -> dw(G*OC,C,KH,KW). The range is over the G * KH * KW*C rows.

    Add the parts in order, transpose.
    """
    filters, channels, kw = parts.shape[4], dw.shape[1], dw.shape[3]
    rows = parts[0].size // max(filters, 1)
    flat = parts.reshape(parts.shape[0], rows, filters)
    for r in range(lo, hi):
        tap, c = divmod(r, channels)
        g, i, j = tap // kw // dw.shape[2], tap // kw % dw.shape[2], tap % kw
        for part in range(1, parts.shape[0]):
            for o in range(filters):
                flat[0, r, o] += flat[part, r, o]
        for o in range(filters):
            dw[g * filters + o, c, i, j] = flat[0, r, o]


@kernel("S[:,:,:,:], S[::1]", writes="dbias", parallel=True)
def conv2d_backward_bias__rows(dy, dbias, lo, hi):
    """dy(B,OC,OH,OW) -> dbias(OC); each row of dy contiguous. The range is over OC.

    Sum each row, add up rows in double precision.
    """
    number, (batch, _, rows, width) = dy.dtype.type(0), dy.shape
    if dy.strides[2] == width * itemsize(number):
        rows, width = 1, rows * width
    for o in range(lo, hi):
        total = 0.0
        for b in range(batch):
            for i in range(rows):
                row = vector_at(number, address(dy) + b * dy.strides[0] + o * dy.strides[1] + i * dy.strides[2], width)
                part = number
                for j in range(width):
                    part += row[j]
                total += part
        dbias[o] = total


@kernel("T[:,::1], S[::1]", writes="dbias", parallel=True)
def conv2d_backward_bias__parts(parts, dbias, lo, hi):
    """parts(N,OC) -> dbias(OC): the parts added in order. The range is over OC."""
    for o in range(lo, hi):
        total = parts[0, o]
        for part in range(1, parts.shape[0]):
            total += parts[part, o]
        dbias[o] = total


@kernel("T[:,:,:,:,::1], int, S[:,:,:,:]", writes="dw", parallel=True)
def conv2d_backward_weight__neighbours(parts, step, dw, lo, hi):
    """parts(N,OC,C,KH,KW + (N - 1) * step) -> dw(OC,C,KH,KW): part n, n steps further right. The range is over OC."""
    for o in range(lo, hi):
        for c in range(dw.shape[1]):
            for i in range(dw.shape[2]):
                for j in range(dw.shape[3]):
                    total = parts[0, o, c, i, j]
                    for n in range(1, parts.shape[0]):
                        total += parts[n, o, c, i, j + n * step]
                    dw[o, c, i, j] = total


@kernel("T[::1], T[::1]", writes="total", parallel=True)
def conv3d_backward__add(part, total, lo, hi):
    """part(n) -> total(n) += part."""
    part, total = part[lo:hi], total[lo:hi]
    for i in range(total.size):
        total[i] += part[i]
