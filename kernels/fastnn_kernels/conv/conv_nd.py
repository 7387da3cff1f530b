"""Convolutions of signals and volumes, and their gradients: checks and views, `conv_volume` has the substance."""

from __future__ import annotations

from ..cpu.conv.by_depth import Form, PreparedConv, convolve_back, correlate, volume
from ..cpu.conv.by_depth import plan as plan_volumes
from ..ground.checks import (
    as_float_array,
    contiguous,
    conv_output_size,
    integer,
    needed,
    padding_sides,
    promote,
    required,
    sizes,
)
from ..ground.layout import channels_last, hashable, with_batch
from ..ground.memory import empty, empty_like, zeros
from ..ground.plans import ghost, kept, planner
from .call import around, call, result, sizes_of, through_activation


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, out=None):
    """Return the cross-correlation of signals with a bank of filters, plus a bias, through an activation.

    input (B, C, W) or (C, W), weight (OC, C/groups, KW), bias (OC,) -> (B, OC, OW) or (OC, OW); float32 or float64, any
    strides; signals that lie in memory as (B, W, C) give such. padding: a number, "valid" or "same" (as in PyTorch, the
    odd zero goes to the end). activation: None, "relu", "sigmoid", "tanh", "leaky_relu" (slope 0.01) or "gelu".

    Raises ValueError if shapes do not fit together or the kernel is longer than the padded signal, TypeError for
    integer signals.
    """
    window = stride, padding, dilation, groups
    return call(_plan, "conv1d", PreparedConv, input, weight, bias, window, activation, "auto", out)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, out=None):
    """Return the cross-correlation of volumes with a bank of filters, plus a bias, through an activation.

    input (B, C, D, H, W) or (C, D, H, W), weight (OC, C/groups, KD, KH, KW), bias (OC,) -> (B, OC, OD, OH, OW) or
    without B; float32 or float64, any strides; volumes that lie in memory as (B, D, H, W, C) give such. stride, padding
    and dilation: a number or three; padding also "valid" or "same". activation: as in `conv1d`. It needs memory for a
    copy of the input, for KD copies where there are groups or the depth is dilated.

    Raises ValueError if shapes do not fit together or the kernel is larger than the padded volume, TypeError for
    integer volumes.
    """
    window = stride, padding, dilation, groups
    return call(_plan, "conv3d", PreparedConv, input, weight, bias, window, activation, "auto", out)


@planner
def _plan(
    function, shape, strides, dtype, weight_shape, prepared, bias_shape, activation, algorithm, out_strides,
    threads, precision, *window,
):  # fmt: skip
    n = 1 if function == "conv1d" else 3
    x, batched = with_batch(function, "input", ghost(shape, dtype, strides), n)
    form, shape, groups = _form(function, n, x.shape, weight_shape, *window)

    def plan(x, y, floor):
        return plan_volumes(x, y, form, groups, weight_shape, prepared, floor)

    last = channels_last(x) or x.shape[1] == 1
    return around(function, x, batched, shape, last, weight_shape, bias_shape, activation, out_strides, plan)


def prepare_conv1d(weight, input_shape=None, stride=1, padding=0, dilation=1, groups=1):
    """Lay filters out once for many convolutions of signals.

    weight (OC, C/groups, KW), any strides -> what `conv1d` takes as `weight`. It is a copy: later changes of weight do
    not reach it. The layout is made at the first use, or here if `input_shape` (B, C, W) says for what signals, with
    conv1d's other arguments. Raises as conv1d does.
    """
    return prepare("prepare_conv1d", conv1d, 1, weight, input_shape, stride, padding, dilation, groups)


def prepare_conv3d(weight, input_shape=None, stride=1, padding=0, dilation=1, groups=1):
    """Lay filters out once for many convolutions of volumes: `prepare_conv1d` for `conv3d`."""
    return prepare("prepare_conv3d", conv3d, 3, weight, input_shape, stride, padding, dilation, groups)


def conv1d_backward(
    dy, input, weight, output=None, activation=None, stride=1, padding=0, dilation=1, groups=1, *, needs=(True,) * 3
):
    """Return the gradients (dinput, dweight, dbias) of conv1d from that of its output; None where not needed.

    dy, output (B, OC, OW), input (B, C, W), all with or all without B. output is what conv1d returned; it is needed
    only if there was an activation. Not for gelu, whose gradient needs what went into it: ValueError. Raises as
    conv1d does.
    """
    window = stride, padding, dilation, groups
    return _backward("conv1d_backward", 1, dy, input, weight, output, activation, window, needs)


