"""Convolutions of volumes (B, C, D, H, W) as convolutions of images: views onto the engine of `conv`, no kernels.

The output at one depth sees KD depths of the input. Where the channels of all depths lie one after the other, the
KD * C channels that it sees are those of one image, and the image of the next depth begins stride * C channels further
on: one copy of the input, of which the images are overlapping views. A filter then has KD * C channels, too. For a
dilated depth and for groups the images are copied out, KD times the input. Signals are images of one row, images
volumes of one depth.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from ...ground.checks import as_float_array, contiguous
from ...ground.memory import empty, empty_like, zeros
from ..activation import relu
from . import input_gradient, weight_gradient
from .im2col import FEW_PIXELS
from .select import PreparedConv2d
from .select import convolve as convolve_images
from .select import plan as plan_images


class Form(NamedTuple):
    """How a window slides over a volume: each by depth, row and column."""

    stride: tuple[int, ...]
    before: tuple[int, ...]  # zeros at the front, top and left; as many follow behind as the output asks for
    dilation: tuple[int, ...]
    kernel: tuple[int, ...]

    def window(self):
        """Return the form without its depth, as the algorithms for images know it."""
        return tuple(size for sizes in self for size in sizes[1:])


class PreparedConv:
    """A weight with what was made of it: `conv1d`, `conv3d` and the transposed convolutions take it for `weight`."""

    __slots__ = ("_parts", "dtype", "ndim", "shape", "weight")

    def __init__(self, weight: ndarray):
        self.weight = as_float_array("PreparedConv", "weight", weight)
        self.shape, self.dtype, self.ndim = weight.shape, self.weight.dtype, weight.ndim
        self._parts: dict = {}

    def __reduce__(self) -> tuple:
        return type(self), (self.weight,)

    def __repr__(self) -> str:
        return f"PreparedConv(shape={self.shape}, dtype={self.dtype})"

    def part(self, key, make):
        """Return what `make` gives, made at the first use of its key."""
        found = self._parts.get(key)
        if found is None:
            found = self._parts[key] = make()
        return found


def volume(x: ndarray) -> ndarray:
    """Return signals (B, C, W), images (B, C, H, W) or volumes as a view (B, C, D, H, W)."""
    return x.reshape(*x.shape[:2], *(1,) * (5 - x.ndim), *x.shape[2:])


def _undilated(form, w, *signals):
    """Return the form, the weight and dilated signals as images of `dilation` columns, where a window is one of them.

    Splitting an axis copies nothing; where a length or the zeros in front are no multiple, all stays as it is.
    """
    d = form.dilation[2]
    lengths = (form.before[2], *(x.shape[4] for x in signals))
    if d == 1 or form.kernel[:2] != (1, 1) or form.stride != (1, 1, 1) or any(n % d for n in lengths):
        return form, w, *signals
    if any(x.shape[2:4] != (1, 1) for x in signals):
        return form, w, *signals
    rows = [x.reshape(*x.shape[:3], x.shape[4] // d, d) for x in signals]
    form = Form((1, 1, 1), (0, form.before[2] // d, 0), (1, 1, 1), (1, form.kernel[2], 1))
    return form, w.reshape(*w.shape[:2], *form.kernel), *rows


def _as_images(form, *signals):
    """Return the window and the kernel of signals or images as images of their own, and the shapes of these.

    Dilated signals become images as in `_undilated`.
    """
    window = form.window()
    if signals[0].ndim == 4:
        return window, window[6:], [x.shape for x in signals]
    (_, stride, _, before, _, dilation, _, taps), lengths = window, [x.shape[2] for x in signals]
    if stride > 1 or any(n % dilation for n in (before, *lengths)):
        return window, window[6:], [(*x.shape[:2], 1, x.shape[2]) for x in signals]
    rows = [(*x.shape[:2], x.shape[2] // dilation, dilation) for x in signals]
    if dilation == 1:
        return window, window[6:], [(*x.shape[:2], 1, x.shape[2]) for x in signals]
    return (1, 1, before // dilation, 0, 1, 1, taps, 1), (taps, 1), rows


def plan(x, y, form, groups, weight_shape, prepared, floor):
    """Return what convolves signals or volumes x into y, not smaller than the floor: f(x, gate, weight, bias, y).

    x, y: ghosts. The weight is a `PreparedConv` if prepared. Signals are planned as images, volumes go their own way.
    """
    if x.ndim == 5:
        return partial(_volumes, convolve, form, groups, floor, prepared)
    window, kernel, shapes = _as_images(form, x, y)
    weight_shape = *weight_shape[:2], *kernel
    compute = plan_images(*map(np.reshape, (x, y), shapes), window, groups, weight_shape[1], prepared, "auto", 0, floor)

    def run(x, gate, weight, bias, y):
        if prepared:
            weight = weight.part(kernel, lambda: PreparedConv2d(weight.weight.reshape(weight_shape)))
        x = x.reshape(shapes[0])
        compute(x, x, weight, bias, y.reshape(shapes[1]))

    return run


def plan_back(x, y, form, groups, channels, prepared, floor):
    """Return what convolves x back, a transposed convolution into y: as `plan`. channels: of y, in a group."""
    if x.ndim == 5:
        return partial(_volumes, _transposed, form, groups, floor, prepared)
    window, _, shapes = _as_images(form, x, y)
    compute = input_gradient.plan(*map(np.reshape, (x, y), shapes), window, groups, channels, prepared, 0, floor)
    if x.ndim == 4:
        return compute

    def run(x, gate, weight, bias, y):
        x = x.reshape(shapes[0])
        compute(x, x, weight, bias, y.reshape(shapes[1]))

    return run


def _volumes(way, form, groups, floor, prepared, x, gate, weight, bias, y):
    way(x, weight.weight if prepared else weight, bias, floor, form, groups, y, weight if prepared else None)


def _transposed(x, w, bias, floor, form, groups, y, prepared):
    convolve_back(x, x, 0, w, form, groups, y, bias, floor, prepared)


def convolve(x, w, bias, floor, form, groups, y, prepared=None):
    """x(B,C,D,H,W), w(OC,C/groups,KD,KH,KW), bias(OC) -> y(B,OC,OD,OH,OW), not smaller than the floor."""
    if y.size == 0:
        return
    form, w, x, y = _undilated(form, w, x, y)
    (stride, before, dilation, kd), window = (sizes[0] for sizes in form), form.window()
    stacks = _stacks(x, groups, -before, stride, dilation, kd, y.shape[2])
    if prepared is None and min(stacks.shape[:2]) > 1:
        prepared = PreparedConv(w)  # which lays the filters out once for all pieces
    if prepared is None:
        weight = _flat(w)
    else:
        weight = prepared.part(("images", w.shape), lambda: PreparedConv2d(_flat(w)))
    for some, result in _together(stacks, y.transpose(0, 2, 1, 3, 4)):
        convolve_images(
            some, some, 0, weight, bias, floor, window, groups, kd * w.shape[1], result, prepared=prepared is not None
        )


def convolve_back(dy, gate, gated, w, form, groups, dx, bias=None, floor=-np.inf, prepared=None):
    """dy(B,OC,OD,OH,OW), w(OC,C/groups,KD,KH,KW) -> dx(B,C,D,H,W) plus bias(C), not smaller than the floor.

    If gated, dy counts only where the gate is positive. As in `conv`, a convolution of dy per remainder of the depth.
    """
    if dx.size == 0:
        return
    form, w, dy, gate, dx = _undilated(form, w, dy, gate, dx)
    stride, before, dilation, kd = (sizes[0] for sizes in form)
    if dx.shape[2] == dy.shape[2] == kd == stride == 1 and before == 0:
        weight, kept = w[:, :, 0] if prepared is None else prepared, prepared is not None
        dy, gate, dx, window = dy[:, :, 0], gate[:, :, 0], dx[:, :, 0], form.window()
        input_gradient.convolve_back(dy, gate, gated, weight, window, groups, w.shape[1], dx, bias, floor, kept)
        return
    if gated:
        dy = relu.apply_backward(dy, gate)
    for i in range(min(stride, dx.shape[2])):
        depths, front, step = input_gradient.taps(i, stride, before, dilation, kd)
        part = dx[:, :, i::stride].transpose(0, 2, 1, 3, 4)
        if not depths:
            part[...] = 0 if bias is None else np.maximum(bias, floor)[:, None, None]
            continue
        if prepared is None:
            weight = _depths(w, groups, depths)
            if min(part.shape[:2]) > 1:  # pieces, for all of which the filters are laid out once
                weight = PreparedConv(weight)
        else:
            key = "depths", groups, tuple(depths)
            weight = prepared.part(key, lambda depths=depths: PreparedConv(_depths(w, groups, depths)))
        stacks = _stacks(dy, groups, front, 1, step, len(depths), part.shape[1])
        for some, result in _together(stacks, part):
            kept = type(weight) is PreparedConv
            input_gradient.convolve_back(
                some, some, 0, weight, form.window(), groups, w.shape[1], result, bias, floor, kept
            )


def correlate(dy, gate, gated, x, form, groups, dw, dbias):
    """dy(B,OC,OD,OH,OW), x(B,C,D,H,W) -> dw(OC,C/groups,KD,KH,KW), and dbias(OC) unless it is None; gated as above."""
    form, dw, dy, gate, x = _undilated(form, dw, dy, gate, x)
    (stride, before, dilation, kd), window = (sizes[0] for sizes in form), form.window()
    stacks = _stacks(x, groups, -before, stride, dilation, kd, dy.shape[2])
    grads = dy.transpose(0, 2, 1, 3, 4), gate.transpose(0, 2, 1, 3, 4)
    if min(stacks.shape[:2]) > 1 and dy[:, 0].size <= FEW_PIXELS:  # one product of them all
        number = stacks.shape[0] * stacks.shape[1]
        stacks, *grads = (stack.reshape(1, number, *stack.shape[2:]) for stack in (stacks, *grads))
    made = zeros((dw.shape[0], kd * dw.shape[1], *dw.shape[3:]), dw.dtype)
    sums = zeros(dw.shape[:1], dw.dtype)
    part, part_sums = empty_like(made), None if dbias is None else empty_like(sums)
    for some, grad, opened in _together(stacks, *grads):
        weight_gradient.correlate(grad, opened, gated, some, window, groups, part, part_sums)
        made += part
        if dbias is not None:
            sums += part_sums
    dw[...] = made.reshape(dw.shape[0], kd, *dw.shape[1:2], *dw.shape[3:]).transpose(0, 2, 1, 3, 4)
    if dbias is not None:
        dbias[...] = sums


def _flat(w):
    """w(OC,C,KD,KH,KW) -> (OC,KD*C,KH,KW): filters for the images of `_stacks`."""
    return w.transpose(0, 2, 1, 3, 4).reshape(w.shape[0], w.shape[1] * w.shape[2], *w.shape[3:])


def _depths(w, groups, depths):
    """w(OC,C,KD,KH,KW) -> (KD'*OC,C,KH,KW) of the depths given, group by group, for the images of `_stacks`."""
    some = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])[:, :, :, depths].transpose(0, 3, 1, 2, 4, 5)
    return contiguous(some).reshape(len(depths) * w.shape[0], w.shape[1], *w.shape[3:])


