"""Transposed convolutions: the gradient of a convolution's input, as an operation of its own, and its gradients.

The roles are swapped: the output is the input of a convolution with the same window, whose output is our input. So the
gradient of our input is a convolution, and that of the weight is the convolution's with input and gradient exchanged.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..cpu.activation import relu
from ..cpu.conv.by_depth import PreparedConv, convolve, correlate, plan_back, volume
from ..ground.checks import contiguous, needed, promote, required, sizes
from ..ground.layout import channels_last, hashable, with_batch
from ..ground.memory import empty_like, zeros
from ..ground.plans import ghost, kept, planner
from .call import around, call, result, through_activation
from .conv import conv2d_backward_bias
from .conv_nd import check_weight, form_of, prepare


def conv_transpose1d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, activation=None, out=None
):
    """Return signals `stride` times as long: every input spreads a filter over the output, where they add up.

    input (B, C, W) or (C, W), weight (C, OC/groups, KW), bias (OC,) -> (B, OC, OW) or (OC, OW) with
    OW = (W - 1) * stride - 2 * padding + dilation * (KW - 1) + output_padding + 1. Everything else as in `conv1d`.
    Raises ValueError if shapes do not fit together, nothing would come out, or output_padding is not smaller than
    stride or dilation.
    """
    window = stride, padding, output_padding, groups, dilation
    return call(_plan, "conv_transpose1d", PreparedConv, input, weight, bias, window, activation, "auto", out)


def conv_transpose2d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, activation=None, out=None
):
    """Return images `stride` times as large: every pixel spreads a filter over the output, where they add up.

    input (B, C, H, W) or (C, H, W), weight (C, OC/groups, KH, KW), bias (OC,) -> (B, OC, OH, OW) or (OC, OH, OW).
    stride, padding, output_padding and dilation are numbers or pairs. Sizes and errors as in `conv_transpose1d`.
    """
    window = stride, padding, output_padding, groups, dilation
    return call(_plan, "conv_transpose2d", PreparedConv, input, weight, bias, window, activation, "auto", out)


def conv_transpose3d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, activation=None, out=None
):
    """Return volumes `stride` times as large: every voxel spreads a filter over the output, where they add up.

    input (B, C, D, H, W) or (C, D, H, W), weight (C, OC/groups, KD, KH, KW), bias (OC,) -> (B, OC, OD, OH, OW) or
    without B. stride, padding, output_padding and dilation are numbers or three of them. Sizes and errors as in
    `conv_transpose1d`.
    """
    window = stride, padding, output_padding, groups, dilation
    return call(_plan, "conv_transpose3d", PreparedConv, input, weight, bias, window, activation, "auto", out)


def prepare_conv_transpose1d(
    weight, input_shape=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
) -> PreparedConv:
    """Lay filters out once for many transposed convolutions of signals.

    weight (C, OC/groups, KW), any strides -> what `conv_transpose1d` takes as `weight`. It is a copy: later changes of
    weight do not reach it. The layout is made at the first use, or here if `input_shape` (B, C, W) says for what
    signals, with conv_transpose1d's other arguments. Raises as conv_transpose1d does.
    """
    window = stride, padding, output_padding, groups, dilation
    return prepare("prepare_conv_transpose1d", conv_transpose1d, 1, weight, input_shape, *window)


def prepare_conv_transpose2d(
    weight, input_shape=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
) -> PreparedConv:
    """Lay filters out once for many `conv_transpose2d`: as `prepare_conv_transpose1d` does."""
    window = stride, padding, output_padding, groups, dilation
    return prepare("prepare_conv_transpose2d", conv_transpose2d, 2, weight, input_shape, *window)


def prepare_conv_transpose3d(
    weight, input_shape=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
) -> PreparedConv:
    """Lay filters out once for many `conv_transpose3d`: as `prepare_conv_transpose1d` does."""
    window = stride, padding, output_padding, groups, dilation
    return prepare("prepare_conv_transpose3d", conv_transpose3d, 3, weight, input_shape, *window)


def conv_transpose1d_backward(
    dy,
    input,
    weight,
    output=None,
    activation=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    needs=(True, True, True),
):
    """Return the gradients (dinput, dweight, dbias) of conv_transpose1d from that of its output; None if not needed.

    dy, output (B, OC, OW), input (B, C, W), all with or all without B. output is what conv_transpose1d returned; it is
    needed only if there was an activation. Not for gelu: ValueError. Raises as conv_transpose1d does.
    """
    window = stride, padding, output_padding, groups, dilation
    return _backward("conv_transpose1d_backward", 1, dy, input, weight, output, activation, window, needs)


def conv_transpose2d_backward(
    dy,
    input,
    weight,
    output=None,
    activation=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    needs=(True, True, True),
):
    """Return the gradients (dinput, dweight, dbias) of conv_transpose2d; the arguments are as in one dimension."""
    window = stride, padding, output_padding, groups, dilation
    return _backward("conv_transpose2d_backward", 2, dy, input, weight, output, activation, window, needs)


def conv_transpose3d_backward(
    dy,
    input,
    weight,
    output=None,
    activation=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    needs=(True, True, True),
):
    """Return the gradients (dinput, dweight, dbias) of conv_transpose3d; the arguments are as in one dimension."""
    window = stride, padding, output_padding, groups, dilation
    return _backward("conv_transpose3d_backward", 3, dy, input, weight, output, activation, window, needs)


@planner
def _plan(
    function, shape, strides, dtype, weight_shape, prepared, bias_shape, activation, algorithm, out_strides,
    threads, precision, *window,
):  # fmt: skip
    n = int(function[-2])
    x, batched = with_batch(function, "input", ghost(shape, dtype, strides), n)
    form, shape, groups = _form(function, n, x.shape, weight_shape, *window)

    def plan(x, y, floor):
        return plan_back(x, y, form, groups, weight_shape[1], prepared, floor)

    last = channels_last(x)
    return around(function, x, batched, shape, last, weight_shape, bias_shape, activation, out_strides, plan)


def _backward(function, n, dy, input, weight, y, activation, window, needs):
    needs = needed(function, needs, 3)
    if dy is None or input is None or weight is None:
        required(function, dy=dy, input=input, weight=weight)
    dy, x, w, y = promote(function, dy=dy, input=input, weight=weight, output=y)
    dy, _ = with_batch(function, "dy", dy, n)
    x, batched = with_batch(function, "input", x, n)
    form, shape, groups = _form(function, n, x.shape, w.shape, *map(hashable, window))
    dy, gate, gated = through_activation(function, activation, dy, y, shape, n)
    if gated:
        dy = relu.apply_backward(dy, gate)
    dx = dw = db = None
    if needs[0]:
        dx = result(function, x.shape, x.dtype, channels_last(dy))
        convolve(volume(dy), volume(contiguous(w)), zeros(x.shape[1:2], x.dtype), -np.inf, form, groups, volume(dx))
        dx = dx if batched else dx[0]
    if needs[1]:
        dw = empty_like(w)
        grads = volume(x)
        correlate(grads, grads, 0, volume(dy), form, groups, volume(dw), None)
    if needs[2]:
        db = conv2d_backward_bias(dy.reshape(*dy.shape[:2], prod(dy.shape[2:-1]), dy.shape[-1]))
    return dx, dw, db


@kept
def _form(function, n, input_shape, weight_shape, *window):
    """Check the arguments; return the form of the convolution from output to input, the output's shape, and groups."""
    stride, padding, output_padding, groups, dilation = window
    stride, dilation = sizes(function, "stride", stride, n, 1), sizes(function, "dilation", dilation, n, 1)
    padding, more = sizes(function, "padding", padding, n, 0), sizes(function, "output_padding", output_padding, n, 0)
    groups = check_weight(function, n, weight_shape, "(C, OC/groups, K...)", groups)
    if input_shape[1] != weight_shape[0]:
        raise ValueError(
            f"{function}: input has {input_shape[1]} channels (shape {input_shape}) but weight expects "
            f"{weight_shape[0]} (shape {weight_shape})"
        )
    for extra, s, d in zip(more, stride, dilation, strict=True):
        if extra >= max(s, d):
            raise ValueError(
                f"{function}: output_padding must be smaller than stride or dilation, got {output_padding} with "
                f"stride {stride} and dilation {dilation}"
            )
    kernel = weight_shape[2:]
    given = zip(input_shape[2:], stride, padding, dilation, kernel, more, strict=True)
    size = tuple((length - 1) * s - 2 * p + d * (k - 1) + extra + 1 for length, s, p, d, k, extra in given)
    if min(size) < 1 or 0 in input_shape[2:]:
        raise ValueError(f"{function}: nothing would come out of an input {input_shape}: the output has size {size}")
    return form_of(stride, padding, dilation, kernel), (input_shape[0], weight_shape[1] * groups, *size), groups
