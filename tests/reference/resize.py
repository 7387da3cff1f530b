"""Resampling in plain float64 NumPy: what fastnn's resampling must compute."""

import numpy as np


def tolerance(dtype) -> float:
    """Return the error allowed for weighted means of numbers of magnitude 1 along up to three axes."""
    return 20 * np.finfo(dtype).eps


def keys(d, a=-0.75):
    """Return Keys' cubic convolution kernel at distance d."""
    d = abs(d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def triangle(d):
    """Return the weight of linear interpolation at distance d."""
    return max(0.0, 1 - abs(d))


def matrix(length, count, mode, align_corners, scale=None):
    """Return the (count, length) matrix by which an axis is resampled."""
    scale = length / count if scale is None else 1 / scale
    out = np.zeros((count, length))
    for i in range(count):
        if mode == "area":
            start, stop = i * length // count, -(-(i + 1) * length // count)
            out[i, start:stop] = 1 / (stop - start)
        elif mode.startswith("nearest"):
            shift = 0.5 if mode == "nearest-exact" else 0.0
            out[i, min(int(np.floor(np.float32(i + shift) * np.float32(scale))), length - 1)] = 1
        else:
            at = (i + 0.5) * scale - 0.5
            if align_corners:
                at = i * (length - 1) / (count - 1) if count > 1 else 0.0
            kernel = keys if mode == "bicubic" else triangle
            at = at if mode == "bicubic" else min(max(at, 0.0), length - 1.0)
            for k in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
                out[i, min(max(k, 0), length - 1)] += kernel(at - k)
    return out


def interpolate(x, matrices):
    """Multiply by a matrix along each axis after the channels."""
    y = np.asarray(x, np.float64)
    for axis, m in enumerate(matrices, 2):
        y = np.moveaxis(np.tensordot(m, y, (1, axis)), 0, axis)
    return y


def pixel_shuffle(x, r):
    """Return y[c, h r + i, w r + j] = x[(c r + i) r + j, h, w]."""
    c, h, w = x.shape
    y = np.empty((c // r**2, h * r, w * r), x.dtype)
    for i in range(r):
        for j in range(r):
            y[:, i::r, j::r] = x[i * r + j :: r**2]
    return y