def _stacks(x, groups, start, stride, step, depths, count):
    """Return images (B, count, depths * C, H, W) whose channels are those of neighbouring depths of x, group by group.

    The image at `o` has the depths start + o * stride + k * step, k = 0 ... depths - 1; zeros outside the volume.
    """
    b, c, d, h, w = x.shape
    end = start + (count - 1) * stride + (depths - 1) * step + 1
    if depths == 1 and start >= 0 and end <= d:
        return x.transpose(0, 2, 1, 3, 4)[:, start:end:stride]
    pixels = not x.flags.c_contiguous and x.transpose(0, 2, 3, 4, 1).flags.c_contiguous
    if step > 1 or groups > 1 and depths > 1:
        made = empty((b, h, w, count, depths, c), x.dtype) if pixels else empty((b, count, depths, c, h, w), x.dtype)
        made = made.transpose(0, 3, 4, 5, 1, 2) if pixels else made
        for k in range(depths):
            _bring(x, start + k * step, stride, made[:, :, k])
        if groups == 1:
            return made.reshape(b, count, depths * c, h, w)
        split = made.reshape(b, count, depths, groups, c // groups, h, w).swapaxes(2, 3)
        return split.reshape(b, count, depths * c, h, w)
    length = end - start
    made = empty((b, h, w, length, c), x.dtype) if pixels else empty((b, length, c, h, w), x.dtype)
    made = made.transpose(0, 3, 4, 1, 2) if pixels else made
    _bring(x, start, 1, made)
    by_image, by_depth, by_channel, by_row, by_column = made.strides
    strides = by_image, stride * by_depth, by_channel, by_row, by_column
    return np.lib.stride_tricks.as_strided(made, (b, count, depths * c, h, w), strides)


def _bring(x, start, stride, target):
    """Copy the depths start, start + stride, ... of x to target (B, count, C, H, W); zeros outside the volume."""
    places = range(start, start + target.shape[1] * stride, stride)
    inside = [o for o, place in enumerate(places) if 0 <= place < x.shape[2]]
    if not inside:
        target[...] = 0
        return
    first, last = inside[0], inside[-1] + 1
    target[:, :first] = 0
    target[:, last:] = 0
    target[:, first:last] = x.transpose(0, 2, 1, 3, 4)[:, places[first] : places[last - 1] + 1 : stride]


def _together(*stacks):
    """Yield the stacks (B, D, C, H, W) as few pieces of images (N, C, H, W), one of each stack at a time."""
    batch, depth = stacks[0].shape[:2]
    if batch >= depth:
        yield from zip(*(stack.swapaxes(0, 1) for stack in stacks), strict=True)
    else:
        yield from zip(*stacks, strict=True)
