"""The gradient of a convolution's input, which is also what a transposed convolution computes.

It is a convolution of dy with the filters flipped, their channels and filters exchanged; for strides sh, sw it is
sh * sw of them, one for each remainder of a pixel's position. Few pixels, and images of few channels, are multiplied
with all filters at once: `im2col`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ...ground.notes import note
from . import im2col
from .direct import plan_fill
from .layer import Window
from .select import Images, plan_images


class Flipped(NamedTuple):
    """The filters (G, C/G, OC/G, KH', KW') that compute the gradient's pixels of one remainder; as `select.Filters`.

    rows, columns: the taps that reach them, last first.
    """

    filters: Callable[[ndarray], ndarray]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def __call__(self, weight: ndarray) -> ndarray:
        """Return the filters."""
        cut = ..., _descending(self.rows), _descending(self.columns)
        return self.filters(weight).transpose(0, 2, 1, 3, 4)[cut]


class _Part(NamedTuple):
    """The pixels of one remainder: where they are in dx, and the plan that computes or fills them."""

    pixels: tuple[Any, ...]
    images: Images


def plan_input(dy, dx, window, groups, filters, *, prepared, kept=False, masked=False, floor=-np.inf) -> Images | None:
    """Return the `Images` that write dx, not below the floor; None if they cannot be masked but ought to be.

    dy(B,OC,OH,OW), dx(B,C,H,W): ghosts. filters(weight) -> (G, OC/G, C/G, KH, KW).
    """
    if dx.size == 0:
        return Images(lambda weight: None, lambda *_: None)
    if im2col.suits_images(dy, dx.shape[1] // groups, window, groups, prepared or kept):
        if masked:
            return None
        note("input's gradient: im2col")
        compute = im2col.plan_back(dy, dx, window, groups, dx.shape[1] // groups, floor)
        name = "im2col", filters
        return Images(lambda weight: weight.get(name, filters) if prepared else filters(weight), compute)
    parts = []
    for i in range(min(window.sh, dx.shape[2])):
        rows, top, step_h = taps(i, window.sh, window.top, window.dh, window.kh)
        for j in range(min(window.sw, dx.shape[3])):
            columns, left, step_w = taps(j, window.sw, window.left, window.dw, window.kw)
            pixels = (..., slice(i, None, window.sh), slice(j, None, window.sw))
            images = _plan_filling(dx[pixels], floor)
            if rows and columns:
                part = Window(1, 1, -top, -left, step_h, step_w, len(rows), len(columns))
                flipped = Flipped(filters, tuple(rows), tuple(columns))
                options = {"prepared": prepared, "kept": kept, "masked": masked, "floor": floor}
                images = plan_images(dy, dx[pixels], part, groups, flipped, **options)
                if images is None:
                    return None
            parts.append(_Part(pixels, images))
    if len(parts) == 1:
        return parts[0].images

    def pack(weight):
        return [part.images.pack(weight) for part in parts]

    def compute(dy, packed, bias, dx, *mask):
        for (pixels, images), filters in zip(parts, packed, strict=True):
            images.compute(dy, filters, bias, dx[pixels], *mask)

    return Images(pack, compute)


def _plan_filling(dx, floor):
    """Return the `Images` of pixels that no window reaches."""
    fill = plan_fill(dx, floor)
    return Images(lambda weight: None, lambda dy, filters, bias, dx, *mask: fill(bias, dx))


def taps(remainder, stride, padding, dilation, size):
    """Return which rows of the kernel reach pixels of a remainder, last first; the first row of dy; their distance."""
    rows = [k for k in reversed(range(size)) if (remainder + padding - k * dilation) % stride == 0]
    if not rows:
        return rows, 0, 1
    return rows, (remainder + padding - rows[0] * dilation) // stride, dilation // gcd(dilation, stride)


def _descending(rows):
    return slice(rows[0], None, rows[1] - rows[0] if len(rows) > 1 else -rows[0] - 1)
