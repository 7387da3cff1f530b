"""Convolution backwards: the gradient of its input, which is also what a transposed convolution computes.

It is a convolution of dy with the filters turned around; for a stride s it is s * s of them, one for each remainder of
a pixel's position. Few pixels, and images of few channels, are multiplied with all filters at once: `im2col`.
"""

from __future__ import annotations

from functools import partial
from math import gcd

import numpy as np

from ...ground.memory import zeros
from ...ground.plans import ghost, planned, planner
from ...ground.threads import get_num_threads
from ..activation import relu
from . import im2col
from .select import PreparedConv2d, get_conv_precision
from .select import plan as plan_images


def plan(dy, dx, window, groups, channels, prepared, gated=0, floor=-np.inf):
    """Return what writes dx, not smaller than the floor: a function of (dy, gate, weight, bias, dx).

    dy(B,OC,OH,OW), dx(B,C,H,W): ghosts; channels: C/groups. The weight is a `PreparedConv` if prepared, or else has
    the numbers of (OC, C/groups, KH, KW) in this order, contiguous. If gated, dy counts only where `gate`, which lies
    as dy, is positive.
    """
    (sh, sw, ph, pw, dh, dw, kh, kw), filters = window, dy.shape[1] // groups
    if dx.size == 0:
        return lambda *_: None
    if im2col.suits_images(dy, channels, window, groups, prepared):
        return partial(_multiply, im2col.plan_back(dy, dx, window, groups, channels, floor), gated, prepared)
    parts = []
    for i in range(min(sh, dx.shape[2])):
        rows, top, step_h = taps(i, sh, ph, dh, kh)
        for j in range(min(sw, dx.shape[3])):
            columns, left, step_w = taps(j, sw, pw, dw, kw)
            place = (..., slice(i, None, sh), slice(j, None, sw))
            if not rows or not columns:
                parts.append((place, None, None, None))
                continue
            some = 1, 1, -top, -left, step_h, step_w, len(rows), len(columns)
            compute = plan_images(dy, dx[place], some, groups, filters, prepared, "auto", gated, floor)
            key = "turned", groups, tuple(rows), tuple(columns)
            parts.append((place, (..., _descending(rows), _descending(columns)), key, compute))
    shape = groups, filters, channels, kh, kw

    def turned(weight, cut):
        return weight.reshape(shape).transpose(0, 2, 1, 3, 4)[cut]

    def kept(weight, cut):
        some = turned(weight, cut)
        return PreparedConv2d(some.reshape(-1, *some.shape[2:]))

    def run(dy, gate, weight, bias, dx):
        for place, cut, key, compute in parts:
            if compute is None:
                dx[place] = np.maximum(bias, floor)[:, None, None]
            elif prepared:
                compute(dy, gate, weight.part(key, partial(kept, weight.weight, cut)), bias, dx[place])
            else:
                compute(dy, gate, turned(weight, cut), bias, dx[place])

    return run


def _multiply(compute, gated, prepared, dy, gate, weight, bias, dx):
    dy = relu.apply_backward(dy, gate) if gated else dy
    compute(dy, weight.weight if prepared else weight, bias, dx)


def convolve_back(dy, gate, gated, weight, window, groups, channels, dx, bias=None, floor=-np.inf, prepared=False):
    """Write the gradient of an input; see `plan`. No bias: zeros."""
    settings = gated, floor, get_conv_precision(), get_num_threads()
    run = planned(
        _plan, dy.shape, dy.strides, dy.dtype, dx.shape, dx.strides, window, groups, channels, prepared, *settings
    )
    run(dy, gate, weight, bias, dx)


@planner
def _plan(shape, strides, dtype, dx_shape, dx_strides, window, groups, channels, prepared, gated, floor, *settings):
    dy, dx = ghost(shape, dtype, strides), ghost(dx_shape, dtype, dx_strides)
    compute, nothing = plan(dy, dx, window, groups, channels, prepared, gated, floor), zeros(dx_shape[1:2], dtype)
    return lambda dy, gate, weight, bias, dx: compute(dy, gate, weight, nothing if bias is None else bias, dx)


def taps(remainder, stride, padding, dilation, size):
    """Return which rows of the kernel reach pixels of a remainder, last first; the first row of dy; their distance."""
    rows = [k for k in reversed(range(size)) if (remainder + padding - k * dilation) % stride == 0]
    if not rows:
        return rows, 0, 1
    return rows, (remainder + padding - rows[0] * dilation) // stride, dilation // gcd(dilation, stride)


def _descending(places):
    return slice(places[0], None, places[1] - places[0] if len(places) > 1 else -places[0] - 1)
