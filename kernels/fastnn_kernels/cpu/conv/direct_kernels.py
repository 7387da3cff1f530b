"""The direct algorithm: convolution without a matrix of copied windows.

The images are worked on in bands of a few rows. A band is first gathered in a small buffer, see `gather`. There
neighbouring windows are `step` apart, and `window_tile` reads them in place: 14 pixels times 32 filters per tile. The
weight is packed in panels of 32 filters, k = (row, column, channel).
"""

from collections import namedtuple

from ...ground.jit import kernel
from ...ground.records import fields
from ..vector.simd import address, fence, itemsize, stack_bytes
from .gather import (
    TAPS,
    band_form,
    channels_at_once,
    copy_numbers,
    gather_band,
    gather_taps,
    inside,
    put_pixels,
    tile,
    tile_rows,
    transpose,
)
from .layer import WINDOW

# How the output is cut: rows of a band, panels of filters of a piece of work; whether y is stored by streaming.
Bands = namedtuple("Bands", "rows block streaming")


BANDS = fields(Bands, WINDOW)


@kernel("S[:,:,:,:,:], T[:,:,:,::1]", writes="panels", parallel=True)
def prepare_conv2d__panels(w, panels, lo, hi):
    """w(G,OC,C,KH,KW) -> panels(G,P,KH*KW*C,NR), padded with zeros. The range is over the G * P panels.

    Gather the taps of several channels, copy them in order; taps that are too distant one by one.
    """
    _, filters, channels, kh, kw = w.shape
    width, number = panels.shape[3], w.dtype.type(0)
    size = itemsize(number)
    buffer = stack_bytes(TAPS)
    for q in range(lo, hi):
        g, p = divmod(q, panels.shape[1])
        target, count = address(panels) + q * panels.strides[1], min(width, filters - p * width)
        if kh * kw == 1 and w.strides[2] == size and count == width:
            transpose(number, width, channels, address(w[g, p * width :]), w.strides[1] // size, target, width)
            continue
        at_once = channels_at_once(number, w)
        for c in range(0, channels, max(1, at_once)):
            if at_once:
                n = min(at_once, channels - c)
                at, by_channel, by_row, by_column = gather_taps(number, w, g, p * width, c, n, buffer)
                for k in range(kh * kw):
                    for i in range(n):
                        row = at + (i * by_channel + k // kw * by_row + k % kw * by_column) * width * size
                        copy_numbers(number, row, target + (k * channels + c + i) * width * size, width)
                continue
            for k in range(kh * kw):
                row = panels[g, p, k * channels + c]
                for o in range(width):
                    row[o] = w[g, p * width + o, c, k // kw, k % kw] if o < count else number


@kernel(
    "S[:,:,:,:], S[:,:,:,:], T[:,:,:,::1], S[::1], T, i8[::1], T[:,:], S[:,:,:,:]", writes="y scratch", parallel=True
)
def conv2d__bands(x, mask, panels, bias, floor, table, scratch, y, lo, hi):
    """x(B,C,H,W), panels(G,P,KH*KW*C/G,NR), bias(G*OC) -> y(B,G*OC,OH,OW), not below the floor.

    Gather a band; multiply its windows by each panel; write channels-first pixels. A mask (B,C,H,W) says where x
    counts, if it has elements. table: `Window`, `Bands`. The range is over rows of scratch: tasks with a buffer each.
    """
    sh, top_padding, dh = table[WINDOW.sh], table[WINDOW.top], table[WINDOW.dh]
    kh, kw, band, block = table[WINDOW.kh], table[WINDOW.kw], table[BANDS.rows], table[BANDS.block]
    streaming = table[BANDS.streaming] and address(y) % 64 == 0
    number, size, width = floor, itemsize(floor), panels.shape[3]
    groups, channels = panels.shape[0], panels.shape[2] // (kh * kw)
    filters, columns = y.shape[1] // groups, y.shape[3]
    run, step, pitch = band_form(table, channels, columns)
    pieces, bands = -(-panels.shape[1] // block), -(-y.shape[2] // band)
    by_image, by_filter, by_row, by_column = y.strides
    direct = by_filter == size
    total = y.shape[0] * bands * groups * pieces
    for task in range(lo, hi):
        here = -1
        buffer = address(scratch) + task * scratch.strides[0]
        finished = buffer + (scratch.shape[1] - band * columns * width) * size
        for unit in range(total * task // scratch.shape[0], total * (task + 1) // scratch.shape[0]):
            item, piece = divmod(unit, pieces)
            b, s, g = item // groups // bands, item // groups % bands, item % groups
            top = s * band
            rows = min(band, y.shape[2] - top)
            if item != here:
                gather_band(number, x, mask, table, b, g * channels, channels, top, 0, rows, columns, buffer)
                here = item
            for p in range(piece * block, min((piece + 1) * block, panels.shape[1])):
                first, n = g * filters + p * width, min(width, filters - p * width)
                weights = address(panels) + (g * panels.shape[1] + p) * panels.shape[2] * width * size
                target, c_row, next_row = finished, width, columns * width * size
                if direct:
                    target = address(y) + b * by_image + first * by_filter + top * by_row
                    c_row, next_row = by_column // size, by_row
                for i in range(rows):
                    row, runs = inside((top + i) * sh - top_padding, dh, x.shape[2], kh)
                    for j in range(0, columns, tile_rows(columns)):
                        m = min(tile_rows(columns), columns - j)
                        a = buffer + ((i * sh + row * dh) * pitch + j * step) * size
                        k, c = weights + row * run * width * size, target + i * next_row + j * c_row * size
                        start = address(bias) + first * size
                        tile(
                            floor, m, runs, run, a, step, 1, dh * pitch, k, width, run * width, start, 0,
                            c, c_row, streaming, n,
                        )  # fmt: skip
                if not direct:
                    at = address(y) + b * by_image + first * by_filter + top * by_row
                    put_pixels(number, finished, width, rows, columns, n, at, by_filter, by_row, by_column)
    if streaming:
        fence()


@kernel("S[::1], T, S[:,:,:,:]", writes="y", parallel=True)
def conv2d__bias(bias, floor, y, lo, hi):
    """bias(OC) -> y(B,OC,OH,OW): sums of nothing, not below the floor. The range is over B."""
    for b in range(lo, hi):
        for c in range(y.shape[1]):
            value = floor if floor > bias[c] else bias[c]
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    y[b, c, i, j] = value
