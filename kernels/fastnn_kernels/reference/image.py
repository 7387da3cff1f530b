"""Padding, resampling, shuffles and augmentation of images, index by index."""

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver

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


def _sources(shape, place, problem):
    return tuple(_source(i, n, *pads, problem.mode) for i, n, pads in zip(place, shape, problem.pads, strict=True))


@plans("pad")
def pad(problem):
    """Look up where every element comes from."""

    def run(out, x, pad, mode, value):
        y = np.empty(problem.shape, x.dtype)
        for place in np.ndindex(y.shape):
            source = _sources(x.shape, place, problem)
            y[place] = value if None in source else x[source]
        return deliver(out, y)

    return run


@plans("pad_backward")
def pad_backward(problem):
    """Add every gradient to where its element came from."""

    def run(out, dy, *_):
        dx = np.zeros(problem.shape, dy.dtype)
        for place in np.ndindex(dy.shape):
            source = _sources(dx.shape, place, problem)
            if None not in source:
                dx[source] += dy[place]
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
