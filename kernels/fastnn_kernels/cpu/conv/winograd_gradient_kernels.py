"""The gradient of a convolution's weight by Winograd's algorithm (see `winograd_gradient_tile`), for stride 1.

Images and gradients are cut into tiles and transformed, some tiles at a time: V and U, matrices of tiles x channels and
tiles x filters for each number of a transformed tile. As many small matrix products V^T U are added up, and the sums
transformed back at the end.
"""

from collections import namedtuple

import numpy as np

from ...ground.jit import kernel
from ...ground.records import fields
from ..matmul.kernels import ZEROS
from ..vector.simd import address, itemsize, lanes, prefetch, stack_bytes
from ..vector.winograd_gradient_tile import transform_gradient, transform_taps, transform_windows
from .gather import fetch_part, fill_zeros, gather_pixels, panel_width, tile, tile_rows, transpose

CHANNELS = 32  # that are gathered at a time
GATHERED = 1 << 16  # bytes of the stack for what a strip sees of them
BLOCK = 16  # channels whose taps are transposed at a time
TAPS = 1 << 15  # bytes of the stack for them: 25 taps of a vector of filters fit


# Transformed tiles: their form, whether they are of a gradient, rows and columns that a tile sees, and steps. down,
# right: rows and columns to the next tile. top, left: padding. first, channels: which channels. segment: tiles of a
# strip (a row of tiles or a part of one). tall, wide: rows and columns of tiles of an image. row: distance of rows
# in the result.
Tiles = namedtuple(
    "Tiles",
    "form gradient seen_rows seen_columns down right top left first channels segment tall wide row",
)
# Channels, filters, distances of rows in V, U and the sums.
Products = namedtuple("Products", "channels filters v_row u_row row")
# The form of tiles, its taps, channels, distance of rows in the sums.
Taps = namedtuple("Taps", "form taps channels row")


TILES, PRODUCTS, TAP = fields(Tiles), fields(Products), fields(Taps)


