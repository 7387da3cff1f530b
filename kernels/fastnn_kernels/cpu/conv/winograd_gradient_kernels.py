"""The gradient of a convolution's weight by Winograd's algorithm (see `_winograd_gradient`), for stride 1.

Images and gradients are cut into tiles and transformed, some tiles at a time: V and U, matrices of tiles x channels and
tiles x filters for each number of a transformed tile. As many small matrix products V^T U are added up, and the sums
transformed back at the end.
"""

import numpy as np

from ...ground.jit import kernel
from ..matmul.kernels import ZEROS
from ..vector.simd import address, itemsize, lanes, prefetch, stack_bytes
from ..vector.winograd_gradient_tile import transform_gradient, transform_taps, transform_windows
from .kernels import ask, bring_pixels, fill_zeros, panel_width, share, tile, turn

CHANNELS = 32  # that are brought at a time
BROUGHT = 1 << 16  # bytes of the stack for what a strip sees of them
BLOCK = 16  # channels whose taps are turned around at a time
TAPS = 1 << 15  # bytes of the stack for them: 25 taps of a vector of filters fit


@kernel("T[:,:,:,:], T[:,:,:,:], i8[::1], T[:,::1]", writes="out", parallel=True)
def conv2d_tiles__winograd(x, gate, plan, out, lo, hi):
    """x(B,C,H,W) -> out(N,T*row+): transformed tiles, for each of their N numbers a matrix of tiles x channels.

    plan: form, whether x is a gradient, rows and columns that a tile sees, rows and columns to the next tile, padding
    at top and left, whether x counts only where `gate` is positive, the first channel and their number, the first
    strip, tiles of a strip (a row of tiles or a part of one), rows and columns of tiles of an image, distance of rows
    in out. The range is over strips.
    """
    form, gradient, tall_sight, wide_sight, down, right = plan[0], plan[1], plan[2], plan[3], plan[4], plan[5]
    top, left, gated, first, channels, start = plan[6], plan[7], plan[8], plan[9], plan[10], plan[11]
    segment, tall, wide, row = plan[12], plan[13], plan[14], plan[15]
    number = x.dtype.type(0)
    size, step = itemsize(number), lanes(number)
    parts, matrix = -(-wide // segment), out.shape[1]
    origin = start // parts * wide + start % parts * segment
    pitch = -(-min(channels, CHANNELS) // step) * step
    brought = stack_bytes(BROUGHT)
    if channels < pitch:  # lanes without a channel are transformed, too
        fill_zeros(number, brought, tall_sight * ((segment - 1) * right + wide_sight) * pitch)
    for s in range(start + lo, start + hi):
        line, part = divmod(s, parts)
        b, r = divmod(line, tall)
        across = min(segment, wide - part * segment)
        pixels = (across - 1) * right + wide_sight
        place = line * wide + part * segment - origin
        for c in range(0, channels, CHANNELS):
            some = min(CHANNELS, channels - c)
            for i in range(tall_sight):
                y, at = r * down - top + i, brought + i * pixels * pitch * size
                if y < 0 or y >= x.shape[2]:
                    fill_zeros(number, at, pixels * pitch)
                else:
                    column = part * segment * right - left
                    bring_pixels(number, x, gate, gated, b, first + c, some, y, column, 1, pixels, at, pitch)
            for t in range(across):
                source, target = brought + t * right * pitch * size, address(out) + ((place + t) * row + c) * size
                for j in range(0, some * size, step * size):
                    for n in range(out.shape[0]):  # places of the next tile, in as many pages
                        prefetch(target + j + (n * matrix + row) * size)
                    if gradient:
                        transform_gradient(number, form, source + j, pixels * pitch, pitch, target + j, matrix)
                    else:
                        transform_windows(number, form, source + j, pixels * pitch, pitch, target + j, matrix)


@kernel("T[:,::1], T[:,::1], i8[::1], T[:,::1]", writes="sums", parallel=True)
def conv2d_products__winograd(v, u, plan, sums, lo, hi):
    """v(N,T*row+), u(N,T*row+) -> sums(N,C*row+): V^T U, `+=` unless they are the first.

    plan: tiles, channels, filters, distance of rows in v, u and sums, whether they are the first. The range is over the
    N matrices' panels of filters.
    """
    tiles, channels, filters, v_row, u_row, row, fresh = plan[0], plan[1], plan[2], plan[3], plan[4], plan[5], plan[6]
    number = sums.dtype.type(0)
    floor = number - sums.dtype.type(np.inf)
    size, width, step = itemsize(number), panel_width(number), lanes(number)
    panels, height = -(-filters // width), share(channels)
    pieces = -(-channels // height)
    for item in range(lo, hi):
        matrix, p = divmod(item, panels)
        n = step if filters - p * width <= step else width
        a, b = address(v) + matrix * v.strides[0], address(u) + matrix * u.strides[0] + p * width * size
        c = address(sums) + matrix * sums.strides[0] + p * width * size
        for i in range(0, channels, height):
            at, init, init_row = c + i * row * size, address(ZEROS), 0
            if not fresh:
                init, init_row = at, row
            m = min(height, channels - i)
            if matrix + 1 < v.shape[0]:
                ask(p * pieces + i // height, panels * pieces, address(v) + (matrix + 1) * v.strides[0], v.strides[0])
                ask(p * pieces + i // height, panels * pieces, address(u) + (matrix + 1) * u.strides[0], u.strides[0])
            tile(floor, m, 1, tiles, a + i * size, 1, v_row, 0, b, u_row, 0, init, init_row, at, row, 0, n)


@kernel("T[:,::1], i8[::1], T[:,:]", writes="dw", parallel=True)
def conv2d_taps__winograd(sums, plan, dw, lo, hi):
    """sums(N,C*row+) -> dw(OC,C*KH*KW), rows contiguous.

    plan: form, taps, channels, distance of rows in sums. The range is over vectors of filters times blocks of channels.
    """
    form, taps, channels, row = plan[0], plan[1], plan[2], plan[3]
    number = dw.dtype.type(0)
    size, step, blocks = itemsize(number), lanes(number), -(-channels // BLOCK)
    buffer = stack_bytes(TAPS)
    for item in range(lo, hi):
        vector, block = divmod(item, blocks)
        first, count = block * BLOCK, min(BLOCK, channels - block * BLOCK)
        for c in range(count):
            source = address(sums) + ((first + c) * row + vector * step) * size
            transform_taps(number, form, source, sums.shape[1], buffer + c * taps * step * size)
        target = address(dw) + vector * step * dw.strides[0] + first * taps * size
        turn(number, count * taps, min(step, dw.shape[0] - vector * step), buffer, step, target, dw.strides[0] // size)
