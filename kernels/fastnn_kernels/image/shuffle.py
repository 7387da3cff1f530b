"""Permutations of pixels and channels. Channels-last input gives a channels-last result."""

from typing import NamedTuple

from ..ground.checks import integer
from ..ground.operation import Layout, operation


def pixel_shuffle(input, upscale_factor):
    """Return squares of r x r pixels made from r**2 channels, r = upscale_factor: a copy of the same numbers.

    input (..., C r**2, H, W) -> (..., C, H r, W r): y[c, h r + i, w r + j] = x[(c r + i) r + j, h, w] (Shi et al.,
    arXiv:1609.05158, section 2.2). Raises ValueError unless r**2 divides the channels.
    """
    return _pixel_shuffle.run(None, input, upscale_factor)


def pixel_unshuffle(input, downscale_factor):
    """Return what `pixel_shuffle` was given: (..., C, H r, W r) -> (..., C r**2, H, W), r = downscale_factor.

    Raises ValueError unless r divides height and width.
    """
    return _pixel_unshuffle.run(None, input, downscale_factor)


def channel_shuffle(input, groups):
    """Return the channels of (B, C, ...) in turns by group: the first of each group, then the second of each, ...

    Zhang et al., ShuffleNet, arXiv:1707.01083, section 3.1. Raises ValueError unless groups divide the channels.
    """
    return _channel_shuffle.run(None, input, groups)


class Shuffle(NamedTuple):
    """Images whose pixels or channels are permuted; factor: of the upscaling, or the number of groups."""

    input: Layout
    factor: int


@operation("input")
def _pixel_shuffle(input, upscale_factor):
    r = _factor("pixel_shuffle", input, "upscale_factor", upscale_factor)
    channels = input.shape[-3]
    if channels % r**2:
        raise ValueError(f"pixel_shuffle: {channels} channels (shape {input.shape}) are no multiple of {r}**2")
    return Shuffle(input, r)


@operation("input")
def _pixel_unshuffle(input, downscale_factor):
    r = _factor("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    if input.shape[-2] % r or input.shape[-1] % r:
        raise ValueError(f"pixel_unshuffle: height and width (shape {input.shape}) are no multiples of {r}")
    return Shuffle(input, r)


@operation("input")
def _channel_shuffle(input, groups):
    groups = integer("channel_shuffle", "groups", groups, 1)
    if input.ndim < 3 or input.shape[1] % groups:
        raise ValueError(f"channel_shuffle: input of shape {input.shape} does not divide into groups={groups}")
    return Shuffle(input, groups)


def _factor(function, x, name, factor):
    if x.ndim < 3:
        raise ValueError(f"{function}: input must have at least 3 dimensions, got shape {x.shape}")
    return integer(function, name, factor, 1)