@kernel("S[:,:,:,:], S[:,:,:,:], i8[::1], int, T[:,::1]", writes="out", parallel=True)
def conv2d_backward_weight__winograd_tiles(x, mask, table, start, out, lo, hi):
    """x(B,C,H,W) -> out(N,T*row+): transformed tiles, for each of their N numbers a matrix of tiles x channels.

    Gather a strip, transform its tiles. A mask (B,C,H,W), if it has elements, says where x counts. table: `Tiles`;
    start: the first strip. The range is over strips.
    """
    form, gradient = table[TILES.form], table[TILES.gradient]
    seen_rows, seen_columns = table[TILES.seen_rows], table[TILES.seen_columns]
    down, right, top, left = table[TILES.down], table[TILES.right], table[TILES.top], table[TILES.left]
    first, channels, segment = table[TILES.first], table[TILES.channels], table[TILES.segment]
    tall, wide, row = table[TILES.tall], table[TILES.wide], table[TILES.row]
    number = x.dtype.type(0)
    size, step = itemsize(number), lanes(number)
    parts, matrix = -(-wide // segment), out.shape[1]
    origin = start // parts * wide + start % parts * segment
    pitch = -(-min(channels, CHANNELS) // step) * step
    gathered = stack_bytes(GATHERED)
    if channels < pitch:  # lanes without a channel are transformed, too
        fill_zeros(number, gathered, seen_rows * ((segment - 1) * right + seen_columns) * pitch)
    for s in range(start + lo, start + hi):
        line, part = divmod(s, parts)
        b, r = divmod(line, tall)
        across = min(segment, wide - part * segment)
        pixels = (across - 1) * right + seen_columns
        tile_number = line * wide + part * segment - origin
        for c in range(0, channels, CHANNELS):
            n = min(CHANNELS, channels - c)
            for i in range(seen_rows):
                y, at = r * down - top + i, gathered + i * pixels * pitch * size
                if y < 0 or y >= x.shape[2]:
                    fill_zeros(number, at, pixels * pitch)
                else:
                    column = part * segment * right - left
                    gather_pixels(number, x, mask, b, first + c, n, y, column, 1, pixels, at, pitch)
            for t in range(across):
                source, target = (
                    gathered + t * right * pitch * size,
                    address(out) + ((tile_number + t) * row + c) * size,
                )
                for j in range(0, n * size, step * size):
                    for m in range(out.shape[0]):  # where the next tile goes, in as many pages
                        prefetch(target + j + (m * matrix + row) * size)
                    if gradient:
                        transform_gradient(number, form, source + j, pixels * pitch, pitch, target + j, matrix)
                    else:
                        transform_windows(number, form, source + j, pixels * pitch, pitch, target + j, matrix)


@kernel("T[:,::1], T[:,::1], i8[::1], int, int, T[:,::1]", writes="sums", parallel=True)
def conv2d_backward_weight__winograd_products(v, u, table, tiles, first, sums, lo, hi):
    """v(N,T*row+), u(N,T*row+) -> sums(N,C*row+): V^T U over T tiles, `+=` unless they are the first.

    Multiply tile by tile, prefetch the next matrices. table: `Products`. The range is over the N matrices' panels of
    filters.
    """
    channels, filters, row = table[PRODUCTS.channels], table[PRODUCTS.filters], table[PRODUCTS.row]
    v_row, u_row = table[PRODUCTS.v_row], table[PRODUCTS.u_row]
    number = sums.dtype.type(0)
    floor = number - sums.dtype.type(np.inf)
    size, width, step = itemsize(number), panel_width(number), lanes(number)
    panels, height = -(-filters // width), tile_rows(channels)
    pieces = -(-channels // height)
    for item in range(lo, hi):
        matrix, p = divmod(item, panels)
        n = step if filters - p * width <= step else width
        a, b = address(v) + matrix * v.strides[0], address(u) + matrix * u.strides[0] + p * width * size
        c = address(sums) + matrix * sums.strides[0] + p * width * size
        for i in range(0, channels, height):
            at, init, init_row = c + i * row * size, address(ZEROS), 0
            if not first:
                init, init_row = at, row
            m = min(height, channels - i)
            if matrix + 1 < v.shape[0]:
                fetch_part(
                    p * pieces + i // height, panels * pieces, address(v) + (matrix + 1) * v.strides[0], v.strides[0]
                )
                fetch_part(
                    p * pieces + i // height, panels * pieces, address(u) + (matrix + 1) * u.strides[0], u.strides[0]
                )
            tile(floor, m, 1, tiles, a + i * size, 1, v_row, 0, b, u_row, 0, init, init_row, at, row, 0, n)


@kernel("T[:,::1], i8[::1], S[:,:]", writes="dw", parallel=True)
def conv2d_backward_weight__winograd_taps(sums, table, dw, lo, hi):
    """sums(N,C*row+) -> dw(OC,C*KH*KW), rows contiguous.

    Transform the sums back, transpose. table: `Taps`. The range is over vectors of filters times blocks of channels.
    """
    form, taps, channels, row = table[TAP.form], table[TAP.taps], table[TAP.channels], table[TAP.row]
    number = dw.dtype.type(0)
    size, step, blocks = itemsize(number), lanes(number), -(-channels // BLOCK)
    buffer = stack_bytes(TAPS)
    for item in range(lo, hi):
        vector, block = divmod(item, blocks)
        channel, count = block * BLOCK, min(BLOCK, channels - block * BLOCK)
        for c in range(count):
            source = address(sums) + ((channel + c) * row + vector * step) * size
            transform_taps(number, form, source, sums.shape[1], buffer + c * taps * step * size)
        target = address(dw) + vector * step * dw.strides[0] + channel * taps * size
        transpose(
            number, count * taps, min(step, dw.shape[0] - vector * step), buffer, step, target, dw.strides[0] // size
        )
