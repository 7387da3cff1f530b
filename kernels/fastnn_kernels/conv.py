"""Convolution of images and its gradients."""

from functools import lru_cache

import numpy as np

from ._images import as_images, channels_last, hashable, image_memory, with_batch
from ._parallel import tasks
from ._shapes import as_float_array, check_out, conv_output_size, integer, output, padding_2d, pair, promote
from .cpu import conv as cpu

GRAIN = 1 << 20  # multiplications of a task, at least
ACTIVATIONS = (None, "relu", "sigmoid", "tanh", "leaky_relu", "gelu")


def conv2d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    *,
    activation=None,
    out=None,
    algorithm="auto",
):
    """Return the cross-correlation of images with a bank of filters, plus a bias, through an activation.

    input (B, C, H, W) or (C, H, W), weight (OC, C/groups, KH, KW), bias (OC,) -> (B, OC, OH, OW) or (OC, OH, OW);
    float32 or float64, any strides; images that lie in memory by pixels ("channels last") give such.
    padding: a number, a pair, "valid" or "same" (as in PyTorch, the odd zero goes to the bottom and right).
    activation: None, "relu", "sigmoid", "tanh", "leaky_relu" (slope 0.01) or "gelu".
    Raises ValueError if shapes do not fit together or the kernel is larger than the padded image, TypeError for
    integer images.
    """
    x, w, bias = promote("conv2d", input=input, weight=weight, bias=bias)
    x, batched = with_batch("conv2d", "input", x)
    window, shape, work = _geometry("conv2d", x.shape, w.shape, *map(hashable, (stride, padding, dilation)), groups)
    if bias is None:
        bias = np.zeros(w.shape[0], w.dtype)
    elif bias.shape != w.shape[:1]:
        raise ValueError(f"conv2d: bias must have shape ({w.shape[0]},) as weight {w.shape} says, got {bias.shape}")
    _check_choice("activation", activation, ACTIVATIONS)
    _check_choice("algorithm", algorithm, ("auto", "direct"))
    if not batched and isinstance(out, np.ndarray):
        out = out[None]
    last = channels_last(x)
    memory = image_memory("conv2d", out, shape, x.dtype, last, x, w, bias)
    y = memory.transpose(0, 3, 1, 2) if last else memory
    planes = shape[0] * shape[1]
    cpu.conv2d__direct[x.dtype](x, w, np.ascontiguousarray(bias), window, y, planes, tasks(work, GRAIN))
    if activation is not None:
        from . import activation as activations

        memory[...] = getattr(activations, activation)(memory)
    y = as_images(memory, out, last)
    return y if batched else y[0]


def conv2d_backward_input(dy, weight, input_shape, stride=1, padding=0, dilation=1, groups=1, *, out=None):
    """Return the gradient of conv2d's input from that of its output (before the activation).

    dy (B, OC, OH, OW) or (OC, OH, OW), weight (OC, C/groups, KH, KW) -> input_shape. Raises as conv2d does.
    """
    dy, w = promote("conv2d_backward_input", dy=dy, weight=weight)
    dy, batched = with_batch("conv2d_backward_input", "dy", dy)
    shape = _shape_4d("conv2d_backward_input", "input_shape", input_shape, batched)
    window, expected, work = _geometry(
        "conv2d_backward_input", shape, w.shape, *map(hashable, (stride, padding, dilation)), groups
    )
    _check_gradient("conv2d_backward_input", dy, expected)
    if not batched and isinstance(out, np.ndarray):
        out = out[None]
    last = channels_last(dy)
    memory = image_memory("conv2d_backward_input", out, shape, dy.dtype, last, dy, w)
    dx = memory.transpose(0, 3, 1, 2) if last else memory
    planes = shape[0] * shape[1]
    cpu.conv2d_backward_input__direct[dy.dtype](dy, w, window, dx, planes, tasks(work, GRAIN))
    dx = as_images(memory, out, last)
    return dx if batched else dx[0]


