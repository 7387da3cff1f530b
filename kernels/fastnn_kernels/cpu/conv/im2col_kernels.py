"""The windows of images as rows of numbers, a row per tap of the window (im2col), and back, added up (col2im)."""

from ...ground.jit import jitted, kernel
from ..move import copy_row
from ..vector.simd import address, itemsize, vector_at
from ..vector.values import lanes_before, pointer_at, read, width, write, zeros
from .gather import fill_zeros, inside
from .layer import WINDOW


@kernel("S[:,:,:,:], T, i8[::1], S[:,:,:,:,:,:]", writes="columns", parallel=True)
def unfold__rows(x, number, table, columns, lo, hi):
    """x(B,C,H,W) -> columns(B,C,KH,KW,OH,OW), the last axis contiguous; zeros outside the image.

    Pad with zeros, copy rows. table: `Window`. The range is over B * C channels.
    """
    sh, sw, ph, pw = table[WINDOW.sh], table[WINDOW.sw], table[WINDOW.top], table[WINDOW.left]
    dh, dw = table[WINDOW.dh], table[WINDOW.dw]
    size, by_column = itemsize(number), x.strides[3]
    kh, kw, height, width = columns.shape[2:]
    for q in range(lo, hi):
        b, c = divmod(q, x.shape[1])
        for i in range(kh):
            above, rows = inside(i * dh - ph, sh, x.shape[2], height)
            for j in range(kw):
                left, count = inside(j * dw - pw, sw, x.shape[3], width)
                target = address(columns[b, c, i, j])
                for o in range(height):
                    if o < above or o >= above + rows:
                        fill_zeros(number, target, width)
                    else:
                        source = address(x[b, c, o * sh - ph + i * dh]) + ((left * sw + j * dw - pw) * by_column)
                        fill_zeros(number, target, left)
                        fill_zeros(number, target + (left + count) * size, width - left - count)
                        if sw * by_column == size:
                            copy_row(number, source, target + left * size, count)
                        else:
                            out = vector_at(number, target + left * size, count)
                            for t in range(count):
                                out[t] = vector_at(number, source + t * sw * by_column, 1)[0]
                    target += columns.strides[4]


@jitted
def add_row(number, source, target, n):
    """Add n numbers from one address to those at another, the last vector with a mask."""
    x, y, j = pointer_at(number, source), pointer_at(number, target), 0
    step = width(zeros(x))
    while j + step <= n:
        write(y, j, read(y, j) + read(x, j))
        j += step
    if j < n:
        rest = lanes_before(zeros(x), n - j)
        write(y, j, read(y, j, rest) + read(x, j, rest), rest)


@jitted
def reach(start, stride, size, count):
    """Return (remainder, quotient, first, last): of start by the stride, and for which of `count` steps it is inside.

    Step o leads to start + o * stride, which is number o + quotient of those with that remainder, if below `size`.
    """
    quotient, remainder = divmod(start, stride)
    last = -(-(size - remainder) // stride) - quotient
    return remainder, quotient, max(0, -quotient), max(0, min(count, last))


@kernel("S[:,:,:,:,:,:], S[::1], T, i8[::1], T[:,:], S[:,:,:,:]", writes="scratch y", parallel=True)
def fold__planes(columns, bias, floor, table, scratch, y, lo, hi):
    """columns(B,C,KH,KW,OH,OW), the last axis contiguous, bias(C) -> y(B,C,H,W), not below the floor.

    Start from the bias, add all taps, write. A channel is summed in a buffer where its pixels are grouped by their
    remainders by the stride: there all that one tap adds is contiguous rows. table: `Window`. The range is over rows of
    scratch: tasks.
    """
    sh, sw, ph, pw = table[WINDOW.sh], table[WINDOW.sw], table[WINDOW.top], table[WINDOW.left]
    dh, dw = table[WINDOW.dh], table[WINDOW.dw]
    number, size = floor, itemsize(floor)
    kh, kw, height, width = columns.shape[2:]
    across = -(-y.shape[3] // sw)
    tall, parts = -(-y.shape[2] // sh), min(sw, y.shape[3])
    by_part, by_row = tall * across * size, across * size
    total = y.shape[0] * y.shape[1]
    for task in range(lo, hi):
        buffer = address(scratch) + task * scratch.strides[0]
        for q in range(total * task // scratch.shape[0], total * (task + 1) // scratch.shape[0]):
            b, c = divmod(q, y.shape[1])
            sums = vector_at(number, buffer, scratch.shape[1])
            for t in range(sums.size):
                sums[t] = bias[c]
            for i in range(kh):
                remainder, above, top, bottom = reach(i * dh - ph, sh, y.shape[2], height)
                for j in range(kw):
                    part, shift, left, right = reach(j * dw - pw, sw, y.shape[3], width)
                    source = address(columns) + b * columns.strides[0] + c * columns.strides[1]
                    source += i * columns.strides[2] + j * columns.strides[3] + top * columns.strides[4] + left * size
                    target = (
                        buffer + (remainder * parts + part) * by_part + (top + above) * by_row + (left + shift) * size
                    )
                    for _ in range(top, bottom):
                        add_row(number, source, target, right - left)
                        source += columns.strides[4]
                        target += by_row
            for r in range(y.shape[2]):
                for p in range(parts):
                    count = -(-(y.shape[3] - p) // sw)
                    row = vector_at(number, buffer + (r % sh * parts + p) * by_part + r // sh * by_row, count)
                    at, by_column = address(y[b, c, r, p:]), sw * y.strides[3]
                    if by_column == size:
                        out = vector_at(number, at, count)
                        for t in range(count):
                            out[t] = floor if floor > row[t] else row[t]
                    else:
                        for t in range(count):
                            vector_at(number, at + t * by_column, 1)[0] = floor if floor > row[t] else row[t]
