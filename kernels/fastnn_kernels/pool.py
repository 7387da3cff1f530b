"""Pooling: the largest value or the mean of each window of an image, and their gradients.

Every function takes (B, C, H, W) or (C, H, W), float32 or float64, any strides. Images that lie in memory by pixels
("channels last") are pooled as such.
"""

from functools import lru_cache

import numpy as np

from . import activation as activations
from ._parallel import tasks
from ._shapes import as_float_array, contiguous, conv_output_size, integer, output, pair, promote
from .cpu import pool as cpu
from .images import as_images, channels_last, hashable, image_memory, pixels, planes, with_batch

GRAIN = 16384  # pixels read by a task, at least
NO_INDICES = {3: np.empty((0, 0, 0), np.int64), 4: np.empty((0, 0, 0, 0), np.int64)}


def max_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    *,
    return_indices=False,
    activation=None,
    out=None,
):
    """Return the largest value of each window; with return_indices=True, (values, indices).

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW), same dtype; indices: int64, row * W + column of
    the value in its image. Values are exact; of equal values the first counts, and NaN is larger than all numbers.
    stride defaults to kernel_size; padding is minus infinity; with ceil_mode a last window may hang over the edge.
    activation: None or "relu" (the ReLU of the largest is the largest of the ReLU, of fewer numbers).
    Raises ValueError if a window is larger than the padded image, or padding than half the window; TypeError for
    integer images.
    """
    x, batched = with_batch("max_pool2d", "input", as_float_array("max_pool2d", "input", input))
    window, shape, squares = _geometry(
        "max_pool2d", x.shape, *map(hashable, (kernel_size, stride, padding, dilation)), bool(ceil_mode)
    )
    floor = _floor("max_pool2d", activation)
    out = _batched(out, batched)
    last = channels_last(x)
    y = image_memory("max_pool2d", out, shape, x.dtype, last, x)
    rows, count = shape[0] * shape[2], tasks(x.size, GRAIN)
    if squares and not return_indices:
        if last:
            cpu.max_pool2d__squares_of_pixels[x.dtype](pixels(x), floor, y, rows, count)
        else:
            images = _planes(contiguous(x))
            cpu.max_pool2d__squares_of_planes[x.dtype](images, floor, _planes(y), len(images), count)
        y = as_images(y, out, last)
        return y if batched else y[0]
    indices = output("max_pool2d", None, y.shape, np.dtype(np.int64)) if return_indices else NO_INDICES[4]
    if last:
        cpu.max_pool2d__pixels[x.dtype](pixels(x), window, y, indices, rows, count)
    else:
        images, places = _planes(contiguous(x)), _planes(indices) if return_indices else NO_INDICES[3]
        cpu.max_pool2d__planes[x.dtype](images, window, _planes(y), places, len(images), count)
    if activation is not None:
        y[...] = activations.relu(y)
    y = as_images(y, out, last)
    if not return_indices:
        return y if batched else y[0]
    indices = as_images(indices, None, last)
    return (y, indices) if batched else (y[0], indices[0])


def max_pool2d_gradient(
    dy, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, *, activation=None
):
    """Return the gradient of max_pool2d's input from that of its output; the other arguments are as in the forward.

    dy (B, C, OH, OW), input (B, C, H, W), or both without B -> input's shape, in the memory layout of the input. Needs
    no indices: it finds the places again, which for 2x2 windows is as fast as reading them. Raises as max_pool2d does.
    """
    name = "max_pool2d_gradient"
    dy, x = promote(name, dy=dy, input=input)
    dy, _ = with_batch(name, "dy", dy)
    x, batched = with_batch(name, "input", x)
    arguments = *map(hashable, (kernel_size, stride, padding, dilation)), bool(ceil_mode)
    _, shape, squares = _geometry(name, x.shape, *arguments)
    floor = _floor(name, activation)
    if dy.shape != shape:
        raise ValueError(f"{name}: dy has shape {dy.shape}, an input {x.shape} gives {shape}")
    if not squares:
        y, indices = max_pool2d(x, *arguments, return_indices=True)
        dy = dy if activation is None else activations.relu_backward(dy, y)
        dx = max_pool2d_backward(dy, indices, x.shape)
        return dx if batched else dx[0]
    last, count = channels_last(x), tasks(x.size, GRAIN)
    dx = image_memory(name, None, x.shape, x.dtype, last)
    if last:
        rows = shape[0] * shape[2]
        cpu.max_pool2d_gradient__squares_of_pixels[x.dtype](pixels(dy), pixels(x), floor, dx, rows, count)
    else:
        grads, images = _planes(planes(dy)), _planes(contiguous(x))
        cpu.max_pool2d_gradient__squares_of_planes[x.dtype](grads, images, floor, _planes(dx), len(images), count)
    dx = as_images(dx, None, last)
    return dx if batched else dx[0]


def max_pool2d_backward(dy, indices, input_shape):
    """Return the gradient of max_pool2d's input from that of its output, and the indices it returned.

    dy, indices (B, C, OH, OW), or without B -> input_shape. Where windows overlap, gradients add up in the order of
    the outputs. Raises ValueError unless the shapes fit together, TypeError unless indices are integers.
    """
    dy, batched = with_batch("max_pool2d_backward", "dy", as_float_array("max_pool2d_backward", "dy", dy))
    shape = _input_shape("max_pool2d_backward", input_shape, dy, batched)
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"max_pool2d_backward: indices must be integers, got {indices.dtype}")
    indices = indices.astype(np.int64, copy=False) if batched else indices.astype(np.int64, copy=False)[None]
    if indices.shape != dy.shape:
        raise ValueError(f"max_pool2d_backward: indices have shape {indices.shape}, dy has {dy.shape}")
    last = channels_last(dy)
    dx = as_images(image_memory("max_pool2d_backward", None, shape, dy.dtype, last), None, last)
    planes = shape[0] * shape[1]
    cpu.max_pool2d_backward__scatter[dy.dtype](dy, indices, dx, planes, tasks(dx.size, GRAIN))
    return dx if batched else dx[0]


