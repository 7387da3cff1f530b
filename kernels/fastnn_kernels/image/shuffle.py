"""Pixels and channels that change places. What lies by pixels in memory gives what lies so, too."""

from math import prod

from ..cpu.image import shuffle as cpu
from ..ground.checks import as_float_array, contiguous, integer, output
from ..ground.layout import channels_last, places_first
from ..ground.threads import tasks

GRAIN = 16384  # numbers of a task, at least


def pixel_shuffle(input, upscale_factor):
    """Return squares of r x r pixels made from r**2 channels, r = upscale_factor: a copy of the same numbers.

    input (..., C r**2, H, W) -> (..., C, H r, W r): y[c, h r + i, w r + j] = x[(c r + i) r + j, h, w] (Shi et al.,
    arXiv:1609.05158, section 2.2). Raises ValueError unless r**2 divides the channels.
    """
    x, r = _factor("pixel_shuffle", input, "upscale_factor", upscale_factor)
    *above, channels, height, width = x.shape
    if channels % r**2:
        raise ValueError(f"pixel_shuffle: {channels} channels (shape {x.shape}) are no multiple of {r}**2")
    count = channels // r**2
    if x.ndim == 4 and channels_last(x):
        parts = x.transpose(0, 2, 3, 1).reshape(len(x) * height, width, 1, count, r, r)
        y = output("pixel_shuffle", None, (len(x), height * r, width * r, count), x.dtype)
        _copy(parts, y.reshape(len(parts), r, width, r, 1, count).transpose(0, 2, 4, 5, 1, 3), forth=False)
        return y.transpose(0, 3, 1, 2)
    parts = contiguous(x).reshape(prod(above) * count, r, 1, r, height, width)
    y = output("pixel_shuffle", None, (*above, count, height * r, width * r), x.dtype)
    _copy(parts.transpose(0, 4, 1, 5, 2, 3), y.reshape(len(parts), height, r, width, 1, r), forth=True)
    return y


def pixel_unshuffle(input, downscale_factor):
    """Return what `pixel_shuffle` was given: (..., C, H r, W r) -> (..., C r**2, H, W), r = downscale_factor.

    Raises ValueError unless r divides height and width.
    """
    x, r = _factor("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    *above, channels, height, width = x.shape
    if height % r or width % r:
        raise ValueError(f"pixel_unshuffle: height and width (shape {x.shape}) are no multiples of {r}")
    high, wide = height // r, width // r
    if x.ndim == 4 and channels_last(x):
        parts = x.transpose(0, 2, 3, 1).reshape(len(x) * high, r, wide, r, 1, channels)
        y = output("pixel_unshuffle", None, (len(x), high, wide, channels * r**2), x.dtype)
        _copy(parts.transpose(0, 2, 4, 5, 1, 3), y.reshape(len(parts), wide, 1, channels, r, r), forth=True)
        return y.transpose(0, 3, 1, 2)
    parts = contiguous(x).reshape(prod(above) * channels, high, r, wide, 1, r)
    y = output("pixel_unshuffle", None, (*above, channels * r**2, high, wide), x.dtype)
    _copy(parts, y.reshape(len(parts), r, 1, r, high, wide).transpose(0, 4, 1, 5, 2, 3), forth=False)
    return y


def channel_shuffle(input, groups):
    """Return the channels of (B, C, ...) in turns by group: the first of each group, then the second of each, ...

    Zhang et al., ShuffleNet, arXiv:1707.01083, section 3.1. Raises ValueError unless groups divide the channels.
    """
    x = as_float_array("channel_shuffle", "input", input)
    groups = integer("channel_shuffle", "groups", groups, 1)
    if x.ndim < 3 or x.shape[1] % groups:
        raise ValueError(f"channel_shuffle: input of shape {x.shape} does not divide into groups={groups}")
    batch, channels, *size = x.shape
    each, last = channels // groups, channels_last(x)
    y = output("channel_shuffle", None, (batch, *size, channels) if last else x.shape, x.dtype)
    if last:
        parts = places_first(x).reshape(batch * prod(size), 1, 1, groups, 1, each)
        turns = y.reshape(batch * prod(size), 1, 1, each, 1, groups)
        if groups <= each:
            _copy(parts.transpose(0, 1, 2, 5, 4, 3), turns, forth=True)
        else:
            _copy(parts, turns.transpose(0, 1, 2, 5, 4, 3), forth=False)
        return y.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))
    parts, made = contiguous(x).reshape(batch, groups, each, prod(size), 1, 1), (batch, each, groups, prod(size), 1, 1)
    _copy(parts.transpose(0, 2, 1, 3, 4, 5), y.reshape(made), forth=True)
    return y


def _copy(x, y, forth):
    """Copy a view to another of the same shape, (P, Q, R, M, N, O), as `reorder__turns` wants them."""
    if y.size:
        cpu.reorder__turns[x.dtype](x, 0.0, forth, y, prod(y.shape[:3]), tasks(y.size, GRAIN))


def _factor(function, x, name, factor):
    x = as_float_array(function, "input", x)
    if x.ndim < 3:
        raise ValueError(f"{function}: input must have at least 3 dimensions, got shape {x.shape}")
    return x, integer(function, name, factor, 1)
