"""Convolutions of signals, images and volumes, and their gradients."""

import numpy as np

from ..ground.operation import Layout, operation
from ..ground.settings import PRECISION, SETTINGS
from .prepare import prepare
from .problem import (
    BiasGradient,
    Convolution,
    Gradient,
    check_gradient,
    convolution,
    gradients,
    sizes_of,
    window_of,
    with_batch,
)

PRECISIONS = ("default", "high")
_conv1d, _conv2d, _conv3d = (convolution(f"conv{n}d", n) for n in (1, 2, 3))
_conv1d_backward, _conv2d_backward, _conv3d_backward = (gradients(f"conv{n}d_backward", n) for n in (1, 2, 3))


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, out=None):
    """Return the cross-correlation of signals with a bank of filters, plus a bias, through an activation.

    input (B, C, W) or (C, W), weight (OC, C/groups, KW) or what `prepare_conv1d` returned for it, bias (OC,)
    -> (B, OC, OW) or (OC, OW); float32 or float64, any strides. A channels-last input, (B, W, C) in memory, gives a
    channels-last output. padding: a number, "valid" or "same" (as in PyTorch, the odd zero goes to the end).
    activation: None, "relu", "sigmoid", "tanh", "leaky_relu" (slope 0.01) or "gelu".

    Raises ValueError if shapes do not fit together or the kernel is longer than the padded signal, TypeError for
    integer signals.
    """
    return _conv1d.run(out, input, weight, bias, stride, padding, None, dilation, groups, activation, "auto")


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

    input (B, C, H, W) or (C, H, W), weight (OC, C/groups, KH, KW) or what `prepare_conv2d` returned for it, bias (OC,)
    -> (B, OC, OH, OW) or (OC, OH, OW); float32 or float64, any strides. Channels-last images give channels-last ones.
    padding: a number, a pair, "valid" or "same" (as in PyTorch, the odd zero goes to the bottom and right).
    activation: None, "relu", "sigmoid", "tanh", "leaky_relu" (slope 0.01) or "gelu".
    algorithm: "auto" (what `choose` says), "direct" (tiles that read windows from the image), "winograd" (for its
    rounding, see `set_conv_precision`), "im2col" (a product with the matrix of all windows, for few pixels), for one
    channel per group "depthwise", for kernels of 1x1 "pointwise", for signals and 7 to 9 taps "folded" (Winograd's,
    too), or "reference": plain loops.

    Raises ValueError if the algorithm cannot do the layer, if shapes do not fit together or if the kernel is larger
    than the padded image, TypeError for integer images.
    """
    return _conv2d.run(out, input, weight, bias, stride, padding, None, dilation, groups, activation, algorithm)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, out=None):
    """Return the cross-correlation of volumes with a bank of filters, plus a bias, through an activation.

    input (B, C, D, H, W) or (C, D, H, W), weight (OC, C/groups, KD, KH, KW), bias (OC,) -> (B, OC, OD, OH, OW) or
    without B; float32 or float64, any strides. Channels-last volumes give channels-last ones. stride, padding and
    dilation: a number or three; padding also "valid" or "same". activation: as in `conv1d`. It needs memory for a copy
    of the input, for KD copies where there are groups or the depth is dilated.

    Raises ValueError if shapes do not fit together or the kernel is larger than the padded volume, TypeError for
    integer volumes.
    """
    return _conv3d.run(out, input, weight, bias, stride, padding, None, dilation, groups, activation, "auto")


def prepare_conv1d(weight, input_shape=None, stride=1, padding=0, dilation=1, groups=1):
    """Pack filters once for many convolutions of signals: `prepare_conv2d` for `conv1d`."""
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return prepare("prepare_conv1d", conv1d, 1, False, weight, input_shape, **options)


def prepare_conv2d(weight, input_shape=None, stride=1, padding=0, dilation=1, groups=1):
    """Pack filters once for many convolutions: panels for the direct algorithm, transformed for Winograd's.

    weight (OC, C/groups, KH, KW) float32 or float64, any strides -> what `conv2d` takes as `weight`. It is a copy:
    later changes of weight do not reach it. Filters are packed at the first use, or here, by a first convolution, if
    `input_shape` (B, C, H, W) and conv2d's other arguments say for what. Any images and arguments may be used later.
    Packed filters may go by a faster algorithm, so that results need not have the bits that weight gives: `choose` says
    which, and `algorithm` makes them the same. Raises as conv2d does.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return prepare("prepare_conv2d", conv2d, 2, False, weight, input_shape, **options)


def prepare_conv3d(weight, input_shape=None, stride=1, padding=0, dilation=1, groups=1):
    """Pack filters once for many convolutions of volumes: `prepare_conv2d` for `conv3d`."""
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return prepare("prepare_conv3d", conv3d, 3, False, weight, input_shape, **options)


def conv1d_backward(
    dy, input, weight, output=None, activation=None, stride=1, padding=0, dilation=1, groups=1, *, needs=(True,) * 3
):
    """Return the gradients (dinput, dweight, dbias) of conv1d from that of its output; None where not needed.

    dy, output (B, OC, OW), input (B, C, W), all with or all without B. output is what conv1d returned, after the
    activation; it is needed only if there was one. Not for gelu, whose gradient needs what went into it: ValueError.
    Raises as conv1d does.
    """
    window = stride, padding, None, dilation, groups
    return _conv1d_backward.run(None, dy, input, weight, output, activation, *window, needs)


