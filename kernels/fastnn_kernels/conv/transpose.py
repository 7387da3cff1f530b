"""Transposed convolutions: the gradient of a convolution's input, as an operation of its own, and its gradients.

The roles are swapped: the output is the input of a convolution with the same window, whose output is our input. So the
gradient of our input is a convolution, and that of the weight is the convolution's with input and gradient exchanged.
"""

from .prepare import prepare
from .problem import convolution, gradients

_names = [f"conv_transpose{n}d" for n in (1, 2, 3)]
_conv_transpose1d, _conv_transpose2d, _conv_transpose3d = (
    convolution(name, n, True) for n, name in enumerate(_names, 1)
)
_conv_transpose1d_backward, _conv_transpose2d_backward, _conv_transpose3d_backward = (
    gradients(f"{name}_backward", n, True) for n, name in enumerate(_names, 1)
)


def conv_transpose1d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, activation=None, out=None
):
    """Return signals `stride` times as long: every input spreads a filter over the output, where they add up.

    input (B, C, W) or (C, W), weight (C, OC/groups, KW) or what `prepare_conv_transpose1d` returned for it, bias (OC,)
    -> (B, OC, OW) or (OC, OW) with
    OW = (W - 1) * stride - 2 * padding + dilation * (KW - 1) + output_padding + 1. Everything else as in `conv1d`.
    Raises ValueError if shapes do not fit together, nothing would come out, or output_padding is not smaller than
    stride or dilation.
    """
    window = stride, padding, output_padding, dilation, groups
    return _conv_transpose1d.run(out, input, weight, bias, *window, activation, "auto")


def conv_transpose2d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, activation=None, out=None
):
    """Return images `stride` times as large: every pixel spreads a filter over the output, where they add up.

    input (B, C, H, W) or (C, H, W), weight (C, OC/groups, KH, KW), bias (OC,) -> (B, OC, OH, OW) or (OC, OH, OW).
    stride, padding, output_padding and dilation are numbers or pairs. Sizes and errors as in `conv_transpose1d`.
    """
    window = stride, padding, output_padding, dilation, groups
    return _conv_transpose2d.run(out, input, weight, bias, *window, activation, "auto")


def conv_transpose3d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, activation=None, out=None
):
    """Return volumes `stride` times as large: every voxel spreads a filter over the output, where they add up.

    input (B, C, D, H, W) or (C, D, H, W), weight (C, OC/groups, KD, KH, KW), bias (OC,) -> (B, OC, OD, OH, OW) or
    without B. stride, padding, output_padding and dilation are numbers or three of them. Sizes and errors as in
    `conv_transpose1d`.
    """
    window = stride, padding, output_padding, dilation, groups
    return _conv_transpose3d.run(out, input, weight, bias, *window, activation, "auto")


def prepare_conv_transpose1d(weight, input_shape=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Pack filters once for many transposed convolutions of signals.

    weight (C, OC/groups, KW), any strides -> what `conv_transpose1d` takes as `weight`. It is a copy: later changes of
    weight do not reach it. Filters are packed at the first use, or here if `input_shape` (B, C, W) says for what
    signals, with conv_transpose1d's other arguments. Raises as conv_transpose1d does.
    """
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    options |= {"groups": groups, "dilation": dilation}
    return prepare("prepare_conv_transpose1d", conv_transpose1d, 1, True, weight, input_shape, **options)


def prepare_conv_transpose2d(weight, input_shape=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Pack filters once for many `conv_transpose2d`, as `prepare_conv_transpose1d` does."""
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    options |= {"groups": groups, "dilation": dilation}
    return prepare("prepare_conv_transpose2d", conv_transpose2d, 2, True, weight, input_shape, **options)


def prepare_conv_transpose3d(weight, input_shape=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Pack filters once for many `conv_transpose3d`, as `prepare_conv_transpose1d` does."""
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    options |= {"groups": groups, "dilation": dilation}
    return prepare("prepare_conv_transpose3d", conv_transpose3d, 3, True, weight, input_shape, **options)


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
    window = stride, padding, output_padding, dilation, groups
    return _conv_transpose1d_backward.run(None, dy, input, weight, output, activation, *window, needs)


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
    window = stride, padding, output_padding, dilation, groups
    return _conv_transpose2d_backward.run(None, dy, input, weight, output, activation, *window, needs)


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
    window = stride, padding, output_padding, dilation, groups
    return _conv_transpose3d_backward.run(None, dy, input, weight, output, activation, *window, needs)
