"""The gradients of pooling; `dims` and `window` are as in `pooling`."""

from math import prod

import numpy as np

from ._parallel import tasks
from ._shapes import as_float_array, integer, promote
from .cpu import pool as cpu
from .images import channels_last, with_batch
from .pooling import GRAIN, is_relu, key_of, name_of, plan_of, pool_with_places
from .windows import as_images, result


def max_pool_backward(dims, dy, input, window, indices=None, activation=None):
    """Return the gradient of a max pooling's input from that of its output; the other arguments as in the forward.

    dims: 1, 2 or 3. dy (B, C, ...), input (B, C, ...), or both without B -> input's shape, in its memory layout.
    window: (kernel_size, stride, padding, dilation, ceil_mode), or (output_size,) of adaptive pooling. indices: what
    the forward returned; without them it finds the places again. Where windows overlap, gradients add up in the order
    of the outputs. Raises ValueError unless the shapes fit together, and as the forward does.
    """
    name = name_of("max_pool", dims, window) + "_backward"
    relu = is_relu(name, activation)
    dy, x = promote(name, dy=dy, input=input)
    dy, _ = with_batch(name, "dy", dy, dims)
    x, batched = with_batch(name, "input", x, dims)
    last = channels_last(x)
    window = key_of(window)
    plan = plan_of(name, dims, x.shape[2:], window, False, x.shape[1] if last else 1, False, True)
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
            indices = pool_with_places(name, dims, x, window, 0.0 if relu else -np.inf, None)[1]
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


def avg_pool_backward(dims, dy, input_shape, window, *, pixels=None, kind="avg_pool"):
    """Return the gradient of an average pooling's input from that of its output.

    dims: 1, 2 or 3. dy (B, C, ...) or (C, ...) -> input_shape. window: (kernel_size, stride, padding, ceil_mode,
    count_include_pad, divisor_override), or (output_size,) of adaptive pooling. pixels: whether the result lies by
    pixels in memory; None for as dy lies, which for a single pixel does not say. Raises ValueError unless the shapes
    fit together, and as the forward does.
    """
    name = name_of(kind, dims, window) + "_backward"
    dy, batched = with_batch(name, "dy", as_float_array(name, "dy", dy), dims)
    shape = tuple(integer(name, "input_shape", n, 0) for n in input_shape)
    shape = shape if batched else (1, *shape)
    if len(shape) != dims + 2:
        raise ValueError(f"{name}: dy has shape {dy.shape}, which does not fit an input of shape {tuple(input_shape)}")
    last = channels_last(dy) if pixels is None else pixels
    inner = shape[1] if last else 1
    plan = plan_of(name, dims, shape[2:], key_of(window), True, inner, True, True)
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


def _check_gradient(name, dy, shape, plan):
    expected = (*shape[:2], *plan.size)
    if dy.shape != expected:
        raise ValueError(f"{name}: dy has shape {dy.shape}, an input {shape} gives {expected}")


def _rows(memory):
    return prod(memory.shape[:3])


def _pixels(memory, x):
    """Return (B, 1, H, W * C) as (B, H, W, C)."""
    return memory.reshape(memory.shape[0], memory.shape[2], -1, x.shape[1]) if memory.size else memory[:, 0, :, :, None]
