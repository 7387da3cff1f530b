"""Convolutions of volumes (B, C, D, H, W) as convolutions of images, and no kernels of their own.

The output at one depth sees KD depths of the input. Where the channels of all depths are stored one depth after the
other, the KD * C channels that it sees are those of one image, and the image of the next depth begins stride * C
channels further on: one copy of the input, of which the images are overlapping views. A filter then has KD * C
channels, too. For a dilated depth and for groups the images are copied out, KD times the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided

from ...ground.checks import contiguous
from ...ground.layout import channels_last
from ...ground.memory import empty, zeros
from ...ground.plans import ghost
from ...ground.threads import tasks
from ..grains import MOVES
from .direct import plan_fill
from .im2col import FEW_PIXELS
from .input_gradient import plan_input, taps
from .layer import image_window
from .select import Images, plan_images
from .weight_gradient import plan_weight
from .weight_gradient_kernels import conv3d_backward__add


class Depths(NamedTuple):
    """Filters of some depths of a weight (OC, C/groups, KD, KH, KW), for the images of `_plan_stacks`.

    For a convolution (G, OC/G, KD * C/G, KH, KW), backward (G, KD * OC/G, C/G, KH, KW). As `select.Filters`.
    """

    groups: int
    shape: tuple[int, ...]
    depths: tuple[int, ...]
    backward: bool

    def __call__(self, weight: ndarray) -> ndarray:
        """Return the filters."""
        count, channels, kd, kh, kw = self.shape
        count //= self.groups
        filters = weight.reshape(self.groups, count, channels, kd, kh, kw)
        if self.backward:
            filters = contiguous(filters[:, :, :, list(self.depths)].transpose(0, 3, 1, 2, 4, 5))
            return filters.reshape(self.groups, len(self.depths) * count, channels, kh, kw)
        return filters.transpose(0, 1, 3, 2, 4, 5).reshape(self.groups, count, kd * channels, kh, kw)


def plan_volumes(x, y, window, shape, *, prepared, floor=-np.inf) -> Images:
    """Return the `Images` that convolve x into y, by a weight of a shape."""
    if y.size == 0:
        return Images(lambda weight: None, lambda *_: None)
    filters = Depths(window.groups, shape, tuple(range(window.kernel[0])), False)
    steps = -window.before[0], window.stride[0], window.dilation[0]
    pack, convolve = _plan_depths(plan_images, x, _by_depth(y), window, steps, filters, prepared, floor)
    return Images(pack, lambda x, packed, bias, y: convolve(x, packed, bias, _by_depth(y)))


def plan_volumes_input(dy, dx, window, shape, *, prepared, floor=-np.inf) -> Images:
    """Return the `Images` that write the gradient dx: as in `input_gradient` one convolution per remainder of depth."""
    if dx.size == 0:
        return Images(lambda weight: None, lambda *_: None)
    (stride, *_), (before, *_), (dilation, *_), (kd, *_), groups = window
    parts = []
    for i in range(min(stride, dx.shape[2])):
        depths, front, step = taps(i, stride, before, dilation, kd)
        part, filters = _by_depth(dx[:, :, i::stride]), Depths(groups, shape, tuple(depths), True)
        if depths:
            parts.append(_plan_depths(plan_input, dy, part, window, (front, 1, step), filters, prepared, floor))
        else:
            parts.append(_plan_filling(part, floor))

    def pack(weight):
        return [part.pack(weight) for part in parts]

    def compute(dy, packed, bias, dx):
        for i, (part, filters) in enumerate(zip(parts, packed, strict=True)):
            part.compute(dy, filters, bias, _by_depth(dx[:, :, i::stride]))

    return Images(pack, compute)


def _plan_depths(plan, x, y, window, steps, filters, prepared, floor) -> Images:
    """Return the `Images` that write y (B, D, C, H, W), planned by `plan_images` or `plan_input`."""
    stacks, lay_out = _plan_stacks(x, window.groups, *steps, y.shape[1], len(filters.depths))
    pieces, options = _pieces(stacks), {"prepared": prepared, "kept": min(stacks.shape[:2]) > 1, "floor": floor}
    images = plan(stacks[pieces[0]], y[pieces[0]], image_window(window), window.groups, filters, **options)

    def compute(x, packed, bias, y):
        stacks = lay_out(x)
        for piece in pieces:
            images.compute(stacks[piece], packed, bias, y[piece])

    return Images(images.pack, compute)


def _plan_filling(y, floor) -> Images:
    """Return the `Images` of depths that no window reaches."""
    fill = plan_fill(y[:, 0], floor)

    def compute(dy, packed, bias, y):
        for depth in range(y.shape[1]):
            fill(bias, y[:, depth])

    return Images(lambda weight: None, compute)


def plan_volumes_weight(dy, x, window, dw, with_bias=False) -> Callable[..., None]:
    """Return f(dy, x, dw, db) as `weight_gradient.plan_weight` does."""
    (count, channels, kd, kh, kw), dtype = dw.shape, dw.dtype
    steps = -window.before[0], window.stride[0], window.dilation[0]
    stacks, lay_out = _plan_stacks(x, window.groups, *steps, dy.shape[2], kd)
    grads, merge = _by_depth(dy), None
    if min(stacks.shape[:2]) > 1 and dy[:, 0].size <= FEW_PIXELS:  # one product of them all
        (stacks, merge), (grads, merge_grads) = _plan_merge(stacks), _plan_merge(grads)
    pieces, shape = _pieces(stacks), (count, kd * channels, kh, kw)
    part = ghost(shape, dtype)
    convolve = pieces and plan_weight(
        grads[pieces[0]], stacks[pieces[0]], image_window(window), window.groups, part, with_bias
    )
    add, count_of_tasks = conv3d_backward__add[dtype], tasks(part.size, MOVES)

    def compute(dy, x, dw, db=None):
        stacks, grads = lay_out(x), _by_depth(dy)
        if merge:
            stacks, grads = merge(stacks), merge_grads(grads)
        memory = empty if pieces else zeros
        total, sums = memory(shape, dtype), memory((count,), dtype) if with_bias else None
        part, part_sums = empty(shape, dtype), empty((count,), dtype) if with_bias else None
        for number, piece in enumerate(pieces):
            convolve(grads[piece], stacks[piece], part if number else total, part_sums if number else sums)
            if number:
                add(part.reshape(-1), total.reshape(-1), total.size, count_of_tasks)
                if with_bias:
                    add(part_sums, sums, count, 1)
        dw[...] = total.reshape(count, kd, channels, kh, kw).transpose(0, 2, 1, 3, 4)
        if with_bias:
            db[...] = sums

    return compute


def _by_depth(x):
    return x.transpose(0, 2, 1, 3, 4)


def _plan_stacks(x, groups, start, stride, step, count, depths):
    """Return (ghost, f(x)): images (B, count, depths * C, H, W) of the channels of several depths, group by group.

    The image at `o` has the depths start + o * stride + k * step, k = 0 ... depths - 1; zeros outside the volume.
    """
    (b, c, d, h, w), dtype = x.shape, x.dtype
    end = start + (count - 1) * stride + (depths - 1) * step + 1
    if depths == 1 and start >= 0 and end <= d:
        view = lambda x: _by_depth(x)[:, start:end:stride]  # noqa: E731
        return view(x), view
    apart = step > 1 or groups > 1 and depths > 1
    outer = (count, groups, depths) if apart else (end - start, 1, 1)
    inner, last = c // outer[1], channels_last(x)
    memory = (b, h, w, *outer, inner) if last else (b, *outer, inner, h, w)
    order = (0, 3, 4, 5, 6, 1, 2) if last else tuple(range(7))

    def view(out):
        if apart:
            return out.transpose(order).reshape(b, count, depths * c, h, w)
        by_image, by_depth, _, _, by_channel, by_row, by_column = (out.strides[axis] for axis in order)
        strides = by_image, stride * by_depth, by_channel, by_row, by_column
        return as_strided(out, (b, count, depths * c, h, w), strides)

    every = stride if apart else 1
    copies = [_inside(start + k * step, every, d, outer[0]) for k in range(outer[2])]

    def lay_out(x):
        out = empty(memory, dtype)
        target = out.transpose(order)
        source = _by_depth(x).reshape(b, d, outer[1], inner, h, w)
        for k, (first, behind, depths_of_x) in enumerate(copies):
            target[:, :first, :, k] = 0
            target[:, behind:, :, k] = 0
            target[:, first:behind, :, k] = source[:, depths_of_x]
        return view(out)

    return view(ghost(memory, dtype)), lay_out


def _inside(start, stride, size, count):
    """Return (first, end, slice): which of `count` depths start, start + stride, ... are inside, and where."""
    depths = range(start, start + count * stride, stride)
    inside = [o for o, depth in enumerate(depths) if 0 <= depth < size]
    if not inside:
        return 0, 0, slice(0, 0)
    first, last = inside[0], inside[-1]
    return first, last + 1, slice(depths[first], depths[last] + 1, stride)


def _plan_merge(stacks):
    """Return (ghost, f(stacks)): all images (B, D, C, H, W) of stacks as one, (1, B * D, C, H, W)."""
    shape = 1, stacks.shape[0] * stacks.shape[1], *stacks.shape[2:]
    by_image, by_depth, *inner = stacks.strides
    strides = None
    if by_image == by_depth * stacks.shape[1]:
        strides = by_image * stacks.shape[0], by_depth, *inner
    return ghost(shape, stacks.dtype, strides), lambda stacks: stacks.reshape(shape)


def _pieces(stacks):
    """Return the indices of stacks (B, D, C, H, W) that cut them into few pieces of images (N, C, H, W)."""
    batch, depth = stacks.shape[:2]
    if batch >= depth:
        return [(slice(None), d) for d in range(depth)]
    return [(b,) for b in range(batch)]
