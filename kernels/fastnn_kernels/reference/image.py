"""Padding, resampling, shuffles and augmentation of images, index by index."""

from math import floor, prod

import numpy as np

from ..formulas.normal import MIDDLE, TAIL
from ..ground.backend import plans
from ..ground.checks import finite, in_range, not_negative, word
from ..ground.outputs import deliver
from . import sample as sample  # its plans, too, are found here
from .philox import random_words

# ------------------------------------------------------------------------------------------------- padding


def _source(i, length, before, after, mode):
    """Return the index of the input whose element goes to index i of the output, None for the constant."""
    i -= before
    if mode == "reflect":
        return -i if i < 0 else i if i < length else 2 * (length - 1) - i
    if mode == "replicate":
        return min(max(i, 0), length - 1)
    if mode == "circular":  # around what cropping leaves
        start = max(-before, 0)
        return (i - start) % (length + min(before, 0) + min(after, 0)) + start
    return i if 0 <= i < length else None


def _sources(shape, output, problem):
    return tuple(_source(i, n, *pads, problem.mode) for i, n, pads in zip(output, shape, problem.pads, strict=True))


@plans("pad")
def pad(problem):
    """Look up where every element comes from."""

    def run(out, x, pad, mode, value):
        y = np.empty(problem.shape, x.dtype)
        for output in np.ndindex(y.shape):
            source = _sources(x.shape, output, problem)
            y[output] = value if None in source else x[source]
        return deliver(out, y)

    return run


@plans("pad_backward")
def pad_backward(problem):
    """Add every gradient to where its element came from."""

    def run(out, dy, *_):
        dx = np.zeros(problem.shape, dy.dtype)
        for output in np.ndindex(dy.shape):
            source = _sources(dx.shape, output, problem)
            if None not in source:
                dx[source] += dy[output]
        return deliver(None, dx)

    return run


# ------------------------------------------------------------------------------------------------ shuffles


