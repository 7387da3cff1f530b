"""Resampling: interpolation, and images whose pixels and channels change places."""

from __future__ import annotations

from typing import Any

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable


@differentiable
def interpolate(
    input: Array,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool = False,
    recompute_scale_factor: bool = False,
) -> WithBackward:
    """Resample signals (B, C, L), images (B, C, H, W) or volumes (B, C, D, H, W) to `size`, or by `scale_factor`.

    mode: "nearest", "nearest-exact", "linear" (also by the names "bilinear" and "trilinear"), "bicubic" or "area".
    Raises as `kernels.interpolate` does.
    """
    arguments = size, scale_factor, mode, align_corners, recompute_scale_factor

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.interpolate_backward(dy, input.shape, *arguments),)

    return kernels.interpolate(input, *arguments), backward


@differentiable
def pixel_shuffle(input: Array, upscale_factor: int) -> WithBackward:
    """Make r x r pixels from r**2 channels, r = upscale_factor: (..., C r**2, H, W) -> (..., C, H r, W r)."""
    y = kernels.pixel_shuffle(input, upscale_factor)
    return y, lambda dy, needs: (kernels.pixel_unshuffle(dy, upscale_factor),)


@differentiable
def pixel_unshuffle(input: Array, downscale_factor: int) -> WithBackward:
    """Make r**2 channels from squares of r x r pixels: (..., C, H r, W r) -> (..., C r**2, H, W)."""
    y = kernels.pixel_unshuffle(input, downscale_factor)
    return y, lambda dy, needs: (kernels.pixel_shuffle(dy, downscale_factor),)


@differentiable
def channel_shuffle(input: Array, groups: int) -> WithBackward:
    """Let the channels of (B, C, ...) take turns by group: the first of each group, then the second of each, ..."""
    y = kernels.channel_shuffle(input, groups)
    return y, lambda dy, needs: (kernels.channel_shuffle(dy, input.shape[1] // groups),)
