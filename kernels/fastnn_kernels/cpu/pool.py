"""Max and average pooling: variants for images stored plane by plane and pixel by pixel.

A window is described by an int64 array `window`: KH, KW, then stride, padding and dilation, each by row and column.
Within a window, ties go to the first position; NaN wins, the last one of it, as in PyTorch.
"""

import numpy as np

from .._jit import jitted, kernel
from .._quad import largest_of_pixels, largest_of_rows, spread_to_pixels, spread_to_rows
from .._simd import address, itemsize, lanes


@jitted
def reach(offset, stride, size, count):
    """Return which outputs [lo, hi) of `count` have a pixel at `offset` from where their windows start."""
    lo = 0 if offset >= 0 else (stride - 1 - offset) // stride
    hi = (size - 1 - offset) // stride + 1 if size > offset else 0
    return min(lo, count), min(max(hi, lo), count)


@jitted
def zero_edges(dx, rows, columns):
    """Clear what lies behind the last square of an image (H,W,C): the last row and column of odd sizes."""
    for i in range(dx.shape[0]):
        for j in range(2 * columns if i < 2 * rows else 0, dx.shape[1]):
            for c in range(dx.shape[2]):
                dx[i, j, c] = 0


@jitted
def first_inside(start, step):
    """Return the first of start, start + step, ... that is not negative."""
    return start if start >= 0 else start + (step - 1 - start) // step * step


@kernel("T[:,:,::1], T, T[:,:,::1]", writes="y", parallel=True)
def max_pool2d__squares_of_planes(x, floor, y, lo, hi):
    """x(P,H,W) -> y(P,OH,OW), not smaller than the floor: windows of 2x2, side by side."""
    size, step = itemsize(floor), lanes(floor)
    for p in range(lo, hi):
        for i in range(y.shape[1]):
            upper = address(x) + p * x.strides[0] + 2 * i * x.strides[1]
            out = address(y) + p * y.strides[0] + i * y.strides[1]
            for j in range(0, y.shape[2], step):
                at = upper + 2 * j * size
                largest_of_rows(floor, at, at + x.strides[1], out + j * size, y.shape[2] - j)


@kernel("T[:,:,:,::1], T, T[:,:,:,::1]", writes="y", parallel=True)
def max_pool2d__squares_of_pixels(x, floor, y, lo, hi):
    """x(B,H,W,C) -> y(B,OH,OW,C), not smaller than the floor: windows of 2x2, side by side. The range: B * OH rows."""
    size, step = itemsize(floor), lanes(floor)
    down, right = x.strides[1], x.strides[2]
    for r in range(lo, hi):
        b, i = divmod(r, y.shape[1])
        for j in range(y.shape[2]):
            a = address(x) + b * x.strides[0] + 2 * i * down + 2 * j * right
            out = address(y) + b * y.strides[0] + i * y.strides[1] + j * y.strides[2]
            for c in range(0, y.shape[3], step):
                at = a + c * size
                last = at + down + right
                largest_of_pixels(floor, at, at + right, at + down, last, out + c * size, y.shape[3] - c)


@kernel("T[:,:,::1], T[:,:,::1], T, T[:,:,::1]", writes="dx", parallel=True)
def max_pool2d_gradient__squares_of_planes(dy, x, floor, dx, lo, hi):
    """dy(P,OH,OW), x(P,H,W) -> dx(P,H,W) for max_pool2d__squares_of_planes."""
    size, step = itemsize(floor), lanes(floor)
    down = x.strides[1]
    for p in range(lo, hi):
        zero_edges(dx[p].reshape(dx.shape[1], dx.shape[2], 1), dy.shape[1], dy.shape[2])
        for i in range(dy.shape[1]):
            for j in range(0, dy.shape[2], step):
                offset = p * x.strides[0] + 2 * i * down + 2 * j * size
                at, to = address(x) + offset, address(dx) + offset
                g = address(dy) + p * dy.strides[0] + i * dy.strides[1] + j * size
                spread_to_rows(floor, at, at + down, g, to, to + down, dy.shape[2] - j)


@kernel("T[:,:,:,::1], T[:,:,:,::1], T, T[:,:,:,::1]", writes="dx", parallel=True)
def max_pool2d_gradient__squares_of_pixels(dy, x, floor, dx, lo, hi):
    """dy(B,OH,OW,C), x(B,H,W,C) -> dx(B,H,W,C) for max_pool2d__squares_of_pixels. The range is over B * OH rows."""
    size, step = itemsize(floor), lanes(floor)
    down, right = x.strides[1], x.strides[2]
    for r in range(lo, hi):
        b, i = divmod(r, dy.shape[1])
        if i == 0:
            zero_edges(dx[b], dy.shape[1], dy.shape[2])
        for j in range(dy.shape[2]):
            g = address(dy) + b * dy.strides[0] + i * dy.strides[1] + j * dy.strides[2]
            offset = b * x.strides[0] + 2 * i * down + 2 * j * right
            for c in range(0, dy.shape[3], step):
                at, to = address(x) + offset + c * size, address(dx) + offset + c * size
                spread_to_pixels(
                    floor,
                    at,
                    at + right,
                    at + down,
                    at + down + right,
                    g + c * size,
                    to,
                    to + right,
                    to + down,
                    to + down + right,
                    dy.shape[3] - c,
                )


