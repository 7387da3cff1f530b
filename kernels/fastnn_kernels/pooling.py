"""Pooling of signals, images and volumes alike: what stands behind the names in `fastnn_kernels.pool`.

dims is 1, 2 or 3; a `window` holds what the forward takes after its input: (kernel_size, stride, padding, dilation,
ceil_mode) for maxima, (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override) for means, or
(output_size,) for adaptive pooling of both kinds.
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from . import activation as activations
from ._parallel import tasks
from ._shapes import as_float_array, integer, promote
from .cpu import pool as cpu
from .images import hashable
from .windows import (
    Tables,
    Windows,
    adaptive,
    as_images,
    by_pixels,
    divisors,
    result,
    sliding,
    tables,
    with_batch,
)

GRAIN = 16384  # numbers read by a task, at least
INT32 = np.dtype(np.int32)
FLOATS = np.dtype(np.float32), np.dtype(np.float64)


class Plan(NamedTuple):
    """What depends on shapes only, and is kept from call to call."""

    axes: Windows
    size: tuple[int, ...]  # of the pooled image
    table: Tables
    squares: bool  # 2x2 side by side
    whole: bool  # one window that is the image
    divisor: int | None  # what all sums are divided by, if it is the same
    counts: np.ndarray | None  # else what each is divided by: (OD, OH, OW * numbers of a pixel)
    divisors: dict  # by dtype, as the kernel wants them; in a gradient ones, if dy has to be divided first

    @property
    def halving(self) -> bool:
        """Whether the divisor is a power of two, so that multiplying by 1 / divisor is exact."""
        return self.divisor is not None and self.divisor.bit_count() == 1


@lru_cache(maxsize=1024, typed=True)
def _plan(name, dims, size, window, mean, inner, merge, back):
    axes = adaptive(name, size, window[0]) if len(window) == 1 else sliding(name, dims, size, *_sliding(window, mean))
    result_size = tuple(len(axis) for axis in axes[3 - dims :])
    squares = dims == 2 and all(
        axis.dilation == 1 and (axis.starts == 2 * np.arange(len(axis))).all() and (axis.counts == 2).all()
        for axis in axes[1:]
    )
    whole = all(len(axis) == 1 and axis.counts[0] == axis.whole[0] == axis.length for axis in axes)
    counts = _counts(name, axes, window) if mean else ()
    same = all((count == count[:1]).all() for count in counts)
    divisor = prod(int(count[0]) for count in counts if len(count)) if same else None
    each = None if same else counts[0][:, None, None] * counts[1][:, None] * np.repeat(counts[2], inner)
    width = axes[2].length
    if back:
        axes = tuple(axis.transposed() for axis in axes)
        counts = [np.full(len(axis), divisor if axis is axes[0] and same else 1) for axis in axes]
    table = tables(axes, inner, merge, 4 if mean else 1, width)
    over = {dtype: divisors(counts, table.runs, dtype) for dtype in FLOATS} if mean else {}
    return Plan(axes, result_size, table, squares, whole, divisor, each, over)


def _sliding(window, mean):
    if not mean:
        return window
    kernel_size, stride, padding, ceil_mode = window[:4]
    return kernel_size, stride, padding, 1, ceil_mode


def _counts(name, axes, window):
    if len(window) == 1:
        return tuple(axis.counts for axis in axes)
    *_, count_include_pad, override = window
    if override is not None:
        override = integer(name, "divisor_override", override, 1)
        return tuple(np.full(len(axis), override if axis is axes[0] else 1) for axis in axes)
    return tuple(axis.whole if count_include_pad else axis.counts for axis in axes)


def max_pool(dims, input, window, *, return_indices=False, activation=None, out=None):
    """Return the largest value of each window, through an activation; with return_indices=True, (values, int64)."""
    name = _name("max_pool", dims, window)
    relu = _is_relu(name, activation)
    y, places = _max_pool(name, dims, input, window, relu and not return_indices, 2 * bool(return_indices), out)
    if not return_indices:
        return y
    if relu:
        y[...] = activations.relu(y)
    return y, places.astype(np.int64)


def max_pool_with_places(dims, input, window, activation=None):
    """Return (values, int32 places) for `max_pool_backward`: -1 where the ReLU's zero is larger.

    No places (None) for the windows whose maximum is found again faster than a place is read.
    """
    name = _name("max_pool", dims, window)
    return _max_pool(name, dims, input, window, _is_relu(name, activation), 1, None)


def _max_pool(name, dims, input, window, relu, places, out):
    """Return (values, places or None); places: 0 for never, 1 where that pays for the gradient, 2 for always."""
    x, batched = with_batch(name, "input", as_float_array(name, "input", input), dims)
    last = by_pixels(x)
    window = tuple(map(hashable, window))
    plan = _plan(name, dims, x.shape[2:], window, False, x.shape[1] if last else 1, not places, False)
    shape = (*x.shape[:2], *plan.size)
    out = out if batched or not isinstance(out, np.ndarray) else out[None]
    y = result(name, out, shape, x.dtype, last, x)
    images, memory = as_images(x, last), as_images(y, last)
    where, count = None, tasks(x.size, GRAIN)
    if plan.squares and places < 2:
        floor = 0.0 if relu else np.nan
        if last:
            images, memory = _pixels(images, x), _pixels(memory, x)
            rows = memory.shape[0] * memory.shape[1]
            cpu.max_pool2d__squares_of_pixels[x.dtype](images, floor, memory, rows, count)
        else:
            cpu.max_pool2d__squares_of_planes[x.dtype](images[:, 0], floor, memory[:, 0], len(images), count)
    elif places:
        where = result(name, None, shape, INT32, last)
        floor, marks = 0.0 if relu else -np.inf, as_images(where, last)
        cpu.max_pool__windows_and_places[x.dtype](images, *plan.table, floor, memory, marks, _rows(memory), count)
    elif plan.whole and not last:
        floor, images = 0.0 if relu else -np.inf, images.reshape(len(images), prod(x.shape[2:]))
        cpu.max_pool__whole_planes[x.dtype](images, floor, memory.ravel(), len(images), count)
    else:
        floor = 0.0 if relu else -np.inf
        cpu.max_pool__windows[x.dtype](images, *plan.table, floor, memory, _rows(memory), count)
    y = _given(y, out)
    return (y, where) if batched else (y[0], where if where is None else where[0])


def max_pool_backward(dims, dy, input, window, indices=None, activation=None):
    """Return the gradient of a max pooling's input from that of its output; the other arguments as in the forward.

    dims: 1, 2 or 3. dy (B, C, ...), input (B, C, ...), or both without B -> input's shape, in its memory layout.
    window: (kernel_size, stride, padding, dilation, ceil_mode), or (output_size,) of adaptive pooling. indices: what
    the forward returned; without them it finds the places again. Where windows overlap, gradients add up in the order
    of the outputs. Raises ValueError unless the shapes fit together, and as the forward does.
    """
    name = _name("max_pool", dims, window) + "_backward"
    relu = _is_relu(name, activation)
    dy, x = promote(name, dy=dy, input=input)
    dy, _ = with_batch(name, "dy", dy, dims)
    x, batched = with_batch(name, "input", x, dims)
    last = by_pixels(x)
    window = tuple(map(hashable, window))
    plan = _plan(name, dims, x.shape[2:], window, False, x.shape[1] if last else 1, False, True)
    _check_gradient(name, dy, x.shape, plan)
    dx = result(name, None, x.shape, x.dtype, last)
    grads, memory, count = as_images(dy, last), as_images(dx, last), tasks(x.size, GRAIN)
    if plan.squares and indices is None:
        images, floor = as_images(x, last), 0.0 if relu else np.nan
        if last:
            images, grads, memory = (_pixels(a, x) for a in (images, grads, memory))
            rows = grads.shape[0] * grads.shape[1]
            cpu.max_pool2d_gradient__squares_of_pixels[x.dtype](grads, images, floor, memory, rows, count)
        else:
            images, grads, memory = images[:, 0], grads[:, 0], memory[:, 0]
            cpu.max_pool2d_gradient__squares_of_planes[x.dtype](grads, images, floor, memory, len(images), count)
    else:
        if indices is None:
            indices = _max_pool(name, dims, x, window, relu, 2, None)[1]
        marks = as_images(_places(name, dims, dy, indices), last)
        if last:
            cpu.max_pool_backward__pixels[x.dtype](grads, marks, *plan.table, 0.0, memory, _rows(memory), count)
        else:
            grads, marks, memory = (a.reshape(len(a), prod(a.shape[1:])) for a in (grads, marks, memory))
            cpu.max_pool_backward__planes[x.dtype](grads, marks, memory, len(memory), count)
    return dx if batched else dx[0]


def _places(name, dims, dy, indices):
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices must be integers, got {indices.dtype}")
    indices, _ = with_batch(name, "indices", indices, dims)
    if indices.shape != dy.shape:
        raise ValueError(f"{name}: indices have shape {indices.shape}, dy has {dy.shape}")
    return indices.astype(np.int32, copy=False)


def avg_pool(dims, input, window, *, out=None, kind="avg_pool"):
    """Return the mean of each window."""
    name = _name(kind, dims, window)
    x, batched = with_batch(name, "input", as_float_array(name, "input", input), dims)
    last = by_pixels(x)
    plan = _plan(name, dims, x.shape[2:], tuple(map(hashable, window)), True, x.shape[1] if last else 1, True, False)
    out = out if batched or not isinstance(out, np.ndarray) else out[None]
    y = result(name, out, (*x.shape[:2], *plan.size), x.dtype, last, x)
    images, memory = as_images(x, last), as_images(y, last)
    count = tasks(x.size, GRAIN)
    if plan.whole and not last:
        images = images.reshape(len(images), prod(x.shape[2:]))
        cpu.avg_pool__whole_planes[x.dtype](images, plan.divisor, memory.ravel(), len(images), count)
    elif plan.whole and images.size:
        images, memory = images.reshape(len(x), -1, x.shape[1]), memory.reshape(len(x), x.shape[1])
        cpu.avg_pool__whole_pixels[x.dtype](images, plan.divisor, memory, len(x), count)
    elif plan.squares and plan.halving:
        if last:
            images, memory = _pixels(images, x), _pixels(memory, x)
            rows = memory.shape[0] * memory.shape[1]
            cpu.avg_pool2d__squares_of_pixels[x.dtype](images, 1 / plan.divisor, memory, rows, count)
        else:
            images, memory = images[:, 0], memory[:, 0]
            cpu.avg_pool2d__squares_of_planes[x.dtype](images, 1 / plan.divisor, memory, len(images), count)
    else:
        over = plan.divisors[x.dtype]
        cpu.avg_pool__windows[x.dtype](images, *plan.table, over, memory, _rows(memory), count)
    y = _given(y, out)
    return y if batched else y[0]


def avg_pool_backward(dims, dy, input_shape, window, *, pixels=None, kind="avg_pool"):
    """Return the gradient of an average pooling's input from that of its output.

    dims: 1, 2 or 3. dy (B, C, ...) or (C, ...) -> input_shape. window: (kernel_size, stride, padding, ceil_mode,
    count_include_pad, divisor_override), or (output_size,) of adaptive pooling. pixels: whether the result lies by
    pixels in memory; None for as dy lies, which for a single pixel does not say. Raises ValueError unless the shapes
    fit together, and as the forward does.
    """
    name = _name(kind, dims, window) + "_backward"
    dy, batched = with_batch(name, "dy", as_float_array(name, "dy", dy), dims)
    shape = tuple(integer(name, "input_shape", n, 0) for n in input_shape)
    shape = shape if batched else (1, *shape)
    if len(shape) != dims + 2:
        raise ValueError(f"{name}: dy has shape {dy.shape}, which does not fit an input of shape {tuple(input_shape)}")
    last = by_pixels(dy) if pixels is None else pixels
    inner = shape[1] if last else 1
    plan = _plan(name, dims, shape[2:], tuple(map(hashable, window)), True, inner, True, True)
    _check_gradient(name, dy, shape, plan)
    grads = as_images(dy, last)
    if plan.counts is not None:  # windows at the edges count less: divide before the sum, not after
        grads = grads / plan.counts.astype(dy.dtype)
    dx = result(name, None, shape, dy.dtype, last)
    memory, count = as_images(dx, last), tasks(dx.size, GRAIN)
    if plan.whole and not last:
        memory = memory.reshape(len(memory), prod(shape[2:]))
        cpu.avg_pool_backward__whole_planes[dy.dtype](grads.ravel(), plan.divisor, memory, len(memory), count)
    elif plan.squares and plan.halving:
        if last:
            grads, memory = _pixels(grads, dy), _pixels(memory, dy)
            rows = grads.shape[0] * grads.shape[1]
            cpu.avg_pool2d_backward__squares_of_pixels[dy.dtype](grads, 1 / plan.divisor, memory, rows, count)
        else:
            grads, memory = grads[:, 0], memory[:, 0]
            cpu.avg_pool2d_backward__squares_of_planes[dy.dtype](grads, 1 / plan.divisor, memory, len(grads), count)
    else:
        over = plan.divisors[dy.dtype]
        cpu.avg_pool__windows[dy.dtype](grads, *plan.table, over, memory, _rows(memory), count)
    return dx if batched else dx[0]


def scatter(name, dims, values, indices, size):
    """Return images (B, C, *size) of zeros with `values` (B, C, ...) where `indices` say."""
    x, batched = with_batch(name, "input", as_float_array(name, "input", values), dims)
    indices = _places(name, dims, x, indices)
    out = result(name, None, (*x.shape[:2], *size), x.dtype, by_pixels(x))
    flat = (a.reshape(*a.shape[:2], prod(a.shape[2:])) for a in (x, indices, out))
    cpu.max_unpool__scatter[x.dtype](*flat, out.shape[0] * out.shape[1], tasks(out.size, GRAIN))
    return out if batched else out[0]


def _name(kind, dims, window=()):
    if dims not in (1, 2, 3):
        raise ValueError(f"{kind}: dims must be 1, 2 or 3, got {dims!r}")
    return f"{'adaptive_' * (len(window) == 1)}{kind}{dims}d"


def _is_relu(name, activation):
    if activation not in (None, "relu"):
        raise ValueError(f"{name}: activation must be None or 'relu', got {activation!r}")
    return activation == "relu"


def _check_gradient(name, dy, shape, plan):
    expected = (*shape[:2], *plan.size)
    if dy.shape != expected:
        raise ValueError(f"{name}: dy has shape {dy.shape}, an input {shape} gives {expected}")


def _given(y, out):
    """Return `out` with the result in it, if there is one."""
    if out is None or out is y:
        return y
    out[...] = y
    return out


def _rows(memory):
    return prod(memory.shape[:3])


def _pixels(memory, x):
    """Return (B, 1, H, W * C) as (B, H, W, C)."""
    return memory.reshape(memory.shape[0], memory.shape[2], -1, x.shape[1]) if memory.size else memory[:, 0, :, :, None]