def conv3d_backward(
    dy, input, weight, output=None, activation=None, stride=1, padding=0, dilation=1, groups=1, *, needs=(True,) * 3
):
    """Return the gradients (dinput, dweight, dbias) of conv3d from that of its output; None where not needed.

    dy, output (B, OC, OD, OH, OW), input (B, C, D, H, W), all with or all without B. The rest is as in conv1d_backward.
    """
    window = stride, padding, dilation, groups
    return _backward("conv3d_backward", 3, dy, input, weight, output, activation, window, needs)


def prepare(function, convolution, n, weight, input_shape, *window) -> PreparedConv:
    """Return a copy of a weight that keeps what convolutions make of it: after a first one, if there is a shape."""
    w = as_float_array(function, "weight", weight, n + 2)
    prepared = PreparedConv(w.copy(order="C"))
    if input_shape is not None:
        shape = sizes_of(function, "input_shape", input_shape, n + 1, n + 2)
        convolution(zeros(shape, w.dtype), prepared, None, *window)
    return prepared


def _backward(function, n, dy, input, weight, y, activation, window, needs):
    needs = needed(function, needs, 3)
    if dy is None or input is None or weight is None:
        required(function, dy=dy, input=input, weight=weight)
    dy, x, w, y = promote(function, dy=dy, input=input, weight=weight, output=y)
    dy, _ = with_batch(function, "dy", dy, n)
    x, batched = with_batch(function, "input", x, n)
    form, shape, groups = _form(function, n, x.shape, w.shape, *map(hashable, window))
    dy, gate, gated = through_activation(function, activation, dy, y, shape, n)
    grads = volume(dy), volume(gate), gated
    dx = dw = db = None
    if needs[0]:
        dx = result(function, x.shape, x.dtype, channels_last(dy))
        convolve_back(*grads, volume(contiguous(w)), form, groups, volume(dx))
        dx = dx if batched else dx[0]
    if needs[1] or needs[2]:
        dw = empty_like(w)
        db = empty(w.shape[:1], w.dtype) if needs[2] else None
        correlate(*grads, volume(x), form, groups, volume(dw), db)
    return dx, dw if needs[1] else None, db


@kept
def _form(function, n, input_shape, weight_shape, *window):
    """Check the arguments of a convolution; return its form as one of volumes, the output's shape, and groups."""
    stride, padding, dilation, groups = window
    stride, dilation = sizes(function, "stride", stride, n, 1), sizes(function, "dilation", dilation, n, 1)
    groups = check_weight(function, n, weight_shape, "(OC, C/groups, K...)", groups)
    if input_shape[1] != weight_shape[1] * groups:
        raise ValueError(
            f"{function}: input has {input_shape[1]} channels (shape {input_shape}) but weight expects "
            f"{weight_shape[1] * groups} (shape {weight_shape}, groups={groups})"
        )
    kernel = weight_shape[2:]
    sides = padding_sides(function, padding, kernel, stride, dilation)
    size = conv_output_size(function, input_shape[2:], kernel, stride, sides, dilation)
    return form_of(stride, sides[::2], dilation, kernel), (input_shape[0], weight_shape[0], *size), groups


def form_of(stride, before, dilation, kernel) -> Form:
    """Return the form of a window in one, two or three dimensions as one of volumes."""
    missing = 3 - len(kernel)
    return Form(*((fill,) * missing + given for fill, given in ((1, stride), (0, before), (1, dilation), (1, kernel))))


def check_weight(function, n, shape, names, groups) -> int:
    """Return groups after checking that a weight has filters that divide into them."""
    groups = integer(function, "groups", groups, 1)
    if len(shape) != n + 2:
        raise ValueError(f"{function}: weight must have {n + 2} dimensions {names}, got shape {shape}")
    if 0 in shape[2:] or shape[0] == 0:
        raise ValueError(f"{function}: weight must have filters and they must not be empty, got shape {shape}")
    if shape[0] % groups:
        raise ValueError(f"{function}: {shape[0]} filters (weight {shape}) do not divide into groups={groups}")
    return groups