def conv2d_backward_weight(dy, input, weight_shape, stride=1, padding=0, dilation=1, groups=1, *, out=None):
    """Return the gradient of conv2d's weight from that of its output (before the activation).

    dy (B, OC, OH, OW), input (B, C, H, W), both with or both without B -> weight_shape. Raises as conv2d does.
    """
    dy, x = promote("conv2d_backward_weight", dy=dy, input=input)
    dy, _ = with_batch("conv2d_backward_weight", "dy", dy)
    x, _ = with_batch("conv2d_backward_weight", "input", x)
    shape = _shape_4d("conv2d_backward_weight", "weight_shape", weight_shape, True)
    window, expected, work = _geometry(
        "conv2d_backward_weight", x.shape, shape, *map(hashable, (stride, padding, dilation)), groups
    )
    _check_gradient("conv2d_backward_weight", dy, expected)
    if out is not None:
        check_out("conv2d_backward_weight", out, shape, dy.dtype, dy, x)
    dw = output("conv2d_backward_weight", out, shape, dy.dtype, dy, x)
    cpu.conv2d_backward_weight__direct[dy.dtype](dy, x, window, dw, shape[0] * shape[1], tasks(work, GRAIN))
    return dw


def conv2d_backward_bias(dy, *, out=None):
    """Return the gradient of conv2d's bias: dy (B, OC, OH, OW) or (OC, OH, OW) -> (OC,)."""
    dy, _ = with_batch("conv2d_backward_bias", "dy", as_float_array("conv2d_backward_bias", "dy", dy))
    dbias = output("conv2d_backward_bias", out, dy.shape[1:2], dy.dtype, dy)
    target = dbias if dbias.flags.c_contiguous else np.empty_like(dbias)
    cpu.conv2d_backward_bias__planes[dy.dtype](dy, target, target.size, tasks(dy.size, 65536))
    if target is not dbias:
        dbias[...] = target
    return dbias


def _shape_4d(function, name, shape, batched):
    shape = tuple(integer(function, name, n, 0) for n in shape)
    if not batched:
        shape = (1, *shape)
    if len(shape) != 4:
        raise ValueError(f"{function}: {name} must name {4 if batched else 3} sizes, got {shape}")
    return shape


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"conv2d: {name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def _check_gradient(function, dy, expected):
    if dy.shape != expected:
        raise ValueError(f"{function}: dy has shape {dy.shape}, the convolution's output has {expected}")


@lru_cache(maxsize=512, typed=True)
def _geometry(function, input_shape, weight_shape, stride, padding, dilation, groups):
    """Return (window for the kernels, output shape, number of multiplications)."""
    stride, dilation = pair(function, "stride", stride, 1), pair(function, "dilation", dilation, 1)
    groups = integer(function, "groups", groups, 1)
    if len(weight_shape) != 4:
        raise ValueError(f"{function}: weight must have 4 dimensions (OC, C/groups, KH, KW), got shape {weight_shape}")
    out_channels, channels, *kernel = weight_shape
    if 0 in kernel or out_channels == 0:
        raise ValueError(f"{function}: weight must have filters and they must not be empty, got shape {weight_shape}")
    if out_channels % groups:
        raise ValueError(
            f"{function}: {out_channels} filters (weight {weight_shape}) do not divide into groups={groups}"
        )
    if input_shape[1] != channels * groups:
        raise ValueError(
            f"{function}: input has {input_shape[1]} channels (shape {input_shape}) but weight expects "
            f"{channels * groups} (shape {weight_shape}, groups={groups})"
        )
    sides = padding_2d(function, padding, kernel, stride, dilation)
    size = conv_output_size(function, input_shape[2:], kernel, stride, sides, dilation)
    window = np.array([*stride, sides[0], sides[2], *dilation], np.int64)
    shape = (input_shape[0], out_channels, *size)
    return window, shape, int(np.prod(shape, dtype=object)) * channels * kernel[0] * kernel[1]