@kernel("T[:,:,::1], i8[::1], T[:,:,::1], i8[:,:,::1]", writes="y indices", parallel=True)
def max_pool2d__planes(x, window, y, indices, lo, hi):
    """x(P,H,W) -> y(P,OH,OW), indices(P,OH,OW) or none(0,0,0)."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    height, width = x.shape[1:]
    for p in range(lo, hi):
        for i in range(y.shape[1]):
            out = y[p, i]
            top = first_inside(i * sh - ph, dh)
            for j in range(out.size):
                out[j] = -np.inf
            if indices.size:
                where = indices[p, i]
                for j in range(out.size):
                    where[j] = top * width + first_inside(j * sw - pw, dw)
            for row in range(top, min(i * sh - ph + kh * dh, height), dh):
                for column in range(kw):
                    offset = column * dw - pw
                    first, last = reach(offset, sw, width, out.size)
                    for j in range(first, last):
                        value = x[p, row, j * sw + offset]
                        if value > out[j] or value != value:
                            out[j] = value
                            if indices.size:
                                indices[p, i, j] = row * width + j * sw + offset


@kernel("T[:,:,:,::1], i8[::1], T[:,:,:,::1], i8[:,:,:,::1]", writes="y indices", parallel=True)
def max_pool2d__pixels(x, window, y, indices, lo, hi):
    """x(B,H,W,C) -> y(B,OH,OW,C), indices(B,OH,OW,C) or none(0,0,0,0). The range is over the B * OH rows."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    height, width = x.shape[1:3]
    for r in range(lo, hi):
        b, i = divmod(r, y.shape[1])
        top = first_inside(i * sh - ph, dh)
        for j in range(y.shape[2]):
            left = first_inside(j * sw - pw, dw)
            out = y[b, i, j]
            for c in range(out.size):
                out[c] = -np.inf
            if indices.size:
                for c in range(out.size):
                    indices[b, i, j, c] = top * width + left
            for row in range(top, min(i * sh - ph + kh * dh, height), dh):
                for column in range(left, min(j * sw - pw + kw * dw, width), dw):
                    pixel = x[b, row, column]
                    for c in range(out.size):
                        if pixel[c] > out[c] or pixel[c] != pixel[c]:
                            out[c] = pixel[c]
                            if indices.size:
                                indices[b, i, j, c] = row * width + column


@kernel("T[:,:,:,:], i8[:,:,:,:], T[:,:,:,:]", writes="dx", parallel=True)
def max_pool2d_backward__scatter(dy, indices, dx, lo, hi):
    """dy(B,C,OH,OW), indices(B,C,OH,OW) -> dx(B,C,H,W): the range is over the B * C planes."""
    height, width = dx.shape[2:]
    for p in range(lo, hi):
        b, c = divmod(p, dx.shape[1])
        for i in range(height):
            for j in range(width):
                dx[b, c, i, j] = 0
        for i in range(dy.shape[2]):
            for j in range(dy.shape[3]):
                place = indices[b, c, i, j]
                if 0 <= place < height * width:  # indices come from outside: never write out of bounds
                    dx[b, c, place // width, place % width] += dy[b, c, i, j]


@kernel("T[:,:,:,:], i8[::1], int, T[:,:,:,:]", writes="y", parallel=True)
def avg_pool2d__windows(x, window, divisor, y, lo, hi):
    """x(B,C,H,W) -> y(B,C,OH,OW): sums over `divisor`; 0: over the window with padding, -1: without.

    The range is over the B * C planes.
    """
    kh, kw, sh, sw, ph, pw = window[:6]
    height, width = x.shape[2:]
    one = x.dtype.type(1)
    for p in range(lo, hi):
        b, c = divmod(p, x.shape[1])
        for i in range(y.shape[2]):
            top, bottom = i * sh - ph, min(i * sh - ph + kh, height + ph)
            for j in range(y.shape[3]):
                left, right = j * sw - pw, min(j * sw - pw + kw, width + pw)
                count = divisor if divisor > 0 else (bottom - top) * (right - left)
                total = one - one
                rows, columns = range(max(top, 0), min(bottom, height)), range(max(left, 0), min(right, width))
                for row in rows:
                    for column in columns:
                        total += x[b, c, row, column]
                if divisor < 0:
                    count = len(rows) * len(columns)
                y[b, c, i, j] = total / x.dtype.type(count)


@kernel("T[:,:,:,:], i8[::1], int, T[:,:,:,:]", writes="dx", parallel=True)
def avg_pool2d_backward__windows(dy, window, divisor, dx, lo, hi):
    """dy(B,C,OH,OW) -> dx(B,C,H,W), with the divisor of the forward pass. The range is over the B * C planes."""
    kh, kw, sh, sw, ph, pw = window[:6]
    height, width = dx.shape[2:]
    for p in range(lo, hi):
        b, c = divmod(p, dx.shape[1])
        for i in range(height):
            for j in range(width):
                dx[b, c, i, j] = 0
        for i in range(dy.shape[2]):
            top, bottom = i * sh - ph, min(i * sh - ph + kh, height + ph)
            for j in range(dy.shape[3]):
                left, right = j * sw - pw, min(j * sw - pw + kw, width + pw)
                count = divisor if divisor > 0 else (bottom - top) * (right - left)
                rows, columns = range(max(top, 0), min(bottom, height)), range(max(left, 0), min(right, width))
                if divisor < 0:
                    count = len(rows) * len(columns)
                share = dy[b, c, i, j] / dy.dtype.type(count)
                for row in rows:
                    for column in columns:
                        dx[b, c, row, column] += share