def _shuffle(x, r):
    *above, channels, height, width = x.shape
    x = np.moveaxis(x.reshape(*above, channels // r**2, r, r, height, width), (-4, -3), (-3, -1))
    return x.reshape(*above, channels // r**2, height * r, width * r)


def _unshuffle(x, r):
    *above, channels, height, width = x.shape
    x = np.moveaxis(x.reshape(*above, channels, height // r, r, width // r, r), (-3, -1), (-4, -3))
    return x.reshape(*above, channels * r**2, height // r, width // r)


def _shuffle_channels(x, groups):
    batch, channels, *size = x.shape
    return x.reshape(batch, groups, channels // groups, *size).swapaxes(1, 2).reshape(x.shape)


for _name, _function in {
    "pixel_shuffle": _shuffle, "pixel_unshuffle": _unshuffle, "channel_shuffle": _shuffle_channels,
}.items():  # fmt: skip
    plans(_name)(lambda problem, f=_function: lambda out, x, _: deliver(None, f(x, problem.factor)))


# ---------------------------------------------------------------------------------------------- resampling


def _cubic(d, a=-0.75):
    """Return the weight of a pixel at a distance (Keys, 1981)."""
    d = abs(d)
    return ((a + 2) * d - (a + 3)) * d * d + 1 if d <= 1 else ((a * d - 5 * a) * d + 8 * a) * d - 4 * a


def _weights(i, axis, problem):
    """Return the pixels, and their weights, of which output i of an axis is the sum."""
    length, count, scale = axis
    mode = problem.mode
    if mode == "area":
        pixels = range(i * length // count, -(-(i + 1) * length // count))
        return [(t, 1 / len(pixels)) for t in pixels]
    if mode.startswith("nearest"):  # in float32, as in PyTorch
        at = np.float32(i + (mode == "nearest-exact") / 2) * np.float32(scale)
        return [(min(int(at), length - 1), 1.0)]
    if problem.align_corners:
        at = i * ((length - 1) / (count - 1)) if count > 1 else 0.0
    else:
        at = (i + 0.5) * scale - 0.5
    if mode != "bicubic":
        at = min(max(i if count == length else at, 0), length - 1)
    low = floor(at)
    taps = [low - 1, low, low + 1, low + 2] if mode == "bicubic" else [low, low + 1]
    weight = _cubic if mode == "bicubic" else lambda d: 1 - abs(d)
    return [(min(max(t, 0), length - 1), weight(at - t)) for t in taps if weight(at - t)]


def _matrix(axis, problem):
    """Return the matrix (count, length) of an axis."""
    matrix = np.zeros((axis.count, axis.length))
    for i in range(axis.count):
        for pixel, weight in _weights(i, axis, problem):
            matrix[i, pixel] += weight
    return matrix


def _multiplied(x, matrices):
    """Return images times a matrix along each axis; zeros of a matrix are left out, so that infinity stays apart."""
    for axis, matrix in enumerate(matrices, start=2):
        moved = np.moveaxis(x, axis, 0)
        y = np.zeros((len(matrix), *moved.shape[1:]), x.dtype)
        for i, j in zip(*matrix.nonzero(), strict=True):
            y[i] += x.dtype.type(matrix[i, j]) * moved[j]
        x = np.moveaxis(y, 0, axis)
    return x


@plans("interpolate")
def interpolate(problem):
    """Multiply by a matrix along each axis."""
    matrices = [_matrix(axis, problem) for axis in problem.axes]
    return lambda out, x, *_: deliver(None, _multiplied(x, matrices))


@plans("interpolate_backward")
def interpolate_backward(problem):
    """Multiply by the transposed matrices."""
    matrices = [_matrix(axis, problem).T for axis in problem.axes]
    return lambda out, dy, *_: deliver(None, _multiplied(dy, matrices))


# --------------------------------------------------------------------------------------------- augmentation


def _words(function, shape, seed, offset):
    words = random_words(prod(shape), word(function, "seed", seed), word(function, "offset", offset))
    return (words >> np.uint64(8)).astype(np.int64).reshape(shape)  # the upper 24 bits


@plans("uniform")
def uniform(problem):
    """Low + (high - low) times fractions of 2^24."""

    def run(out, shape, low, high, seed, offset, _):
        fractions = _words("uniform", problem.shape, seed, offset) * 2.0**-24
        return deliver(out, (low + (high - low) * fractions).astype(problem.dtype))

    return run


@plans("noise")
def noise(problem):
    """X + deviation times quantiles of the normal distribution."""

    def run(out, x, deviation, seed, offset):
        not_negative("noise", "deviation", deviation)
        u = (_words("noise", x.shape, seed, offset) - (2**23 - 0.5)) * 2.0**-23
        w = -np.log(1 - u * u)
        tail = np.polyval(TAIL[::-1], np.sqrt(w) - 3)
        z = u * np.where(w < 5, np.polyval(MIDDLE[::-1], w - 2.5), tail)
        return deliver(out, (x + deviation * z).astype(x.dtype))

    return run


def _pixel(i, n, border):
    """Return the pixel at index i of an axis, None outside."""
    if border == "constant":
        return i if 0 <= i < n else None
    if border == "circular":
        return i % n
    if border == "replicate":
        return min(max(i, 0), n - 1)
    i %= max(2 * (n - 1), 1)
    return min(i, 2 * (n - 1) - i)


def _along(position, n, nearest, border):
    """Return (pixel or None, weight) of the pixels around a position."""
    if not abs(position) < 2**30:
        position = -1.0 if border == "constant" else 0.0
    if nearest:
        return [(_pixel(int(np.rint(position)), n, border), 1.0)]
    low = floor(position)
    return [(_pixel(low, n, border), low + 1 - position), (_pixel(low + 1, n, border), position - low)]


@plans("warp")
def warp(problem):
    """Weigh the pixels around matrix (row + field[0], column + field[1], 1)."""
    shape, dtype = problem.result

    def run(out, x, matrix, field, size, mode, border, value):
        finite("warp", "matrix", matrix)
        y, matrices = np.empty(shape, dtype), matrix.reshape(-1, 2, 3)
        fields = None if field is None else field.reshape(-1, *field.shape[-3:])
        for b, _, i, j in np.ndindex(shape[0], 1, *shape[2:]):
            position = np.array([i, j, 1.0])
            if fields is not None:
                position[:2] += fields[b if len(fields) > 1 else 0, :, i, j]
            row, column = (float(one) for one in matrices[b if len(matrices) > 1 else 0] @ position)
            y[b, :, i, j] = 0
            for r, above in _along(row, x.shape[2], problem.nearest, border):
                for c, beside in _along(column, x.shape[3], problem.nearest, border):
                    y[b, :, i, j] += above * beside * (value if r is None or c is None else x[b, :, r, c])
        return deliver(out, y)

    return run


@plans("erase")
def erase(problem):
    """Fill one rectangle of each image."""

    def run(out, x, boxes, value):
        y = x.copy()
        for image, box in zip(y, boxes, strict=True):
            top, left, bottom, right = (max(int(n), 0) for n in box)
            image[:, top:bottom, left:right] = value
        return deliver(out, y)

    return run


@plans("mix")
def mix(problem):
    """Weight x + (1 - weight) x[other]."""

    def run(out, x, other, weight):
        in_range("mix", "other", other, len(x))
        w = weight.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        return deliver(out, w * x + (1 - w) * x[other.astype(np.int64)])

    return run