def conv2d_backward(
    dy, input, weight, output=None, activation=None, stride=1, padding=0, dilation=1, groups=1, *, needs=(True,) * 3
):
    """Return the gradients (dinput, dweight, dbias) of conv2d from that of its output; None where not needed.

    dy, output (B, OC, OH, OW), input (B, C, H, W). The rest is as in `conv1d_backward`.
    """
    window = stride, padding, None, dilation, groups
    return _conv2d_backward.run(None, dy, input, weight, output, activation, *window, needs)


def conv3d_backward(
    dy, input, weight, output=None, activation=None, stride=1, padding=0, dilation=1, groups=1, *, needs=(True,) * 3
):
    """Return the gradients (dinput, dweight, dbias) of conv3d from that of its output; None where not needed.

    dy, output (B, OC, OD, OH, OW), input (B, C, D, H, W). The rest is as in `conv1d_backward`.
    """
    window = stride, padding, None, dilation, groups
    return _conv3d_backward.run(None, dy, input, weight, output, activation, *window, needs)


def conv2d_backward_input(dy, weight, input_shape, stride=1, padding=0, dilation=1, groups=1, *, out=None):
    """Return the gradient of conv2d's input from that of its output (before the activation).

    dy (B, OC, OH, OW) or (OC, OH, OW), weight (OC, C/groups, KH, KW) -> input_shape. Raises as conv2d does.
    """
    return _conv2d_backward_input.run(out, dy, weight, input_shape, stride, padding, dilation, groups)


def conv2d_backward_weight(dy, input, weight_shape, stride=1, padding=0, dilation=1, groups=1, *, out=None):
    """Return the gradient of conv2d's weight from that of its output (before the activation).

    dy (B, OC, OH, OW), input (B, C, H, W), both with or both without B -> weight_shape. Raises as conv2d does.
    """
    return _conv2d_backward_weight.run(out, dy, input, weight_shape, stride, padding, dilation, groups)


def conv2d_backward_bias(dy, *, out=None):
    """Return the gradient of conv2d's bias: dy (B, OC, OH, OW) or (OC, OH, OW) -> (OC,)."""
    return _conv2d_backward_bias.run(out, dy)


def choose(input_shape, weight_shape, stride=1, padding=0, dilation=1, groups=1, dtype=np.float32, *, prepared=False):
    """Return (name, reason): the algorithm that `conv2d` takes by itself for a layer, and why.

    input_shape (B, C, H, W) or (C, H, W), weight_shape (OC, C/groups, KH, KW); prepared: whether the weight comes from
    `prepare_conv2d`, so that packing it costs nothing. Raises as conv2d does.
    """
    return _choose.run(None, input_shape, weight_shape, stride, padding, dilation, groups, dtype, prepared)


def set_conv_precision(precision):
    """Say whether convolutions may be rounded by Winograd's transforms: "default", or "high", where they may not.

    With "default", layers of float32 with kernels of 3x3, 5x5 and 2x2 (a transposed 4x4 with stride 2 is four of them),
    strided kernels of up to so many taps per stride, and signals with kernels of 2, 3 and 7 to 9 go by Winograd's
    algorithm where that is faster. Measured against float64, errors were at most 4.0e-6 of the largest result for
    random images of 16 to 512 channels (directly 4.1e-6); for adversarial ones, whose results may cancel to nothing,
    1.2e-6 of the largest sum of |input| |weight| (directly 2.9e-6). Gradients of weights with kernels of 3x3, 5x5 and,
    strided, 3x3 and 4x4 go so, too: at most 4.8e-6 over 400,000 pixels of random images (directly 1.2e-6). The tests
    hold all to 2e-5. A NaN or an infinity spreads to the up to 4x4 results around it.
    "high" keeps to the direct algorithm unless another is asked for by name. float64 always does.

    Raises ValueError for other words.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"set_conv_precision: precision must be 'default' or 'high', got {precision!r}")
    SETTINGS[PRECISION] = PRECISIONS.index(precision)


@operation("dy weight")
def _conv2d_backward_input(dy, weight, input_shape, stride, padding, dilation, groups):
    name = "conv2d_backward_input"
    with_batch(name, "dy", dy, 2)
    x_shape = (1, *sizes_of(name, "input_shape", input_shape, dy.ndim))[-4:]
    window, shape = window_of(name, 2, False, x_shape, weight.shape, stride, padding, None, dilation, groups)
    check_gradient(name, "dy", dy, shape, 2)
    return Gradient(dy, None, weight, None, window, False, None, (True, False, False), x_shape, weight.shape)


@operation("dy input")
def _conv2d_backward_weight(dy, input, weight_shape, stride, padding, dilation, groups):
    name = "conv2d_backward_weight"
    x_shape, w_shape = with_batch(name, "input", input, 2), sizes_of(name, "weight_shape", weight_shape, 4)
    window, shape = window_of(name, 2, False, x_shape, w_shape, stride, padding, None, dilation, groups)
    check_gradient(name, "dy", dy, shape, 2)
    return Gradient(dy, input, None, None, window, False, None, (False, True, False), x_shape, w_shape)


@operation("dy")
def _conv2d_backward_bias(dy):
    with_batch("conv2d_backward_bias", "dy", dy, 2)
    return BiasGradient(dy)


@operation()
def _choose(input_shape, weight_shape, stride, padding, dilation, groups, dtype, prepared):
    x_shape = (1, *sizes_of("choose", "input_shape", input_shape, 3, 4))[-4:]
    w_shape = sizes_of("choose", "weight_shape", weight_shape, 4)
    window, shape = window_of("choose", 2, False, x_shape, w_shape, stride, padding, None, dilation, groups)
    x, w = Layout(x_shape, (), np.dtype(dtype)), Layout(w_shape, (), np.dtype(dtype), bool(prepared))
    return Convolution(x, w, None, window, shape, False, None, "auto")
