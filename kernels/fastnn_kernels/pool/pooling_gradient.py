"""The gradients of pooling; `dims` and `window` are as in `pooling`."""

from functools import reduce
from math import prod

import numpy as np

from ..cpu.pool import kernels as cpu
from ..ground.checks import I8, as_float_array, flag, promote, required
from ..ground.checks import indices as checked
from ..ground.layout import channels_last, with_batch
from ..ground.memory import empty
from ..ground.threads import tasks
from .pooling import GRAIN, INT32, are_far, as_type, is_relu, name_of, plan_of, pool_with_places
from .windows import as_images, result, whole_shape


def max_pool_backward(dims, dy, input, window, indices=None, activation=None):
    """Return the gradient of a max pooling's input from that of its output; the other arguments as in the forward.

    dims: 1, 2 or 3. dy (B, C, ...), input (B, C, ...), or both without B -> input's shape, in its memory layout.
    window: (kernel_size, stride, padding, dilation, ceil_mode), or (output_size,) of adaptive pooling. indices: what
    the forward returned, -1 for windows that met no pixel; without them it finds the places again. Where windows
    overlap, gradients add up in the order of the outputs. Raises ValueError unless the shapes fit together and indices
    are places of the image, TypeError unless they are integers, and as the forward does.
    """
    if indices is not None:
        name = name_of("max_pool", dims, _window("max_pool", window, 5)) + "_backward"
        dy, input = as_float_array(name, "dy", dy), as_float_array(name, "input", input)
        indices = checked(name, "indices", indices, None, prod(input.shape[-dims:]), lowest=-1)
        if indices.shape != dy.shape:
            raise ValueError(f"{name}: indices have shape {indices.shape}, dy has {dy.shape}")
    return max_pool_gradient(dims, dy, input, window, indices, activation)


def max_pool_gradient(dims, dy, input, window, places, activation):
    """Do the work of `max_pool_backward` with places that are known to be right: what a forward keeps for itself."""
    name = name_of("max_pool", dims, _window("max_pool", window, 5)) + "_backward"
    relu = is_relu(name, activation)
    required(name, dy=dy, input=input)
    dy, x = promote(name, dy=dy, input=input)
    dy, _ = with_batch(name, "dy", dy, dims)
    x, batched = with_batch(name, "input", x, dims)
    far = are_far(x.shape)
    last = channels_last(x) and not far
    plan = plan_of(name, x.shape[2:], x.dtype, x.shape[1] if last else 1, False, True, window)
    _check_gradient(name, dy, x.shape, plan)
    dx = result(name, None, x.shape, x.dtype, last)
    grads, memory, count = as_images(dy, last), as_images(dx, last), tasks(x.size, GRAIN)
    if plan.squares and places is None:
        images, floor = as_images(x, last), 0.0 if relu else np.nan
        if last:
            images, grads, memory = (_pixels(a, x) for a in (images, grads, memory))
            rows = grads.shape[0] * grads.shape[1]
            cpu.max_pool2d_gradient__squares_of_pixels[x.dtype](grads, images, floor, memory, rows, count)
        else:
            images, grads, memory = images[:, 0], grads[:, 0], memory[:, 0]
            cpu.max_pool2d_gradient__squares_of_planes[x.dtype](grads, images, floor, memory, len(images), count)
    else:
        if places is None:
            places = pool_with_places(name, dims, x, window, 0.0 if relu else -np.inf, None)[1]
        places, dtype = places.reshape(dy.shape), I8 if far else INT32
        marks = as_images(places if places.dtype is dtype else as_type(places, dtype), last)
        if last:
            cpu.max_pool_backward__pixels[x.dtype](grads, marks, *plan.table, 0.0, memory, _rows(memory), count)
        else:
            grads, marks, memory = (a.reshape(len(a), prod(a.shape[1:])) for a in (grads, marks, memory))
            kernel = cpu.max_pool_backward__far_planes if far else cpu.max_pool_backward__planes
            kernel[x.dtype](grads, marks, memory, len(memory), count)
    return dx if batched else dx[0]


def _window(kind, window, length):
    """Check the forward's arguments after its input: `length` of them, or one for adaptive pooling. ValueError."""
    if not isinstance(window, (tuple, list)) or len(window) not in (1, length):
        raise ValueError(f"{kind}_backward: window must be {length} arguments of the forward, or one, got {window!r}")
    return window


def avg_pool_backward(dims, dy, input_shape, window, *, pixels=None, kind="avg_pool"):
    """Return the gradient of an average pooling's input from that of its output.

    dims: 1, 2 or 3. dy (B, C, ...) or (C, ...) -> input_shape. window: (kernel_size, stride, padding, ceil_mode,
    count_include_pad, divisor_override), or (output_size,) of adaptive pooling. pixels: whether the result lies by
    pixels in memory; None for as dy lies, which for a single pixel does not say. Raises ValueError unless the shapes
    fit together, and as the forward does.
    """
    name = name_of(kind, dims, _window(kind, window, 6)) + "_backward"
    dy, batched = with_batch(name, "dy", as_float_array(name, "dy", dy), dims)
    shape = whole_shape(name, input_shape)
    shape = shape if batched else (1, *shape)
    if len(shape) != dims + 2:
        raise ValueError(f"{name}: dy has shape {dy.shape}, which does not fit an input of shape {tuple(input_shape)}")
    last = channels_last(dy) if pixels is None else flag(name, "pixels", pixels)
    inner = shape[1] if last else 1
    plan = plan_of(name, shape[2:], dy.dtype, inner, True, True, window, True)
    _check_gradient(name, dy, shape, plan)
    grads = as_images(dy, last)
    if plan.counts:  # windows at the edges count less: divide before the sum, not after
        grads = _divided(grads, plan.counts, plan.size)
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
        cpu.avg_pool__windows[dy.dtype](grads, *plan.table, plan.over, memory, _rows(memory), count)
    return dx if batched else dx[0]


def _divided(grads, counts, size):
    """Return gradients (P, OD, OH, OW * C), each divided by the number of its window. size: (OD, OH, OW)."""
    made = empty(grads.shape, grads.dtype)
    split = len(grads), *(1, 1, *size)[-3:], grads.shape[-1] // max(size[-1], 1)
    np.divide(grads.reshape(split), reduce(np.multiply, counts), out=made.reshape(split))
    return made


def _check_gradient(name, dy, shape, plan):
    expected = (*shape[:2], *plan.size)
    if dy.shape != expected:
        raise ValueError(f"{name}: dy has shape {dy.shape}, an input {shape} gives {expected}")


def _rows(memory):
    return prod(memory.shape[:3])


def _pixels(memory, x):
    """Return (B, 1, H, W * C) as (B, H, W, C)."""
    return memory.reshape(memory.shape[0], memory.shape[2], -1, x.shape[1]) if memory.size else memory[:, 0, :, :, None]
