"""Convolutions and their gradients in one, two or three dimensions: signals are images of one row.

Dilated signals are images of `dilation` columns where lengths allow it: a window is one of their columns then.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ...ground.checks import contiguous
from ...ground.plans import ghost
from .by_depth import plan_volumes, plan_volumes_input, plan_volumes_weight
from .input_gradient import plan_input
from .layer import Window, image_window
from .select import Filters, Images, plan_images
from .weight_gradient import plan_bias, plan_weight


def plan_convolution(
    x, y, window, shape, *, prepared=False, algorithm="auto", masked=False, floor=-np.inf
) -> Images | None:
    """Return the `Images` that convolve x(B, C, ...) into y(B, OC, ...) by a weight of a shape, not below the floor.

    x, y: ghosts. None if they cannot be masked but ought to be.
    """
    options = {"prepared": prepared, "floor": floor}
    if x.ndim == 5:
        return None if masked else plan_volumes(x, y, window, shape, **options)
    flat, kernel, (x_shape, y_shape) = _as_images(window, x, y)
    filters = Filters((window.groups, shape[0] // window.groups, shape[1], *kernel))
    options |= {"algorithm": algorithm, "masked": masked}
    images = plan_images(x.reshape(x_shape), y.reshape(y_shape), flat, window.groups, filters, **options)
    return images if x.ndim == 4 or images is None else _reshaping(images, x_shape, y_shape)


def plan_back(dy, dx, window, shape, *, prepared=False, masked=False, floor=-np.inf) -> Images | None:
    """Return the `Images` that write the gradient of a convolution's input, as `plan_convolution`."""
    options = {"prepared": prepared, "floor": floor}
    if dy.ndim == 5:
        return None if masked else plan_volumes_input(dy, dx, window, shape, **options)
    flat, kernel, (y_shape, x_shape) = _as_images(window, dy, dx)
    filters = Filters((window.groups, shape[0] // window.groups, shape[1], *kernel))
    images = plan_input(
        dy.reshape(y_shape), dx.reshape(x_shape), flat, window.groups, filters, masked=masked, **options
    )
    return images if dy.ndim == 4 or images is None else _reshaping(images, y_shape, x_shape)


def plan_correlation(dy, x, window, dw, with_bias=False, masked=False) -> Callable[..., None] | None:
    """Plan the gradients of a weight and, if with_bias, of a bias: f(dy, x, dw, db, mask).

    None if it cannot be masked but ought to be.
    """
    if dy.ndim == 5:
        return None if masked else plan_volumes_weight(dy, x, window, dw, with_bias)
    flat, kernel, (y_shape, x_shape) = _as_images(window, dy, x)
    shape = *dw.shape[:2], *kernel
    arrays = dy.reshape(y_shape), x.reshape(x_shape), flat, window.groups, dw.reshape(shape)
    correlate = plan_weight(*arrays, with_bias, masked)
    if dy.ndim == 4 or correlate is None:
        return correlate

    def compute(dy, x, dw, db=None, *mask):
        mask = [a.reshape(y_shape) for a in mask]
        correlate(dy.reshape(y_shape), x.reshape(x_shape), dw.reshape(shape), db, *mask)

    return compute


def plan_sums(dy) -> Callable[..., None]:
    """Plan the gradient of a bias, the sums of dy(B, OC, ...): f(dy, db)."""
    if dy.ndim == 4:
        return plan_bias(dy)
    shape, strides = (*dy.shape[:2], prod(dy.shape[2:-1]), dy.shape[-1]), None
    whole = dy.ndim == 3 or dy.strides[2] == dy.strides[3] * dy.shape[3]  # whether rows of all depths are as far apart
    if whole:
        strides = *dy.strides[:2], dy.strides[-2], dy.strides[-1]
    sums = plan_bias(ghost(shape, dy.dtype, strides))
    return lambda dy, db: sums((dy if whole else contiguous(dy)).reshape(shape), db)


def _as_images(window, *signals):
    """Return the window, the kernel's size and the shapes of signals or images, all as those of images."""
    flat = image_window(window)
    if signals[0].ndim == 4:
        return flat, window.kernel, [x.shape for x in signals]
    lengths, dilation = [x.shape[2] for x in signals], flat.dw
    if dilation == 1 or flat.sw > 1 or any(n % dilation for n in (flat.left, *lengths)):
        return flat, (1, flat.kw), [(*x.shape[:2], 1, x.shape[2]) for x in signals]
    rows = [(*x.shape[:2], x.shape[2] // dilation, dilation) for x in signals]
    return Window(1, 1, flat.left // dilation, 0, 1, 1, flat.kw, 1), (flat.kw, 1), rows


def _reshaping(images, source, result):
    """Return the `Images` of signals that are images of other shapes."""

    def compute(x, packed, bias, y, *mask):
        images.compute(x.reshape(source), packed, bias, y.reshape(result), *[a.reshape(source) for a in mask])

    return Images(images.pack, compute)
