"""Max and average pooling: variants for images stored plane by plane and pixel by pixel.

A window is described by an int64 array `window`: KH, KW, then stride, padding and dilation, each by row and column.
Within a window, ties go to the first position; NaN wins, the last one of it, as in PyTorch.
"""

import numpy as np

from .._jit import jitted, kernel


@jitted
def reach(offset, stride, size, count):
    """Return which outputs [lo, hi) of `count` have a pixel at `offset` from where their windows start."""
    lo = 0 if offset >= 0 else (stride - 1 - offset) // stride
    hi = (size - 1 - offset) // stride + 1 if size > offset else 0
    return min(lo, count), min(max(hi, lo), count)


@jitted
def first_inside(start, step):
    """Return the first of start, start + step, ... that is not negative."""
    return start if start >= 0 else start + (step - 1 - start) // step * step


@kernel("T[:,:,::1], T[:,:,::1], i8[:,:,::1]", writes="y indices", parallel=True)
def max_pool2d__halves(x, y, indices, lo, hi):
    """x(P,H,W) -> y(P,OH,OW), indices(P,OH,OW) or none(0,0,0): windows of 2x2, side by side."""
    width = np.int32(x.shape[2])
    for p in range(lo, hi):
        for i in range(y.shape[1]):
            upper, lower, out = x[p, 2 * i], x[p, 2 * i + 1], y[p, i]
            if indices.size == 0:
                for j in range(out.size):
                    best = upper[2 * j]
                    for value in (upper[2 * j + 1], lower[2 * j], lower[2 * j + 1]):
                        best = value if value > best or value != value else best
                    out[j] = best
                continue
            where, first = indices[p, i], 2 * i * np.int64(width)
            for j in range(out.size):
                a, b, c, d = upper[2 * j], upper[2 * j + 1], lower[2 * j], lower[2 * j + 1]
                right = (b > a) | (b != b)
                top, at_top = b if right else a, np.int32(1) if right else np.int32(0)
                right = (d > c) | (d != d)
                low, at_low = d if right else c, np.int32(width + 1) if right else width
                below = (low > top) | (low != low)
                out[j] = low if below else top
                where[j] = first + 2 * j + np.int64(at_low if below else at_top)


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
