"""Resampling: interpolation, and images whose pixels and channels change places."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable
from fastnn_kernels import checks

from .matmul import matmul
from .shaping import check_array, reshape, transpose


@differentiable
def _interpolate(input: Array, arguments: tuple[Any, ...]) -> WithBackward:
    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.interpolate_backward(dy, input.shape, *arguments),)

    return kernels.interpolate(input, *arguments), backward


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = False,
    recompute_scale_factor: bool | None = False,
    antialias: bool = False,
) -> Any:
    """Resample signals (B, C, L), images (B, C, H, W) or volumes (B, C, D, H, W) to `size`, or by `scale_factor`.

    mode: "nearest", "nearest-exact", "linear" (also by the names "bilinear" and "trilinear"), "bicubic" or "area".
    antialias, for "bilinear" and "bicubic" images: each pixel of a smaller image weighs all that it covers, as in
    Pillow. Raises as `kernels.interpolate` does.
    """
    if antialias:
        return _antialiased(input, size, scale_factor, mode, bool(align_corners), bool(recompute_scale_factor))
    return _interpolate(input, (size, scale_factor, mode, align_corners, recompute_scale_factor))


def _antialiased(input: Any, size: Any, scale_factor: Any, mode: str, align: bool, recompute: bool) -> Any:
    """Resample the rows of images, then their columns, by a matrix each."""
    check_array("interpolate", "input", input)
    if mode not in ("bilinear", "bicubic") or input.ndim != 4:
        raise ValueError(
            f"interpolate: antialias is for modes 'bilinear' and 'bicubic' of (B, C, H, W), got {mode!r}, {input.shape}"
        )
    shape = tuple(input.shape)
    probe = np.broadcast_to(np.zeros((), np.float32), (1, 1, *shape[2:]))  # checks the arguments, tells the size
    counts = kernels.interpolate(probe, size, scale_factor, mode, align, recompute).shape[2:]
    factors = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor,) * 2
    filters = []
    for length, count, factor in zip(shape[2:], counts, factors, strict=True):
        step = length / count if factor is None or recompute else 1 / factor
        if align:
            step = (length - 1) / (count - 1) if count > 1 else 0.0
        filters.append(_filter(length, count, step, mode == "bicubic").astype(input.dtype))
    return matmul(filters[0], matmul(input, filters[1].T))


@lru_cache(64)
def _filter(length: int, count: int, step: float, cubic: bool) -> Any:
    """Give the weights (count, length) of the pixels of a row in one whose pixels are `step` of these apart."""
    wide = max(step, 1.0)
    reach = wide * (2 if cubic else 1)
    centres = step * (np.arange(count) + 0.5)
    first = np.maximum((centres - reach + 0.5).astype(int), 0)[:, None]
    end = np.minimum((centres + reach + 0.5).astype(int), length)[:, None]
    pixels = np.arange(length)
    x = np.abs((pixels - centres[:, None] + 0.5) / wide)
    if cubic:  # Keys' kernel with a = -0.5
        weights = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))
    else:
        weights = np.maximum(1 - x, 0)
    weights = np.where((pixels >= first) & (pixels < end), weights, 0)
    return weights / weights.sum(1, keepdims=True)


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool = False
) -> Any:  # fmt: skip
    """Give `interpolate` of the same arguments: its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """Give `interpolate` with mode "nearest": an older name."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """Give `interpolate` of images with mode "bilinear" and align_corners: an older name."""
    return interpolate(input, size, scale_factor, "bilinear", True)


@differentiable
def grid_sample(
    input: Array, grid: Array, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> WithBackward:
    """Sample images (B, C, H, W) at x and y (B, OH, OW, 2), or volumes at x, y and z (B, OD, OH, OW, 3), from -1 to 1.

    mode: "bilinear", "nearest" or "bicubic" (images only). padding_mode, what is outside: "zeros", "border" or
    "reflection". Both input and grid have gradients. See `kernels.grid_sample`.
    """
    arguments = mode, padding_mode, False if align_corners is None else align_corners

    def backward(dy: Array, needs: Needs) -> Gradients:
        return kernels.grid_sample_backward(dy, input, grid, *arguments, needs=needs)  # type: ignore[no-any-return]

    return kernels.grid_sample(input, grid, *arguments), backward


def affine_grid(theta: Any, size: Any, align_corners: bool | None = False) -> Any:
    """Give the grid of affine maps for `grid_sample`: what is at p in the result is at theta @ (p, 1) in the input.

    theta (B, 2, 3) for images of `size` (B, C, OH, OW) -> (B, OH, OW, 2); (B, 3, 4) for (B, C, OD, OH, OW) ->
    (B, OD, OH, OW, 3). With align_corners -1 and 1 are the centres of the outermost pixels, else their outer edges.
    """
    check_array("affine_grid", "theta", theta)
    shape = checks.integers("affine_grid", "size", tuple(size) if isinstance(size, list | tuple) else size, 1)
    axes = len(shape) - 2
    if axes not in (2, 3) or tuple(theta.shape) != (shape[0], axes, axes + 1):
        raise ValueError(f"affine_grid: theta of shape {theta.shape} does not fit size {shape}")
    lines = [_line(n, bool(align_corners)) for n in shape[:1:-1]]  # x, y, z
    made = np.ones((*shape[2:], axes + 1), theta.dtype)
    for a, line in enumerate(lines):
        made[..., a] = line.reshape(-1, *(1,) * a)
    y = matmul(made.reshape(-1, axes + 1), transpose(theta, 1, 2))
    return reshape(y, (shape[0], *shape[2:], axes))


def _line(n: int, align_corners: bool) -> Any:
    """Give the positions of n pixels from -1 to 1."""
    if n == 1:
        return np.zeros(1)
    line = np.linspace(-1, 1, n)
    return line if align_corners else line * ((n - 1) / n)


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