def avg_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    out=None,
):
    """Return the mean of each window.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW), same dtype. Padding counts as zeros, or with
    count_include_pad=False not at all; divisor_override is what sums are divided by instead of their count.
    stride defaults to kernel_size; with ceil_mode a last window may hang over the edge.
    Raises as max_pool2d does.
    """
    x, batched = with_batch("avg_pool2d", "input", as_float_array("avg_pool2d", "input", input))
    window, shape, _ = _geometry(
        "avg_pool2d", x.shape, *map(hashable, (kernel_size, stride, padding)), 1, bool(ceil_mode)
    )
    out = _batched(out, batched)
    last = channels_last(x)
    memory = image_memory("avg_pool2d", out, shape, x.dtype, last, x)
    y = memory.transpose(0, 3, 1, 2) if last else memory
    divisor = _divisor("avg_pool2d", count_include_pad, divisor_override)
    cpu.avg_pool2d__windows[x.dtype](x, window, divisor, y, shape[0] * shape[1], tasks(x.size, GRAIN))
    y = as_images(memory, out, last)
    return y if batched else y[0]


def avg_pool2d_backward(
    dy,
    input_shape,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """Return the gradient of avg_pool2d's input from that of its output; the other arguments are as in the forward.

    dy (B, C, OH, OW) or (C, OH, OW) -> input_shape. Raises ValueError unless the shapes fit together.
    """
    dy, batched = with_batch("avg_pool2d_backward", "dy", as_float_array("avg_pool2d_backward", "dy", dy))
    shape = _input_shape("avg_pool2d_backward", input_shape, dy, batched)
    window, expected, _ = _geometry(
        "avg_pool2d_backward", shape, *map(hashable, (kernel_size, stride, padding)), 1, bool(ceil_mode)
    )
    if dy.shape != expected:
        raise ValueError(f"avg_pool2d_backward: dy has shape {dy.shape}, an input {shape} gives {expected}")
    last = channels_last(dy)
    dx = as_images(image_memory("avg_pool2d_backward", None, shape, dy.dtype, last), None, last)
    divisor = _divisor("avg_pool2d_backward", count_include_pad, divisor_override)
    planes = shape[0] * shape[1]
    cpu.avg_pool2d_backward__windows[dy.dtype](dy, window, divisor, dx, planes, tasks(dx.size, GRAIN))
    return dx if batched else dx[0]


def _batched(out, batched):
    return out if batched or not isinstance(out, np.ndarray) else out[None]


def _planes(images):
    return images.reshape(-1, *images.shape[2:]) if images.size else np.empty((0, *images.shape[2:]), images.dtype)


def _input_shape(function, shape, dy, batched):
    shape = tuple(integer(function, "input_shape", n, 0) for n in shape)
    if not batched:
        shape = (1, *shape)
    if len(shape) != 4 or shape[:2] != dy.shape[:2]:
        raise ValueError(f"{function}: dy has shape {dy.shape}, which does not fit an input of shape {shape}")
    return shape


def _floor(function, activation):
    """Return the smallest result, NaN for none."""
    if activation not in (None, "relu"):
        raise ValueError(f"{function}: activation must be None or 'relu', got {activation!r}")
    return np.nan if activation is None else 0.0


def _divisor(function, count_include_pad, divisor_override):
    if divisor_override is None:
        return 0 if count_include_pad else -1
    return integer(function, "divisor_override", divisor_override, 1)


@lru_cache(maxsize=512, typed=True)
def _geometry(function, input_shape, kernel_size, stride, padding, dilation, ceil_mode):
    """Return (window for the kernels, output shape, whether windows are 2x2 and side by side)."""
    kernel = pair(function, "kernel_size", kernel_size, 1)
    stride = kernel if stride is None else pair(function, "stride", stride, 1)
    padding, dilation = pair(function, "padding", padding, 0), pair(function, "dilation", dilation, 1)
    size = input_shape[2:]
    if 0 in size:
        raise ValueError(f"{function}: images must not be empty, got shape {input_shape}")
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        if 2 * p > d * (k - 1) + 1:
            raise ValueError(
                f"{function}: padding must be at most half of the kernel, got padding {padding} for kernel {kernel}"
            )
    hang = [s - 1 if ceil_mode else 0 for s in stride]
    sides = (padding[0], padding[0] + hang[0], padding[1], padding[1] + hang[1])
    counts = conv_output_size(function, size, kernel, stride, sides, dilation)
    # the last window must start inside the image or the padding on its left, as in PyTorch
    counts = [c - ((c - 1) * s >= n + p) for c, s, n, p in zip(counts, stride, size, padding, strict=True)]
    window = np.array([*kernel, *stride, *padding, *dilation], np.int64)
    halves = kernel == stride == (2, 2) and padding == (0, 0) and dilation == (1, 1) and not ceil_mode
    return window, (*input_shape[:2], *counts), halves
