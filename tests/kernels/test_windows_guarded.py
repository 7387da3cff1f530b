"""Pooling, resampling, padding and what else moves pixels, on arrays between pages that cannot be touched.

Sizes, strides, paddings, layouts and modes are drawn; what comes out is compared with the oracles. The drawings are the
same in every run. More of them: FASTNN_DRAWS=1000.
"""

import os

import numpy as np
import pytest

import fastnn_kernels as kernels
from tests.kernels.guarded import LAYOUTS, lay, memory
from tests.reference import augment, pad, pool, resize

DRAWS = int(os.environ.get("FASTNN_DRAWS", 12))


class Draw:
    """Draws the arguments of one call, and lays arrays down in guarded memory."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.at_start, self.dtype = bool(seed % 2), self.one(np.float32, np.float64)

    def one(self, *values):
        return values[self.rng.integers(len(values))]

    def size(self, *values):
        return int(self.one(1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 40, *values))

    def images(self, dims, *more):
        lengths = [self.size(*more) if axis == dims - 1 else self.size() % 19 + 1 for axis in range(dims)]
        channels = int(self.one(1, 2, 3, 4, 8, 16, 17, 33))
        shape = (int(self.one(1, 2, 3)), channels, *lengths)
        while np.prod(shape) > 30_000:
            shape = (1, max(1, shape[1] // 2), *(max(1, n // 2 + 1) for n in shape[2:]))
        return shape

    def numbers(self, shape):
        """Few different ones, so that there are ties, exact in every sum."""
        return self.rng.integers(-8, 9, shape).astype(self.dtype)

    def lay(self, values):
        """Return these values in another layout."""
        return lay(values, self.one("plain", "last", *LAYOUTS), self.rng, self.at_start)

    def give(self, shape):
        """Return numbers in a layout, at times the first of them broadcast."""
        values = self.numbers(shape)
        return np.broadcast_to(values[:1], shape) if self.rng.random() < 0.1 else self.lay(values)


def draws(count=1):
    return pytest.mark.parametrize("seed", range(count * DRAWS))


def window(draw, size):
    """Draw a window that fits: (kernel, stride, padding, dilation, ceil_mode)."""
    parts = []
    for n in size:
        dilation = int(draw.one(1, 1, 1, 2, 3))
        kernel = int(draw.rng.integers(1, min(6, (n + 1) // dilation + 1) + 1))
        while dilation * (kernel - 1) + 1 > n:
            kernel, dilation = max(1, kernel - 1), max(1, dilation - 1)
        padding = int(draw.rng.integers(0, (dilation * (kernel - 1) + 1) // 2 + 1))
        padding = min(padding, kernel // 2)
        parts.append((kernel, int(draw.one(1, 2, kernel, 3, 5)), padding, dilation))
    kernel, stride, padding, dilation = (tuple(column) for column in zip(*parts, strict=True))
    return kernel, stride, padding, dilation, bool(draw.one(True, False))


@draws(4)
def test_max_pooling(seed):
    draw = Draw(seed)
    dims = int(draw.one(1, 2, 2, 3))
    shape = draw.images(dims, 100, 1030)
    given = window(draw, shape[2:])
    if draw.rng.random() < 0.3:
        given = (2, 2, 0, 1, bool(draw.one(True, False)))  # has kernels of its own
        shape = (*shape[:2], *(max(2, n) for n in shape[2:]))
    if draw.rng.random() < 0.2:
        given = (tuple(int(draw.rng.integers(1, n + 3)) for n in shape[2:]),)
    x = draw.give(shape)
    axes = pool.adaptive(shape[2:], *given) if len(given) == 1 else pool.sliding(shape[2:], *given)
    expected, places = pool.max_pool(np.array(x), axes)
    name = ("adaptive_" if len(given) == 1 else "") + f"max_pool{dims}d"
    function, relu = getattr(kernels, name), draw.one(None, "relu")
    with memory(draw.at_start):
        y, indices = function(x, *given, return_indices=True)
        if len(given) == 1:
            relu = None
        options = {} if relu is None else {"activation": relu}
        same, kept = function(x, *given, return_indices="compact", **options)
        dy = draw.give(y.shape)
        dx = kernels.max_pool_backward(dims, dy, x, given, draw.lay(indices))
        found = kernels.max_pool_backward(dims, dy, x, given)
        cut = kernels.max_pool_backward(dims, dy, x, given, kept, relu, check_indices=bool(seed % 2))
        plain = function(x, *given, **options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_array_equal(dx, pool.scatter(dy, places, shape))
    np.testing.assert_array_equal(found, dx)
    for values in (same, plain):
        np.testing.assert_array_equal(values, np.maximum(expected, 0) if relu else expected)
    if relu:
        np.testing.assert_array_equal(cut, pool.scatter(np.where(expected > 0, dy, 0), places, shape))


@draws(4)
def test_average_pooling(seed):
    draw = Draw(seed)
    dims = int(draw.one(1, 2, 2, 3))
    shape = draw.images(dims, 100, 1030)
    kernel, stride, padding, _, ceil_mode = window(draw, shape[2:])
    if draw.rng.random() < 0.3:
        kernel, stride, padding = 2, 2, 0
        shape = (*shape[:2], *(max(2, n) for n in shape[2:]))
    inside, divisor = bool(draw.one(True, False)), draw.one(None, None, 3) if dims > 1 else None
    given = (kernel, stride, padding, ceil_mode, inside, divisor)
    axes = pool.sliding(shape[2:], kernel, stride, padding, 1, ceil_mode)
    if draw.rng.random() < 0.2:
        given, inside, divisor = (tuple(int(draw.rng.integers(1, n + 3)) for n in shape[2:]),), True, None
        axes = pool.adaptive(shape[2:], *given)
    x = draw.give(shape)
    name = ("adaptive_" if len(given) == 1 else "") + f"avg_pool{dims}d"
    taps = max(np.prod([max(n for _, n in axis) for axis in axes]), 1)
    with memory(draw.at_start):
        y = getattr(kernels, name)(x, *given[: 5 if dims == 1 and len(given) > 1 else 6])
        dy = draw.give(y.shape)
        dx = kernels.avg_pool_backward(dims, dy, shape, given, channels_last=draw.one(None, True, False))
    atol = 16 * pool.tolerance(draw.dtype, taps)
    np.testing.assert_allclose(y, pool.avg_pool(np.array(x), axes, inside, divisor), rtol=0, atol=atol)
    expected = pool.avg_pool_backward(np.array(dy), shape, axes, inside, divisor)
    np.testing.assert_allclose(dx, expected, rtol=0, atol=atol * 8)


@draws(3)
def test_unpooling_and_norms(seed):
    draw = Draw(seed)
    dims = int(draw.one(1, 2, 3))
    shape = draw.images(dims)
    shape = (*shape[:2], *(max(3, n) for n in shape[2:]))
    x = draw.give(shape)
    kernel = int(draw.one(1, 2, 3))
    with memory(draw.at_start):
        y, places = getattr(kernels, f"max_pool{dims}d")(x, kernel, return_indices=True)
        y, places = draw.lay(np.array(y)), draw.lay(np.array(places))
        back = getattr(kernels, f"max_unpool{dims}d")(y, places, kernel, output_size=shape)
        dy = draw.give(shape)
        dx = kernels.max_unpool_backward(dims, dy, places)
        norm = getattr(kernels, f"lp_pool{dims}d")(x, 2, kernel)
        share = draw.give(norm.shape)
        slope = kernels.lp_pool_backward(dims, share, x, draw.lay(np.array(norm)), 2, kernel)
    np.testing.assert_array_equal(back, pool.scatter(y, places, shape))
    flat = np.array(dy).reshape(*shape[:2], -1), np.array(places).reshape(*shape[:2], -1)
    np.testing.assert_array_equal(dx, np.take_along_axis(*flat, 2).reshape(y.shape))
    axes = pool.sliding(shape[2:], kernel)
    expected = pool.lp_pool(np.array(x, np.float64), 2, axes, kernel**dims)
    eps = 64 * np.finfo(draw.dtype).eps
    np.testing.assert_allclose(norm, expected, rtol=eps)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.where(expected == 0, 0, np.array(share, np.float64) / expected)
    ones = pool.avg_pool_backward(whole, shape, axes, divisor=1) * np.array(x, np.float64)
    np.testing.assert_allclose(slope, ones, rtol=0, atol=64 * eps)


@draws(4)
def test_resampling(seed):
    draw = Draw(seed)
    dims = int(draw.one(1, 2, 2, 3))
    shape = draw.images(dims, 100)
    size = tuple(int(draw.one(n, draw.size(100) % 41 + 1, 2 * n, max(1, n // 2))) for n in shape[2:])
    mode = draw.one("nearest", "nearest-exact", "linear", "linear", "area", *["bicubic"] * (dims == 2))
    align = bool(draw.one(True, False)) and mode in ("linear", "bicubic")
    x = draw.give(shape)
    matrices = [resize.matrix(n, count, mode, align) for n, count in zip(shape[2:], size, strict=True)]
    with memory(draw.at_start):
        y = kernels.interpolate(x, size, mode=mode, align_corners=align)
        dy = draw.give(y.shape)
        dx = kernels.interpolate_backward(dy, shape, size, mode=mode, align_corners=align)
    # places are off by some eps of the length, values by the slope between neighbours
    atol = 16 * resize.tolerance(draw.dtype) + 16 * max(shape) * np.finfo(draw.dtype).eps
    np.testing.assert_allclose(y, resize.interpolate(x, matrices), rtol=0, atol=atol)
    expected = resize.interpolate(dy, [m.T for m in matrices])
    scale = np.abs(expected).max(initial=1)
    np.testing.assert_allclose(dx, expected, rtol=0, atol=atol * scale)


@draws(4)
def test_padding(seed):
    draw = Draw(seed)
    dims = int(draw.one(1, 2, 3))
    shape = draw.images(dims)
    mode = draw.one(*pad.MODES)
    pads = []
    for n in shape[: int(draw.one(0, 1, 1)) : -1]:
        most = {"reflect": n - 1, "circular": n, "replicate": 9, "constant": 9}[mode]
        low = -((n - 1) // 2) if draw.rng.random() < 0.3 and mode != "circular" else 0
        pads += [int(draw.rng.integers(low, most + 1)) for _ in range(2)]
    x = draw.give(shape)
    value = 2.5 if mode == "constant" else 0
    with memory(draw.at_start):
        y = kernels.pad(x, pads, mode, value)
        dy = draw.give(y.shape)
        dx = kernels.pad_backward(dy, shape, pads, mode)
    np.testing.assert_array_equal(y, pad.pad(np.array(x), pads, mode, value))
    np.testing.assert_array_equal(dx, pad.pad_backward(np.array(dy), shape, pads, mode))


@draws(2)
def test_pixels_and_channels_that_change_places(seed):
    draw = Draw(seed)
    factor = int(draw.one(1, 2, 3, 4, 5))
    batch, channels, height, width = draw.images(2)
    shape = batch, channels % 5 * factor**2 + factor**2, height, width
    x = draw.give(shape)
    with memory(draw.at_start):
        y = kernels.pixel_shuffle(x, factor)
        back = kernels.pixel_unshuffle(draw.lay(np.array(y)), factor)
        turned = kernels.channel_shuffle(x, factor)
    np.testing.assert_array_equal(y, np.stack([resize.pixel_shuffle(np.array(image), factor) for image in x]))
    np.testing.assert_array_equal(back, x)
    order = np.arange(shape[1]).reshape(factor, -1).T.ravel()
    np.testing.assert_array_equal(turned, np.array(x)[:, order])


@draws(2)
def test_rows(seed):
    draw = Draw(seed)
    rows, width = draw.size(), int(draw.one(1, 5, 16, 63, 64, 65, 300))
    a = draw.give((rows, width))
    indices = draw.lay(draw.rng.integers(-3, rows + 3, draw.size()))
    with memory(draw.at_start):
        y = kernels.take(a, indices, "clip")
    np.testing.assert_array_equal(y, np.array(a)[np.clip(indices, 0, rows - 1)])


@draws(2)
def test_warping(seed):
    draw = Draw(seed)
    batch, channels, height, width = draw.images(2)
    shape, channels = (min(batch, 2), min(channels, 3), height % 9 + 1, width % 17 + 1), min(channels, 3)
    x = draw.lay(draw.rng.random(shape).astype(draw.dtype))
    matrix = draw.rng.standard_normal((shape[0], 2, 3))
    matrix[:, :, 2] *= 9
    size = int(draw.rng.integers(1, 8)), int(draw.one(1, 3, 17, 40))
    field = draw.rng.standard_normal((shape[0], 2, *size)).astype(draw.dtype) if draw.rng.random() < 0.5 else None
    border = draw.one("constant", "reflect", "replicate", "circular")
    with memory(draw.at_start):
        y = kernels.warp(x, matrix, None if field is None else draw.lay(field), size, border=border, value=0.5)
    expected = augment.warp(np.array(x), matrix, field, size, "bilinear", border, 0.5)
    np.testing.assert_allclose(y, expected, rtol=0, atol=augment.tolerance(draw.dtype, 100))
