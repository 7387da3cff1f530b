"""Convolution of images and its gradients."""

from typing import NamedTuple

import numpy as np

from ..cpu.conv.input_gradient import convolve_back
from ..cpu.conv.select import NAMES, Layer, PreparedConv2d, select
from ..cpu.conv.select import plan as plan_images
from ..cpu.conv.weight_gradient import correlate, sum_bias
from ..ground.checks import (
    as_float_array,
    check_out,
    contiguous,
    conv_output_size,
    integer,
    needed,
    padding_sides,
    pair,
    promote,
    required,
)
from ..ground.checks import output as output_array
from ..ground.layout import channels_last, hashable, with_batch
from ..ground.memory import empty, empty_like
from ..ground.plans import ghost, kept, planner
from .call import around, call, check_gradient, result, sizes_of, through_activation


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

    input (B, C, H, W) or (C, H, W), weight (OC, C/groups, KH, KW) or what `prepare_conv2d` made of it, bias (OC,)
    -> (B, OC, OH, OW) or (OC, OH, OW); float32 or float64, any strides; images that lie in memory by pixels ("channels
    last") give such.
    padding: a number, a pair, "valid" or "same" (as in PyTorch, the odd zero goes to the bottom and right).
    activation: None, "relu", "sigmoid", "tanh", "leaky_relu" (slope 0.01) or "gelu".
    algorithm: "auto" (what `choose` says), "direct", "winograd" (for its rounding, see `set_conv_precision`), for one
    channel per group "depthwise", for kernels of 1x1 "pointwise", for signals and 7 to 9 taps "folded" (Winograd, too),
    for few pixels "product"; "im2col" is another name for "direct", whose tiles read the windows from the image.
    Raises ValueError if the algorithm cannot do the layer, if shapes do not fit together or if the kernel is larger
    than the padded image, TypeError for integer images.
    """
    window = stride, padding, dilation, groups
    return call(_plan, "conv2d", PreparedConv2d, input, weight, bias, window, activation, algorithm, out)


@planner
def _plan(
    function, shape, strides, dtype, weight_shape, prepared, bias_shape, activation, algorithm, out_strides,
    threads, precision, *window,
):  # fmt: skip
    x, batched = with_batch(function, "input", ghost(shape, dtype, strides))
    form, groups = _form(function, x.shape, weight_shape, *window), window[-1]
    if algorithm not in NAMES:
        raise ValueError(f"{function}: algorithm must be one of {NAMES}, got {algorithm!r}")

    def plan(x, y, floor):
        return plan_images(x, y, form.window, groups, weight_shape[1], prepared, algorithm, 0, floor)

    # images of one channel lie both ways: by pixels is how convolution works, and what the layers behind it like
    last = channels_last(x) or x.shape[1] == 1
    return around(function, x, batched, form.shape, last, weight_shape, bias_shape, activation, out_strides, plan)


def choose(input_shape, weight_shape, stride=1, padding=0, dilation=1, groups=1, dtype=np.float32, *, prepared=False):
    """Return (name, reason): the algorithm that `conv2d` takes by itself for a layer, and why.

    input_shape (B, C, H, W) or (C, H, W), weight_shape (OC, C/groups, KH, KW); prepared: whether the weight comes from
    `prepare_conv2d`, so that its transform costs nothing. Raises as conv2d does.
    """
    shape = (1, *sizes_of("choose", "input_shape", input_shape, 3, 4))[-4:]
    weight_shape = sizes_of("choose", "weight_shape", weight_shape, 4)
    form = _form("choose", shape, weight_shape, *map(hashable, (stride, padding, dilation)), groups)
    layer = Layer(form.window, form.shape, groups, weight_shape[0] // groups, weight_shape[1], np.dtype(dtype))
    algorithm, reason = select(layer, "auto", prepared)
    return algorithm.name, reason


def prepare_conv2d(weight, input_shape=None, stride=1, padding=0, dilation=1, groups=1):
    """Lay filters out once for many convolutions: panels for the direct algorithm, transformed for Winograd's.

    weight (OC, C/groups, KH, KW) float32 or float64, any strides -> what `conv2d` takes as `weight`. It is a copy:
    later changes of weight do not reach it. The layout is made at the first use, or here if `input_shape` (B, C, H, W)
    says for what images, with conv2d's other arguments. Any images and arguments may be used later. Filters that need
    no laying out any more may go by a faster algorithm, so that results need not have the bits that weight gives:
    `choose` says which, and `algorithm` makes them the same.
    Raises as conv2d does.
    """
    w = as_float_array("prepare_conv2d", "weight", weight, 4)
    prepared = PreparedConv2d(w)
    if input_shape is not None:
        shape = (1, *sizes_of("prepare_conv2d", "input_shape", input_shape, 3, 4))[-4:]
        form = _form("prepare_conv2d", shape, w.shape, *map(hashable, (stride, padding, dilation)), groups)
        layer = Layer(form.window, form.shape, groups, w.shape[0] // groups, w.shape[1], w.dtype)
        prepared.packed((select(layer, "auto", True)[0], groups), layer)
    return prepared


def conv2d_backward(
    dy,
    input,
    weight,
    output=None,
    activation=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    *,
    needs=(True, True, True),
):
    """Return the gradients (dinput, dweight, dbias) of conv2d from that of its output; None where not needed.

    dy, output (B, OC, OH, OW), input (B, C, H, W), all with or all without B. output is what conv2d returned, after the
    activation; it is needed only if there was one. Not for gelu, whose gradient needs what went into it: ValueError.
    Raises as conv2d does.
    """
    name = "conv2d_backward"
    needs = needed(name, needs, 3)
    if dy is None or input is None or weight is None:
        required(name, dy=dy, input=input, weight=weight)
    dy, x, w, y = promote(name, dy=dy, input=input, weight=weight, output=output)
    dy, _ = with_batch(name, "dy", dy)
    x, batched = with_batch(name, "input", x)
    form = _form(name, x.shape, w.shape, *map(hashable, (stride, padding, dilation)), groups)
    dy, gate, gated = through_activation(name, activation, dy, y, form.shape, 2)
    dx = dw = db = None
    if needs[0]:
        dx = _result(name, None, x.shape, x.dtype, channels_last(dy), True)
        convolve_back(dy, gate, gated, contiguous(w), form.window, groups, w.shape[1], dx)
        dx = dx if batched else dx[0]
    if needs[1] or needs[2]:
        dw = empty_like(w)
        db = empty(w.shape[:1], w.dtype) if needs[2] else None
        correlate(dy, gate, gated, x, form.window, groups, dw, db)
    return dx, dw if needs[1] else None, db


def conv2d_backward_input(dy, weight, input_shape, stride=1, padding=0, dilation=1, groups=1, *, out=None):
    """Return the gradient of conv2d's input from that of its output (before the activation).

    dy (B, OC, OH, OW) or (OC, OH, OW), weight (OC, C/groups, KH, KW) -> input_shape. Raises as conv2d does.
    """
    name = "conv2d_backward_input"
    if dy is None or weight is None:
        required(name, dy=dy, weight=weight)
    given = dy, weight
    dy, w = promote(name, dy=dy, weight=weight)
    dy, batched = with_batch(name, "dy", dy)
    shape = (1, *sizes_of(name, "input_shape", input_shape, 4 if batched else 3))[-4:]
    form = _form(name, shape, w.shape, *map(hashable, (stride, padding, dilation)), groups)
    check_gradient(name, "dy", dy, form.shape)
    dx = _result(name, out, shape, dy.dtype, channels_last(dy), batched, *given)
    convolve_back(dy, dy, 0, contiguous(w), form.window, groups, w.shape[1], dx)
    dx = dx if batched else dx[0]
    if out is None:
        return dx
    if not out.flags.aligned:
        out[...] = dx
    return out


def conv2d_backward_weight(dy, input, weight_shape, stride=1, padding=0, dilation=1, groups=1, *, out=None):
    """Return the gradient of conv2d's weight from that of its output (before the activation).

    dy (B, OC, OH, OW), input (B, C, H, W), both with or both without B -> weight_shape. Raises as conv2d does.
    """
    name = "conv2d_backward_weight"
    if dy is None or input is None:
        required(name, dy=dy, input=input)
    given = dy, input
    dy, x = promote(name, dy=dy, input=input)
    dy, _ = with_batch(name, "dy", dy)
    x, _ = with_batch(name, "input", x)
    shape = sizes_of(name, "weight_shape", weight_shape, 4)
    form = _form(name, x.shape, shape, *map(hashable, (stride, padding, dilation)), groups)
    check_gradient(name, "dy", dy, form.shape)
    dw = output_array(name, out, shape, dy.dtype, *given)
    made = dw if dw.flags.aligned else empty_like(dw)
    correlate(dy, dy, 0, x, form.window, groups, made, None)
    if made is not dw:
        dw[...] = made
    return dw


def conv2d_backward_bias(dy, *, out=None):
    """Return the gradient of conv2d's bias: dy (B, OC, OH, OW) or (OC, OH, OW) -> (OC,)."""
    name, given = "conv2d_backward_bias", dy
    dy, _ = with_batch(name, "dy", as_float_array(name, "dy", dy))
    dbias = output_array(name, out, dy.shape[1:2], dy.dtype, given)
    target = dbias if dbias.flags.carray else empty_like(dbias)
    sum_bias(dy, target)
    if target is not dbias:
        dbias[...] = target
    return dbias


def _result(function, out, shape, dtype, last, batched, *inputs):
    """Return the images (B, C, H, W) to write to: the caller's `out` or new ones, by pixels if `last`."""
    if out is not None:
        check_out(function, out, shape if batched else shape[1:], dtype, *inputs)
        if out.flags.aligned:
            out = np.asarray(out)
            return out if batched else out[None]
    return result(function, shape, dtype, last)


class _Form(NamedTuple):
    """A convolution's window (stride, padding at top and left, dilation, kernel) and its output's shape."""

    window: tuple[int, ...]
    shape: tuple[int, ...]


@kept
def _form(function, input_shape, weight_shape, *window):
    """Check the arguments of a convolution and return its form."""
    stride, padding, dilation, groups = window
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
    sides = padding_sides(function, padding, kernel, stride, dilation)
    size = conv_output_size(function, input_shape[2:], kernel, stride, sides, dilation)
    return _Form((*stride, sides[0], sides[2], *dilation, *kernel), (input_shape[0], out_channels, *size))
